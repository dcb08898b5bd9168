"""The product of landscapes: its derivatives, and the bits of a run within torch.func.vmap."""

import numpy as np
import pytest
import torch

from featlearn.models.landscape import matmul


def numbers(*shape, seed=0):
    return torch.as_tensor(np.random.default_rng(seed).normal(size=shape)).requires_grad_()


def test_derivatives_of_any_order():
    factors = numbers(3, 4), numbers(4, 2, seed=1)
    assert torch.autograd.gradcheck(matmul, factors) and torch.autograd.gradgradcheck(matmul, factors)
    assert torch.autograd.gradgradcheck(torch.func.vmap(matmul), (numbers(2, 3, 4), numbers(2, 4, 2, seed=1)))


def test_a_factor_without_gradient():
    left, right = numbers(3, 4).detach(), numbers(4, 2, seed=1)
    (found,) = torch.autograd.grad(matmul(left, right).sum(), right)
    assert torch.allclose(found, left.mT @ torch.ones(3, 2, dtype=torch.float64))


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0), (1, 2)])
def test_runs_side_by_side_have_the_bits_of_each_alone(axes):
    shapes = [[3, 5], [5, 7]]
    for shape, axis in zip(shapes, axes, strict=True):
        if axis is not None:
            shape.insert(axis, 4)
    factors = [numbers(*shape, seed=i).detach() for i, shape in enumerate(shapes)]
    together = torch.func.vmap(matmul, axes)(*factors)
    for lane, found in enumerate(together):
        own = [x if axis is None else x.select(axis, lane) for x, axis in zip(factors, axes, strict=True)]
        assert torch.equal(found, matmul(*own))


def test_many_gradients_at_once():
    left, right = numbers(2, 3, 4), numbers(2, 4, 2, seed=1)
    out, wanted = torch.func.vmap(matmul)(left, right), numbers(5, 2, 3, 2, seed=2).detach()

    def gradients(rows):
        return torch.autograd.grad(out, (left, right), rows, retain_graph=True)

    at_once = torch.func.vmap(gradients)(wanted)
    for row, gradient in enumerate(wanted):
        assert all(torch.equal(a[row], b) for a, b in zip(at_once, gradients(gradient), strict=True))
