"""Cost of mSAM relative to SAM: steps on the same batches, cut into one to B micro-batches, in both engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

from featlearn.bench.measure import Timing, interleave
from featlearn.bench.networks import block, network
from featlearn.bench.setting import Setting
from featlearn.environment import fresh_environment
from featlearn.loop import MiniBatches
from featlearn.optim import MSAM, stack
from featlearn.runs import RunConfig
from featlearn.simulation import build_engine

DIM = 2000  # of the networks with explicit weights


def by_shards(setting: Setting) -> list[dict[str, Any]]:
    """Return the time of a step of a network, and its ratio to SAM's, for every engine, batch and count."""
    gram = network("sam", n_tests=0)
    weights = replace(network("sam", dim=DIM, n_tests=0), engine="weights", sampling="vectors")
    n = gram.data.n_samples
    with fresh_environment():
        return [row for run in (gram, weights) for size in (n, n // 2) for row in _over_shards(run, size, setting)]


def _over_shards(run: RunConfig, size: int, setting: Setting) -> list[dict[str, Any]]:
    sam = replace(run, train=replace(run.train, batch_size=size))
    counts = [count for count in range(1, size + 1) if size % count == 0]
    rules = {0: sam.optimizer, **{s: MSAM(rho=sam.optimizer.rho, n_shards=s, base=sam.optimizer.base) for s in counts}}
    taken = interleave(
        {count: _steps(replace(sam, optimizer=rule), setting) for count, rule in rules.items()},
        setting.repeats,
        setting.device,
    )
    reference = taken.pop(0)
    return [_row(run, size, count, timing, reference, setting.n_steps) for count, timing in taken.items()]


def _row(run: RunConfig, size: int, count: int, timing: Timing, sam: Timing, n_steps: int) -> dict[str, Any]:
    per_step = timing.per(n_steps * len(block(run, 0)))
    where = {"engine": run.engine, "dim": run.data.dim, "batch_size": size, "n_shards": count}
    return {**where, "ratio": timing.over(sam), "step_seconds": per_step.summary()}


def _steps(run: RunConfig, setting: Setting) -> Callable[[int], None]:
    """Return a function that takes the steps of a block drawn in advance."""
    runs = block(run, 0)
    engine = build_engine(runs, setting.device)
    rule = stack([one.optimizer for one in runs], engine.labels.new_tensor)

    def take(number: int) -> None:
        w, memory = engine.initial(), rule.init(engine.initial())
        batches = MiniBatches.of(run.train, engine).losses(engine)
        for t, loss in enumerate(islice(batches, setting.n_steps)):
            w, memory = rule.step(loss, w, memory, t)

    return take
