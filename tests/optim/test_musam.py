"""m-USAM against its equation, one micro-batch after the other; its limits."""

import numpy as np
import pytest
import torch
from equations import HEAVY, PLAIN, descend, in_drawn_order, run_of, trained, unit
from helpers import PlainNetwork, engine_of, explicit

from featlearn.optim import MUSAM, USAM

ENGINES = pytest.mark.parametrize("engine", ["gram", "weights"])
SPLITS = [(8, {"n_shards": 2}), (4, {"micro_batch_size": 1}), (6, {"n_shards": 2})]


def by_equation(plain, base, orders, split, *, perturbation=lambda g: 0.2 * g, whole=False):
    """The weights after a step on each batch, with the mean of the micro-batches' gradients, each at its own point.

    whole: those gradients are taken on the whole batch. An epoch's last batch may be smaller.
    """

    def gradient(t, w, chosen, buffer):
        size = split.get("micro_batch_size") or len(chosen) // split["n_shards"]
        shards = [chosen[i : i + size] for i in range(0, len(chosen), size)]
        points = [w + perturbation(plain.gradient(w, shard)) for shard in shards]
        taken = [plain.gradient(at, chosen if whole else shard) for at, shard in zip(points, shards, strict=True)]
        return sum(taken) / len(shards)

    return descend(base, plain.start, orders, gradient)


@pytest.mark.parametrize(("batch_size", "split"), SPLITS)
@pytest.mark.parametrize("base", [PLAIN, HEAVY], ids=["plain", "heavy"])
@ENGINES
def test_each_micro_batch_is_perturbed_by_its_own_gradient(batch_size, split, base, engine):
    rule = MUSAM(rho=0.2, **split, base=base)
    run = run_of(rule, engine=engine, batch_size=batch_size, data__noise="independent")
    built, losses, orders = in_drawn_order(run, 6)
    plain = PlainNetwork(run)
    ours = explicit(trained(rule, built, losses), plain)
    assert np.abs(ours - by_equation(plain, base, orders, split)).max() < 1e-12
    for wrong in ({"perturbation": lambda g: 0.2 * unit(g)}, {"whole": True}):
        assert np.abs(ours - by_equation(plain, base, orders, split, **wrong)).max() > 1e-6


@ENGINES
def test_one_micro_batch_is_usam_bit_for_bit(engine):
    run = run_of(MUSAM(rho=0.2, n_shards=1, base=HEAVY), engine=engine, batch_size=4)
    built, losses, _ = in_drawn_order(run, 8)
    ours, usam = (trained(rule, built, losses) for rule in (run.optimizer, USAM(rho=0.2, base=HEAVY)))
    assert all(torch.equal(a, b) for a, b in zip(ours.leaves, usam.leaves, strict=True))
    other = trained(MUSAM(rho=0.2, n_shards=2, base=HEAVY), built, losses)
    assert not any(torch.equal(a, b) for a, b in zip(other.leaves[1:], usam.leaves[1:], strict=True))


def test_trackers_see_the_mean_of_the_points():
    """Of perturbations proportional to gradients it is USAM's point."""
    rule = MUSAM(rho=0.2, micro_batch_size=2, base=PLAIN)
    built = engine_of(run_of(rule))
    _, (loss,), _ = in_drawn_order(run_of(rule, batch_size=4), 1)
    w = built.initial()
    ours, usam = (r.probe(loss, w, r.init(w), 0) for r in (rule, USAM(rho=0.2, base=PLAIN)))
    assert all(torch.allclose(a, b, rtol=0, atol=1e-14) for a, b in zip(ours.leaves, usam.leaves, strict=True))
