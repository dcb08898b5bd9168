"""Failures that differ only in a run's numbers are one cause."""

import pytest

from featlearn.store.causes import grouped


def test_messages_that_differ_in_numbers_are_one_cause_the_most_frequent_first():
    failures = {
        "ValueError: a (my.py:3)": 2,
        "ValueError: loss 0.1 at step 3 (my.py:9)": 1,
        "ValueError: loss nan at step -12 (my.py:9)": 1,
        "ValueError: loss 1.5e-07 at step 4 (my.py:9)": 1,
    }
    assert list(grouped(failures).items()) == [
        ("ValueError: loss # at step # (my.py:9)", 3),
        ("ValueError: a (my.py:3)", 2),
    ]


@pytest.mark.parametrize(
    "other", ["KeyError: 'w2' (my.py:3)", "KeyError: 'w1' (my.py:4)", "KeyError: 'w1' (own2.py:3)", "KeyError: 'w1'"]
)
def test_words_with_digits_and_lines_of_code_tell_causes_apart(other):
    failures = {"KeyError: 'w1' (my.py:3)": 1, other: 1}
    assert grouped(failures) == failures


def test_addresses_are_numbers_and_a_message_alone_is_as_it_is():
    one, two = "TypeError: <object at 0x7f01ab>", "TypeError: <object at 0x7f01ac>"
    assert grouped({one: 1}) == {one: 1}
    assert grouped({one: 1, two: 2}) == {"TypeError: <object at #>": 3}
