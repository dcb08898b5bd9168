"""Two valleys: minima of equal loss with the given curvatures, and one barrier."""

import numpy as np
import pytest
import torch

from featlearn.models.two_valleys import TwoValleys

SHAPES = pytest.mark.parametrize(
    "model",
    [TwoValleys(), TwoValleys(sharp=100.0, flat=0.5, distance=2.0, n_transverse=3), TwoValleys(sharp=1.0, flat=7.0)],
)


def function(model):
    given = tuple(map(torch.as_tensor, model.given(0, None)))
    return lambda w: model.losses((w,), given)


@SHAPES
@pytest.mark.parametrize("side", [-1, 1])
def test_both_minima_have_loss_zero_and_their_curvature_in_all_directions(model, side):
    value, curvature = function(model), {-1: model.sharp, 1: model.flat}[side]
    w = torch.zeros(model.shapes(None)[0], dtype=torch.float64)
    w[0] = side * model.distance
    assert value(w) == 0 and not torch.func.grad(value)(w).any()
    expected = curvature * torch.eye(len(w), dtype=torch.float64)
    assert torch.allclose(torch.func.jacrev(torch.func.grad(value))(w), expected, rtol=1e-14, atol=1e-14)


@SHAPES
def test_there_is_one_barrier_between_them(model):
    value = function(model)
    x = torch.linspace(-3, 3, 2001, dtype=torch.float64) * model.distance
    points = torch.zeros(2001, *model.shapes(None)[0], dtype=torch.float64)
    points[:, 0] = x
    slopes = torch.func.vmap(torch.func.grad(value))(points)[:, 0]
    turns = slopes.sign().diff()
    assert turns[turns != 0].tolist() == [2, -2, 2]
    t = (model.sharp - model.flat) / (model.sharp + model.flat)
    roots = np.roots([3, -5 * t, 1, t])
    (top,) = roots[np.abs(roots.imag) < 1e-9].real * model.distance
    points[0, 0] = top
    assert abs(top) < model.distance and torch.func.grad(value)(points[0]).abs().max() < 1e-10 * model.sharp


def test_the_barrier_of_equal_valleys():
    value = function(TwoValleys(sharp=3.0, flat=3.0, distance=2.0))
    assert value(torch.zeros(1, dtype=torch.float64)).item() == pytest.approx(2**2 * 6 / 32, rel=1e-15)
