"""The strict reader: the meaning of words, the places of values, and YAML that is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featlearn.config.problems import ConfigError, Problem
from featlearn.config.source import BROKEN, Node, read_yaml

NO_TAGS = "anchors, aliases and tags (&, *, !) are not supported; use extends"


def read(text: str) -> Node:
    node = read_yaml(text, "x.yaml")
    assert node is not None
    return node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1.E+2", 100.0),
        (".5", 0.5),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("on", "on"),
        ("yes", "yes"),
        ("no", "no"),
        ("True", True),
        ("false", False),
        ("~", None),
        ("null", None),
        ("'1'", "1"),
        ('"true"', "true"),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("1e999", math.inf),
        ("nan", "nan"),
    ],
)
def test_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    node = read(f"key: {text}").value["key"]
    assert node.value == value
    assert type(node.value) is type(value)


def test_nan_is_a_number_to_be_refused_later() -> None:
    assert math.isnan(read(".nan").value)


@given(st.floats(allow_nan=False) | st.integers(-(10**90), 10**90))
def test_every_number_is_read_as_written(number: float) -> None:
    text = repr(number).replace("inf", ".inf")
    value = read(f"key: {text}").value["key"].value
    assert value == number
    assert type(value) is type(number)


def test_a_number_with_a_leading_zero_is_refused_not_read_as_octal() -> None:
    problems: list[Problem] = []
    node = read_yaml("a: {b: 010}\nc: -007", "x.yaml", problems=problems)
    assert node is not None
    assert node.value["c"].value is BROKEN
    assert [str(p) for p in problems] == [
        "x.yaml:1: a.b: 010 has a leading zero: drop it, or quote it as text",
        "x.yaml:2: c: -007 has a leading zero: drop it, or quote it as text",
    ]


def test_every_value_has_its_line_and_its_key() -> None:
    tree = read("a:\n  b:\n    - 1\n    - {c: 2}\nd: 3")
    item = tree.value["a"].value["b"].value[1].value["c"]
    assert (item.place, item.key, item.value) == ("x.yaml:4", "a.b[1].c", 2)
    assert (tree.value["a"].place, tree.value["a"].value["b"].place) == ("x.yaml:1", "x.yaml:2")
    assert (tree.value["d"].place, tree.value["d"].key) == ("x.yaml:5", "d")
    assert tree.plain == {"a": {"b": [1, {"c": 2}]}, "d": 3}


def test_a_key_given_twice_is_reported_with_both_lines() -> None:
    problems: list[Problem] = []
    node = read_yaml("a: 1\nb: 2\na: 3", "x.yaml", problems=problems)
    assert [str(p) for p in problems] == ["x.yaml:3: a: given twice, first at x.yaml:1"]
    assert node is not None
    assert node.plain == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "x.yaml:1: not YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'"),
        ("a: 1\nb: c: d", "x.yaml:2: not YAML: mapping values are not allowed here"),
        ("a: &x 1", f"x.yaml:1: not YAML: {NO_TAGS}"),
        (
            "a: !!python/none x",
            f"x.yaml:1: not YAML: {NO_TAGS}",
        ),
        ("a: *x", f"x.yaml:1: not YAML: {NO_TAGS}"),
        ("a: 1\n---\nb: 1", "x.yaml:2: not YAML: expected a single document in the stream, but found another document"),
        ("a: \x01", "x.yaml: not YAML: unacceptable character #x0001: special characters are not allowed"),
        ("[" * 5000, "x.yaml:1: not YAML: nested too deeply"),
    ],
)
def test_invalid_yaml_is_reported_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value) == message


@given(st.text(max_size=40) | st.text(alphabet="{}[]:,-'\"\n a1.#&*!|>%@", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_yaml(text, "x.yaml", problems=[])
    except ConfigError as error:
        assert str(error).startswith("x.yaml")
