"""Bounds hold and spell their limits; a tracker's columns are apart from a run's."""

import pytest
from pydantic import TypeAdapter, ValidationError

from featlearn.runs import RunConfig
from featlearn.types import HEAD, SECTIONS, Bound, Count, Fraction, NonNegative, Numbers, Positive, reserved


@pytest.mark.parametrize(
    ("bound", "words", "inside", "outside"),
    [
        (Bound(gt=0), "> 0", [1e-300, 5], [0, -1]),
        (Bound(ge=0, lt=1), ">= 0 and < 1", [0, 0.5], [1, -0.1]),
        (Bound(ge=2, le=9), ">= 2 and <= 9", [2, 9], [1, 10]),
        (Bound(), "", [float("-inf"), 0], []),
    ],
)
def test_a_bound_holds_within_its_limits_and_spells_them(bound, words, inside, outside):
    assert str(bound) == words
    assert all(bound.holds(number) for number in inside) and not any(bound.holds(number) for number in outside)


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (Positive, [1, 0.5], [0, -1, float("inf"), float("nan"), "1"]),
        (NonNegative, [0, 2.5], [-1e-300, float("inf")]),
        (Fraction, [0, 0.999], [1, -0.1]),
        (Count, [1, 10**12], [0, 1.5]),
        (Numbers, [[1.0], [1.0, 2.0]], [[], 1.0, ["1"]]),
    ],
)
def test_pydantic_refuses_numbers_out_of_bounds_and_not_finite(hint, good, bad):
    adapter = TypeAdapter(hint, config={"strict": True})
    for value in good:
        assert adapter.validate_python(value) == (tuple(value) if isinstance(value, list) else value)
    for value in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


def test_the_columns_of_a_run_and_of_its_config_are_reserved():
    assert all(map(reserved, ["", "committed", *HEAD, *SECTIONS, "data.unknown", "optimizer.rho.theory"]))
    assert not any(map(reserved, ["train_loss", "data_dim", "sharpness"]))
    assert {*SECTIONS, "name", "seed", "engine", "sampling", "dtype"} < {*RunConfig.__dataclass_fields__}
