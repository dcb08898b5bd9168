"""Every activation against its twin, torch's own function, and the twin's derivatives by autograd."""

from functools import partial
from itertools import permutations
from typing import get_args, get_type_hints

import pytest
import torch
import torch.nn.functional as F
from helpers import PROPERTY, full_batches, loss_on, make_run
from hypothesis import given
from hypothesis import strategies as st
from twins import POINTS, derivatives, jumps

from featlearn.engines.span.engine import GramEngine
from featlearn.functions import ACTIVATIONS, Activation, activation
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.simulation import build_engine

# where a derivative jumps: (z, (slope, second derivative))
KINKS = {
    "relu": [(0.0, (0.0, 0.0))],
    "leaky_relu": [(0.0, (0.1, 0.0))],
    "relu2": [(0.0, (0.0, 0.0))],
    "relu3": [(0.0, (0.0, 0.0))],
    "smoothed_relu": [(0.0, (0.0, 0.0)), (1.0, (1.0, 2.0))],
    "smoothed_leaky_relu": [(0.0, (0.1, 0.0)), (1.0, (1.0, 0.9))],
}
wide = st.floats(-1e100, 1e100)
names = pytest.mark.parametrize("name", ACTIVATIONS)


def second(act, z):
    return 0 * z if act.second is None else act.second(z)


def agree(act, twin, z=POINTS):
    """Whether value, slope and second derivative are those of the twin, up to rounding.

    Autograd's derivatives of sigmoids and tanh have an absolute error, of 1 - s, which SiLU's multiply by z.
    """
    value, *derived = derivatives(twin, z)
    mine = act.slope(z), second(act, z)
    near = (torch.allclose(x, y, rtol=1e-15, atol=5e-15) for x, y in zip(mine, derived, strict=True))
    return torch.allclose(act.value(z), value, rtol=4e-16, atol=0) and all(near)


@names
def test_value_and_derivatives_are_those_of_the_twin(name):
    assert agree(ACTIVATIONS[name], ACTIVATIONS[name].twin)


@PROPERTY
@given(z=st.lists(wide, min_size=1, max_size=8))
def test_at_any_argument(z):
    z = torch.tensor(z, dtype=torch.float64)
    assert [name for name, act in ACTIVATIONS.items() if not agree(act, act.twin, z)] == []


@pytest.mark.parametrize("name", KINKS)
def test_at_a_kink_the_derivatives_are_those_of_the_left(name):
    """torch and the theory's 1(z > 0) agree: a dead filter at z = 0 gets no update."""
    act = ACTIVATIONS[name]
    for kink, expected in KINKS[name]:
        z = torch.tensor([kink, -kink] if kink == 0 else [kink], dtype=torch.float64)
        assert {*zip(act.slope(z).tolist(), second(act, z).tolist(), strict=True)} == {expected}


@names
def test_slope_is_the_difference_quotient(name):
    """Without twins and autograd; h^2 / 6 times a third derivative, and h / 2 times the jump of the second."""
    act, h = ACTIVATIONS[name], 1e-6
    z = torch.linspace(-8, 8, 641, dtype=torch.float64)[:-1] + 0.0125 / 2  # no kink within h
    quotient = (act.value(z + h) - act.value(z - h)) / (2 * h)
    assert torch.allclose(act.slope(z), quotient, rtol=1e-8, atol=1e-9)
    quotient = (act.slope(z + h) - act.slope(z - h)) / (2 * h)
    assert torch.allclose(second(act, z), quotient, rtol=1e-8, atol=1e-9)


@names
def test_nan_stays(name):
    assert ACTIVATIONS[name].value(torch.tensor([torch.nan, 1.0])).isnan().tolist() == [True, False]


@names
def test_degree_is_that_of_homogeneity(name):
    act, z = ACTIVATIONS[name], torch.tensor([-2.0, -0.5, 0.25, 0.75, 1.5], dtype=torch.float64)
    scaled = {q: torch.allclose(act.value(3 * z), 3**q * act.value(z), rtol=1e-14, atol=0) for q in range(5)}
    assert [q for q, holds in scaled.items() if holds] == ([] if act.degree is None else [act.degree])


