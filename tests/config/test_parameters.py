"""Parameters are read from annotations and docstrings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from featlearn.config.parameters import meaning, parameters
from featlearn.config.problems import Problem
from featlearn.config.sections import SECTIONS, TRACKER
from featlearn.config.source import BROKEN, Node
from featlearn.data import SignalNoise
from featlearn.optim import SAM


def read(value: object, problems: list[Problem] | None = None) -> object:
    """The value of data.signal_norm as a config may give it."""
    node = Node(value, "x.yaml:1", "data.signal_norm")
    return parameters(SignalNoise)["signal_norm"].read(node, [] if problems is None else problems)


def test_every_parameter_is_explained_in_its_docstring() -> None:
    for section in (*SECTIONS.values(), TRACKER):
        for kind in section.kinds.values():
            assert [p.name for p in kind.parameters.values() if not p.doc] == []


def test_a_meaning_may_take_several_lines() -> None:
    doc = "Head.\n\n    a: one\n        and two.\n    b: three.\n\n    Tail a: none."
    assert meaning("a", doc) == "one and two."
    assert meaning("b", doc) == "three."
    assert meaning("c", doc) == ""


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0) | st.integers(0, 2**70))
def test_every_number_comes_through_as_a_float(number: float) -> None:
    value = read(number)
    assert value == float(number)
    assert type(value) is float


def test_a_whole_number_with_an_exponent_is_an_integer() -> None:
    dim = parameters(SignalNoise)["dim"]
    problems: list[Problem] = []
    assert [type(dim.read(Node(x, ""), problems)) for x in (1e6, 1000)] == [int, int] and not problems
    assert all(dim.read(Node(x, ""), problems) is BROKEN for x in (1000.5, 1e300))
    assert [problem.message.partition("found ")[2] for problem in problems] == ["1000.5", "1e+300"]


def test_minus_zero_is_zero() -> None:
    assert str(read(-0.0)) == "0.0"


def test_an_invalid_parameter_is_one_problem_with_its_place() -> None:
    for value, found in (("5", '"5"'), (float("nan"), "NaN"), (True, "true"), (-1, "-1")):
        problems: list[Problem] = []
        assert read(value, problems) is BROKEN
        expected = f"x.yaml:1: data.signal_norm: expected a number >= 0 or null, found {found}"
        assert [str(problem) for problem in problems] == [expected]


def test_a_number_from_theory_is_checked_against_the_bounds() -> None:
    rho = parameters(SAM)["rho"]
    assert rho.scale == "sam_radius" and rho.expected == "a number >= 0 or {theory: a number >= 0}"
    assert rho.accepts(0.5) and not rho.accepts(-0.5) and not rho.accepts(float("inf"))
