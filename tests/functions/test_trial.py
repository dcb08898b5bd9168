"""The trial of formulas: it passes every built-in function, and finds each kind of error."""

from __future__ import annotations

from dataclasses import replace

import pytest

from featlearn.functions import ACTIVATIONS, LOSSES
from featlearn.functions.own import OwnActivation, OwnLoss
from featlearn.functions.trial import flaw

RELU, LOGISTIC = ACTIVATIONS["relu"], LOSSES["logistic"]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_built_in_activation_passes(name: str) -> None:
    assert flaw(ACTIVATIONS[name]) is None


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in ("softmax", "polynomial")])
def test_every_built_in_loss_passes(name: str) -> None:
    """All of one output but the polynomial: at its joint, m = 0, its formula has another derivative than its twin."""
    assert flaw(LOSSES[name]) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope_formula": "1"}, "slope is not the derivative of value: at z = -"),
        ({"slope_formula": "where(z >= 0, 1, 0)"}, "at z = 0 it is 1, and that derivative 0"),  # torch's relu' is 0
        ({"value_formula": "positive(z) + step(z - 0.2)", "degree": None}, "value jumps by 1.01 near z = 0.1971"),
        ({"second_formula": "1"}, "second is not the derivative of slope"),
        ({"value_formula": "sqrt(z)"}, "value is not a finite number at z = -"),
        ({"degree": 2}, "degree = 2 is wrong: value(0.3 z) at z = 0.0371 is 0.01113, not 0.003339"),
    ],
)
def test_errors_of_an_activation(change: dict[str, object], message: str) -> None:
    relu = OwnActivation("own", RELU.value_formula, RELU.slope_formula, None, 1, "")
    assert flaw(relu) is None
    assert message in str(flaw(replace(relu, **change)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope_formula": "y / (1 + exp(m))"}, "slope is not the derivative of value: at f = -"),
        ({"second_formula": None}, "second is not the derivative of slope: at f = -"),
        ({"value_formula": "-m * m", "slope_formula": "-2 * f", "second_formula": "-2"}, "a loss must be convex"),
        ({"value_formula": "softplus(-m) + step(y) * f"}, "and y = 1 it is"),
    ],
)
def test_errors_of_a_loss(change: dict[str, object], message: str) -> None:
    own = OwnLoss("own", LOGISTIC.value_formula, LOGISTIC.slope_formula, LOGISTIC.second_formula, "")
    assert flaw(own) is None
    assert message in str(flaw(replace(own, **change)))  # type: ignore[arg-type]
