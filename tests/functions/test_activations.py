import math

import pytest
import torch

from featlearn.functions.activations import ACTIVATIONS

GRID = torch.tensor([*(i / 40 for i in range(-2400, 2401)), -0.0, 1e-300, -1e-300, 700.0, -700.0], dtype=torch.float64)
SMOOTH_AT_ZERO = {"relu": False, "relu2": True, "relu3": True, "softplus": True}

pytestmark = pytest.mark.parametrize("name", SMOOTH_AT_ZERO)


def test_slope_is_autograds(name):
    act = ACTIVATIONS[name]
    z = GRID.clone().requires_grad_()
    (slope,) = torch.autograd.grad(act.value(z).sum(), z)
    assert torch.allclose(act.slope(GRID), slope, rtol=1e-14, atol=1e-15)


def test_second_is_autograds_second_derivative(name):
    act = ACTIVATIONS[name]
    z = GRID.clone().requires_grad_()
    (slope,) = torch.autograd.grad(act.value(z).sum(), z, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), z)
    assert torch.allclose(0 * GRID if act.second is None else act.second(GRID), second, rtol=1e-12, atol=1e-15)


def test_slope_is_the_difference_quotient(name):
    act, h = ACTIVATIONS[name], 1e-5
    z = GRID[(GRID.abs() > 2 * h) | SMOOTH_AT_ZERO[name]]
    quotient = (act.value(z + h) - act.value(z - h)) / (2 * h)
    assert torch.allclose(act.slope(z), quotient, rtol=1e-6, atol=2e-5 if name != "relu" else 1e-9)


def test_value_is_the_formula(name):
    formula = {
        "relu": lambda z: max(z, 0.0),
        "relu2": lambda z: max(z, 0.0) ** 2,
        "relu3": lambda z: max(z, 0.0) ** 3,
        "softplus": lambda z: max(z, 0.0) + math.log1p(math.exp(-abs(z))),
    }[name]
    expected = torch.tensor([formula(z) for z in GRID.tolist()], dtype=torch.float64)
    assert torch.allclose(ACTIVATIONS[name].value(GRID), expected, rtol=1e-14, atol=0)


def test_kink_belongs_to_the_left(name):
    """torch and the theory's 1(z > 0) agree: a dead filter on z = 0 gets no update."""
    at_zero = ACTIVATIONS[name].slope(torch.tensor([0.0, -0.0]).double())
    assert at_zero.tolist() == ([0.5, 0.5] if name == "softplus" else [0.0, 0.0])


def test_degree_is_that_of_homogeneity(name):
    act, z = ACTIVATIONS[name], GRID[GRID.abs() < 50]
    scaled = {q: torch.allclose(act.value(3 * z), 3**q * act.value(z), rtol=1e-14) for q in (1, 2, 3)}
    assert [q for q, holds in scaled.items() if holds] == ([] if act.degree is None else [act.degree])
    assert torch.allclose(act.value(z), act.value(z) + 0 * act.slope(z))


def test_dtype_is_kept(name):
    z = torch.linspace(-3, 3, 7, dtype=torch.float32)
    assert ACTIVATIONS[name].value(z).dtype == ACTIVATIONS[name].slope(z).dtype == torch.float32
