"""How a message lists a table of words of any length."""

from __future__ import annotations

import pytest

from featlearn.config.problems import choices, suggest

MANY = [f"rule{i}" for i in range(25)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sgd"], "sgd"),
        (["sgd", "sam"], "one of sgd, sam"),
        (MANY[:6], "one of rule0, rule1, rule2, rule3, rule4, rule5"),
        (MANY, "one of rule0, rule1, rule2, rule3, rule4, rule5, ... (25: `featlearn list optimizers`)"),
    ],
)
def test_the_words_of_a_table_are_named_the_first_of_many(words: list[str], message: str) -> None:
    assert choices(words, "optimizers") == message


def test_many_words_of_a_nameless_table() -> None:
    assert choices(MANY).endswith("rule5, ... (25: `featlearn list`)")


def test_the_nearest_is_suggested() -> None:
    assert suggest("rle7", MANY) == "did you mean 'rule7'?"
