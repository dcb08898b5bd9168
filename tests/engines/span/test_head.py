"""From patches to samples and back: by hand, transposes of each other, and one patch in several slots of a sample."""

from dataclasses import replace

import pytest
import torch
from helpers import RULES, engine_of, make_run, mini_batches
from repeated_patch import RepeatedPatch

from featlearn.data import SignalNoise
from featlearn.data.contract import breach
from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.engines.span.engine import GramEngine
from featlearn.engines.span.head import Head
from featlearn.models import TwoLayerCNN

DATA = {"other patches": SignalNoise(n_samples=5, dim=30, n_patches=4, signal_norm=1.0), "one twice": RepeatedPatch()}
NETWORK = TwoLayerCNN(n_filters=3, init_std=0.2, activation="softplus", patches="mean")


def by_hand(problem, lane):
    """A [n, N]: how often each sample shows each patch, times scale."""
    counts = torch.zeros(problem.n_samples, problem.gram.shape[1]).double()
    for i in range(problem.n_samples):
        for slot, times in enumerate(problem.times):
            counts[i, problem.shown[lane, i, slot]] += times * problem.scale
    return counts


@pytest.mark.parametrize("name", DATA)
def test_sums_by_hand_and_their_transpose(name):
    problem = engine_of(*(make_run(data=DATA[name], network=NETWORK, seed=seed) for seed in range(2))).problem
    head, (b, n, _), size = Head(problem), problem.shown.shape, problem.gram.shape[1]
    x, y = torch.randn(b, size, 2).double(), torch.randn(b, n, 2).double()
    counts = torch.stack([by_hand(problem, lane) for lane in range(b)])
    assert torch.allclose(head.per_sample(x), counts @ x, rtol=1e-13, atol=1e-14)
    assert torch.allclose(head.per_patch(y), counts.mT @ y, rtol=1e-13, atol=1e-14)
    active, second = torch.randn(b, 3, size).double(), torch.randn(3, 2).double()
    assert torch.allclose(head.outputs(active, second), counts @ (active.mT @ second), rtol=1e-13, atol=1e-14)


def test_the_contract_allows_one_patch_in_two_slots():
    assert breach(RepeatedPatch()) is None


@pytest.mark.parametrize("batch_size", [8, 3, 1])
def test_one_patch_in_two_slots_of_a_sample(batch_size):
    """Explicit weights, with all patches written out, and both Gram engines agree; so do micro-batches."""
    rule = RULES["sam"] if batch_size == 3 else RULES["msam"]
    run = make_run(rule, data=RepeatedPatch(), network=NETWORK, train__batch_size=batch_size)
    explicit = engine_of(replace(run, engine="weights"))
    aligned = []
    for engine in (explicit, GramEngine(explicit.problem), CPUGramEngine(explicit.problem)):
        w, memory = engine.initial(), None
        for t, loss in zip(range(20), mini_batches(engine.labels, run).losses(engine), strict=False):
            w, memory = rule.step(loss, w, rule.init(w) if memory is None else memory, t)
        aligned.append(engine.align(w))
    assert (aligned[0] - explicit.align(explicit.initial())).abs().max() > 1e-2
    assert all(torch.allclose(aligned[0], other, rtol=0, atol=1e-12) for other in aligned[1:])


def test_the_hessian_where_one_patch_is_in_two_slots():
    run = make_run(data=RepeatedPatch(), network=NETWORK)
    explicit = engine_of(replace(run, engine="weights"))
    batch = torch.full_like(explicit.labels, 1 / 8)
    engines = (explicit, GramEngine(explicit.problem), CPUGramEngine(explicit.problem))
    found = [engine.curvature(engine.initial(), batch) for engine in engines]
    for other in found[1:]:
        assert torch.allclose(found[0].trace(), other.trace(), rtol=1e-10)
        assert torch.allclose(found[0].top(2), other.top(2), rtol=1e-8)
