"""Gradients with Gaussian noise. Mean and covariance of its systems: test_limit.py and test_draws.py."""

import torch
from sde_laws import F64, block, flat, loss_of

from featlearn.sde.gaussian import Shifted


def test_a_shift_is_added_to_the_gradient_alone():
    engine = block(1)
    loss, w = loss_of(engine, None), engine.initial()
    shift = engine.unflattened(torch.linspace(1, 2, 7, dtype=F64)[None])
    shifted = Shifted(loss, shift)
    assert torch.equal(flat(shifted.gradient(w)), flat(loss.gradient(w) + shift))
    g, hvp = shifted.linearize(w)
    assert torch.equal(flat(g), flat(shifted.gradient(w))) and torch.equal(flat(hvp(shift)), flat(loss.hvp(w, shift)))
    assert torch.equal(flat(shifted.third(w, shift)), flat(loss.third(w, shift)))
    assert torch.equal(flat(shifted.full.gradient(w)), flat(loss.gradient(w)))
    assert torch.equal(shifted.inner(shift, w), loss.inner(shift, w))
