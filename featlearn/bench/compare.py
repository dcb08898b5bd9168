"""The Gram engine against the explicit PyTorch loop on the same networks, including set-up and test errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from featlearn.bench import explicit
from featlearn.bench.measure import interleave
from featlearn.bench.networks import RULES, compute, network
from featlearn.bench.setting import Setting
from featlearn.optim import SAM
from featlearn.runs import RunConfig
from featlearn.simulation import lanes


def compare(setting: Setting) -> list[dict[str, Any]]:
    """Measure both rules in every dimension; SAM in the largest also without test errors, and in float32."""
    make = partial(network, n_steps=setting.n_steps)
    largest = max(setting.against)
    runs = [make(rule, dim=dim) for dim in setting.against for rule in RULES]
    runs += [make("sam", dim=largest, n_tests=0), make("sam", dim=largest, dtype="float32")]
    return [_row(run, setting) for run in runs]


def _row(run: RunConfig, setting: Setting) -> dict[str, Any]:
    """Time one explicit network, with one thread and with all (the faster counts), and a block of the Gram engine."""
    threads = (1,) if setting.device == "cuda" else sorted({1, os.cpu_count() or 1})
    calls = {count: partial(_explicit, run, setting.device, count) for count in threads}
    taken = interleave({**calls, 0: partial(compute, run, setting.device)}, setting.repeats, setting.device)
    ours = taken.pop(0).per(lanes(run, setting.device))
    best = min(taken, key=lambda count: taken[count].median)
    return {
        "rule": "sam" if isinstance(run.optimizer, SAM) else "sgd",
        "dim": run.data.dim,
        "dtype": run.dtype,
        "n_tests": len(run.record.steps) if run.record.trackers else 0,
        "ratio": taken[best].over(ours),
        "ratio_one_thread": taken[1].over(ours),
        "explicit_seconds": taken[best].summary(),
        "explicit_threads": best,
        "explicit_seconds_by_threads": {str(count): timing.median for count, timing in taken.items()},
        "gram_seconds": ours.summary(),
        "block": lanes(run, setting.device),
    }


def _explicit(run: RunConfig, device: str, count: int, number: int) -> None:
    with _threads(count):
        explicit.simulate(replace(run, seed=number), device)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