@PROPERTY
@given(z=st.floats(-1e50, 1e50), r=st.floats(1e-40, 1e40))
def test_homogeneous_at_any_argument(z, r):
    z = torch.tensor([z], dtype=torch.float64)
    for act in ACTIVATIONS.values():
        if act.degree is not None:
            assert torch.allclose(act.value(r * z), r**act.degree * act.value(z), rtol=1e-14, atol=1e-300), act.name


@names
def test_smooth_is_without_a_jump_in_the_first_three_derivatives(name):
    """ReLU^3 is the limit: its second derivative has a kink at 0, its third a jump."""
    act = ACTIVATIONS[name]
    assert act.smooth == (name not in KINKS) == (not jumps(act.twin, orders=3))
    assert name != "relu3" or not jumps(act.twin, orders=2)


@names
def test_precision_and_shape_are_kept(name):
    act, z = ACTIVATIONS[name], torch.linspace(-3, 3, 6, dtype=torch.float32).view(2, 3)
    for function in (act.value, act.slope, partial(second, act)):
        single, double = function(z), function(z.double())
        assert single.dtype == torch.float32 and single.shape == z.shape
        assert torch.allclose(single.double(), double, rtol=1e-6, atol=3e-7)


def test_wrong_twins_fail():
    """Negative controls: gelu's approximation by tanh, and every activation against every other."""
    assert not agree(ACTIVATIONS["gelu"], lambda z: F.gelu(z, approximate="tanh"))
    assert not agree(ACTIVATIONS["leaky_relu"], F.leaky_relu)  # whose slope is .01
    slopes = {name: act.slope(POINTS) for name, act in ACTIVATIONS.items()}
    for a, b in permutations(ACTIVATIONS, 2):
        assert not agree(ACTIVATIONS[a], ACTIVATIONS[b].twin) and not torch.allclose(slopes[a], slopes[b]), (a, b)


def test_an_unknown_name_fails_with_the_choices():
    with pytest.raises(ValueError, match=r"^activation: expected one of relu, leaky_relu, .*, identity; found gelo$"):
        activation("gelo")


def test_a_new_activation_is_one_entry(monkeypatch):
    """A config accepts it, and the plain engine trains it as autograd does; loops compiled before refuse it."""
    compiled = pytest.importorskip("featlearn.functions.compiled")
    algebraic = Activation(
        "algebraic",
        "z / sqrt(1 + z * z)",
        "1 / sqrt(1 + z * z) / (1 + z * z)",
        "-3 * z / sqrt(1 + z * z) / (1 + z * z) / (1 + z * z)",
        degree=None,
        twin_text="z * (1 + z * z).rsqrt()",
    )
    assert agree(algebraic, algebraic.twin, POINTS[POINTS.abs() <= 40])
    monkeypatch.setitem(ACTIVATIONS, "algebraic", algebraic)
    assert "algebraic" in get_args(get_type_hints(TwoLayerCNN)["activation"])
    explicit = build_engine([make_run(network__activation="algebraic", engine="weights")], "cpu")
    engine = GramEngine(explicit.problem)
    alpha, coef, _ = step(engine).leaves
    expected = step(explicit).leaves[0]
    rebuilt = alpha[:, None, None] * explicit.initial().leaves[0] + coef @ explicit._distinct
    assert float((rebuilt - expected).abs().max()) < 1e-14
    with pytest.raises(ValueError, match=r"activation: expected one of relu, .*; found algebraic"):
        compiled.activation_kind("algebraic")


def step(engine):
    """The parameters after one step of gradient descent."""
    w, rule = engine.initial(), make_run().optimizer
    (batch,) = full_batches(engine, 1)
    return rule.step(loss_on(engine, batch), w, rule.init(w), 0)[0]
