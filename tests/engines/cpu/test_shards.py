"""Micro-batches in compiled loops equal those of the plain engine, and of a run alone."""

from dataclasses import replace

import pytest
import torch
from equations import run_of
from helpers import engine_of, loss_on, make_run, mini_batches

from featlearn.data import XOR
from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.engines.protocol import Loss
from featlearn.engines.span.engine import GramEngine
from featlearn.optim import MSAM, SGD

SETTINGS = {
    "bias, flips": {},
    "no bias": {"network__bias": False},
    "independent noise": {"data__noise": "independent", "data__n_patches": 4},
    "relu2": {"network__activation": "relu2"},
    "relu3": {"network__activation": "relu3"},
    "softplus, 4 filters": {"network__activation": "softplus", "network__n_filters": 4},
    "xor, square loss": {"data": XOR(n_samples=8, dim=60, signal_norm=2.0), "network__loss": "square"},
}
RULE = MSAM(rho=0.2, micro_batch_size=2, base=SGD(lr=0.1))


def both(runs, size):
    """Micro-batches in the compiled and the plain engine, each with a point of its whole engine."""
    fused = engine_of(*runs)
    assert isinstance(fused, CPUGramEngine)
    loss = next(mini_batches(fused.labels, *runs).losses(fused))
    for engine in (fused, GramEngine(fused.problem)):
        start = engine.initial()
        there = start + 0.3 * engine.gradient(start, torch.full_like(loss.batch, 1 / 8))
        yield replace(loss, engine=engine), there, engine.shards(replace(loss, engine=engine), size)


def steps(loss, w, shards):
    """All results that a rule may compute from micro-batches, as plain tensors."""
    at = shards.split(w)
    g = shards.loss.gradient(at)
    length = torch.linspace(0.1, 1, len(g.leaves[0]), dtype=w.leaves[1].dtype)
    further = at + length * shards.loss.unit(g)
    h = shards.loss.gradient(further)
    mixed = 0.5 * (h - g) + h
    vectors = [at, g, further, h, mixed, mixed - 2.0 * h, h.where(length > 0.5, g), shards.mean(h), shards.mean(mixed)]
    bent = [shards.loss.hvp(further, h), shards.loss.hvp(at, 0.5 * g), shards.loss.hvp(at, mixed)]
    vectors += [*bent, shards.mean(bent[0]), shards.mean(length * (g + 0.1 * bent[1]))]
    yield from (leaf for vector in vectors for leaf in vector.leaves)
    yield from (shards.loss.inner(g, g), shards.loss.inner(g, h), shards.loss.inner(0.5 * g, 0.5 * g))
    yield shards.loss.inner(shards.loss.unit(mixed), g)
    yield shards.loss.engine.labels
    mean = shards.mean(h)
    yield loss.inner(mean, mean)


def apart(a, b):
    """The largest difference, relative to the largest number if that exceeds 1."""
    assert a.shape == b.shape
    return float((a - b).abs().max() / b.abs().max().clamp(min=1))


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(("batch_size", "size"), [(8, 2), (6, 1), (4, 2)])
def test_they_are_the_plain_twin(setting, batch_size, size):
    runs = [run_of(RULE, batch_size=batch_size, seed=seed, **SETTINGS[setting]) for seed in range(3)]
    fused, plain = both(runs, size)
    pairs = list(zip(steps(*fused), steps(*plain), strict=True))
    assert max(apart(a, b) for a, b in pairs) < 1e-13
    assert fused[2].count == plain[2].count == batch_size // size
    assert all(torch.isfinite(a).all() for a, _ in pairs) and any(a.abs().max() > 1e-2 for a, _ in pairs)


def test_they_are_the_plain_twin_in_float32_too():
    runs = [run_of(RULE, batch_size=4, seed=seed, dtype="float32") for seed in range(3)]
    fused, plain = both(runs, 2)
    pairs = list(zip(steps(*fused), steps(*plain), strict=True))
    assert all(a.dtype == torch.float32 for a, _ in pairs) and max(apart(a, b) for a, b in pairs) < 1e-5


def test_a_run_has_its_own_bits_in_any_block():
    runs = [run_of(RULE, batch_size=4, seed=seed, data__noise="independent") for seed in range(5)]

    def means(*block):
        _, w, shards = next(both(block, 1))
        at = shards.split(w)
        return shards.mean(shards.loss.gradient(at + 0.2 * shards.loss.unit(shards.loss.gradient(at)))).leaves

    together = means(*runs)
    for lane, run in enumerate(runs):
        assert all(torch.equal(a[lane], b[0]) for a, b in zip(together, means(run), strict=True))


def test_the_rest_is_served_by_the_plain_engine_of_the_parts():
    """Rows, outputs and losses are those of the problem of each micro-batch, which is built on use."""
    fused, plain = both([run_of(RULE, batch_size=6)], 2)
    parts = (fused[2], fused[2].loss.engine.plain), (plain[2], plain[2].loss.engine)
    points = fused[2].split(fused[1]), plain[2].split(plain[1])
    squares = [engine.rows_square(shards.loss.gradient(w)) for (shards, engine), w in zip(parts, points, strict=True)]
    assert apart(*squares) < 1e-13
    outputs = [engine.outputs(w) for (_, engine), w in zip(parts, points, strict=True)]
    assert apart(*outputs) < 1e-13
    losses = [shards.loss.engine.losses(w) for (shards, _), w in zip(parts, points, strict=True)]
    assert apart(*losses) < 1e-13


@pytest.mark.parametrize("setting", ["softmax", "trained"])
def test_other_heads_take_the_whole_engine(setting):
    changes = {"softmax": {"network__loss": "softmax"}, "trained": {"network__second_layer": "trained"}}[setting]
    fused, plain = both([run_of(RULE, batch_size=6, seed=seed, **changes) for seed in range(2)], 2)
    assert type(fused[2].loss.engine) is CPUGramEngine
    pairs = list(zip(steps(*fused), steps(*plain), strict=True))
    assert max(apart(a, b) for a, b in pairs) < 1e-13 and any(a.abs().max() > 1e-2 for a, _ in pairs)


def test_one_micro_batch_is_the_batch():
    run = make_run(RULE, train__batch_size=4)
    engine = engine_of(run)
    loss = loss_on(engine, next(mini_batches(engine.labels, run).losses(engine)).batch)
    shards = engine.shards(loss, 4)
    assert shards.loss is loss and shards.count == 1 and isinstance(shards.loss, Loss)
    w = engine.initial()
    assert shards.split(w) is w and shards.mean(w) is w
