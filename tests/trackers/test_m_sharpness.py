"""m-sharpness by loops over shards, and its limits."""

from itertools import pairwise

import numpy as np
import pytest
from helpers import PlainNetwork, explicit, make_run, view_of

from featlearn.trackers import Loss, MSharpness


def by_hand(run, view, radius, m):
    plain = PlainNetwork(run)
    w, n = explicit(view.w, plain), len(plain.labels)

    def loss(weights, i):
        return np.logaddexp(0, -plain.labels[i] * plain.output(weights, i))

    rise = 0.0
    for start in range(0, n, m):
        shard = range(start, min(start + m, n))
        g = plain.gradient(w, shard)
        there = w + radius * g / np.linalg.norm(g)
        rise += sum(loss(there, i) - loss(w, i) for i in shard) / n
    return rise


@pytest.mark.parametrize("engine", ["gram", "weights"])
@pytest.mark.parametrize("m", [1, 3, 8, 100])
def test_by_hand(engine, m):
    run = make_run(engine=engine, network__bias=True)
    view = view_of(run, steps=5)
    assert MSharpness(radius=0.2, m=m)(view)["m_sharpness"].item() == pytest.approx(
        by_hand(run, view, 0.2, m), rel=1e-9
    )


def test_smaller_shards_rise_more():
    view = view_of(*[make_run(seed=seed) for seed in range(4)], steps=5)
    rises = [MSharpness(radius=0.05, m=m)(view)["m_sharpness"] for m in (1, 2, 4, 8)]
    assert all((a > b).all() for a, b in pairwise(rises))


def test_at_a_small_radius_it_is_the_gradient_norm():
    """L(w + r g / |g|) - L(w) = r |g| to first order."""
    view = view_of(make_run(network__activation="softplus"), steps=5)
    rise = MSharpness(radius=1e-6, m=8)(view)["m_sharpness"].item()
    assert rise / 1e-6 == pytest.approx(Loss()(view)["grad_norm"].item(), rel=1e-5)
