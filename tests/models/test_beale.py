"""Beale's function: its minimum and its saddle."""

import pytest
import torch

from featlearn.models.beale import Beale

CRITICAL = {  # gradient 0; value, Hessian
    (3.0, 0.5): (0.0, [[3.15625, -11.4375], [-11.4375, 46.125]]),
    (0.0, 1.0): (14.203125, [[0.0, 27.75], [27.75, 0.0]]),
}


def value(w):
    return Beale().losses((w,), ())


@pytest.mark.parametrize("point", CRITICAL)
def test_minimum_and_saddle_are_those_of_the_formula(point):
    w, (height, hessian) = torch.tensor(point, dtype=torch.float64), CRITICAL[point]
    assert value(w).item() == height
    assert torch.func.grad(value)(w).tolist() == [0.0, 0.0]
    assert torch.func.jacrev(torch.func.grad(value))(w).tolist() == hessian  # binary fractions, so exact


def test_elsewhere_it_is_positive_with_a_gradient():
    near = torch.tensor([3.0, 0.6], dtype=torch.float64)
    assert value(near) > 0 and torch.func.grad(value)(near).abs().min() > 0.1
