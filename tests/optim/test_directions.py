"""Lengths, ratios and projections against numpy, and at zero."""

import numpy as np
import pytest
import torch
from equations import run_of
from helpers import PlainNetwork, drawn_batches, engine_of, explicit, loss_on

from featlearn.optim import SGD
from featlearn.optim.directions import norm, projection, significant


@pytest.fixture(params=["gram", "weights"])
def case(request):
    """A loss, two gradients, and the same as explicit weights."""
    run = run_of(SGD(lr=0.1), engine=request.param)
    engine, (batches, _) = engine_of(run), drawn_batches(run, 2)
    plain = PlainNetwork(run)
    u, v = (engine.gradient(engine.initial(), batch) for batch in batches)
    return loss_on(engine, batches[0]), u, v, plain


def test_lengths_and_projections_are_those_of_the_explicit_weights(case):
    loss, u, v, plain = case
    a, b = explicit(u, plain), explicit(v, plain)
    assert norm(loss, u).item() == pytest.approx(np.linalg.norm(a), rel=1e-12)
    assert np.allclose(explicit(projection(loss, u, v), plain), (a * b).sum() / (b * b).sum() * b, rtol=0, atol=1e-14)


def test_a_projection_on_itself_is_the_vector_bit_for_bit(case):
    loss, u, _, _ = case
    assert all(torch.equal(a, b) for a, b in zip(projection(loss, u, u).leaves, u.leaves, strict=True))


def test_zero_stays_zero(case):
    loss, u, _, _ = case
    zero = 0.0 * u
    vectors = [projection(loss, u, zero), projection(loss, zero, u), significant(loss, zero, zero)]
    assert norm(loss, zero).item() == 0 and not any(leaf.any() for vector in vectors for leaf in vector.leaves)


def test_a_ratio_is_zero_where_there_is_none(case):
    ratio = case[0].ratio
    a, b = torch.tensor([1.0, 1.0, 0.0, 1.0, 3.0]), torch.tensor([0.0, torch.inf, 0.0, torch.nan, 2.0])
    assert ratio(a, b).tolist() == [0, 0, 0, 0, 1.5]


@pytest.mark.parametrize(("share", "kept"), [(1e-3, True), (1e-5, True), (1e-7, False), (1e-15, False)])
def test_a_difference_counts_from_a_millionth_of_its_terms_on(case, share, kept):
    loss, u, _, _ = case
    small = significant(loss, share * u, u)
    expected = (share if kept else 0.0) * u
    assert all(torch.equal(a, b) for a, b in zip(small.leaves, expected.leaves, strict=True))
