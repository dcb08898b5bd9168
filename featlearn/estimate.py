"""Estimates the cost of a sweep before it starts: steps and rows by counting, time and size by a short trial.

Both use runs spread evenly over the sweep, at most SAMPLE of them, each with an equal weight.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from featlearn.runs import RunConfig

if TYPE_CHECKING:
    from featlearn.config import SweepConfig

SAMPLE, SHAPES = 128, 6  # limits: runs that are counted, kinds of blocks that are timed
ENOUGH = 0.2  # seconds: a trial takes more steps until they last this long
RECORDS = 6  # of a trial


@dataclass(frozen=True)
class Count:
    """Runs, steps and recorded rows of a whole sweep."""

    runs: int
    steps: int
    rows: int


@dataclass(frozen=True)
class Trial:
    """Estimated seconds in one process and bytes before compression of a whole sweep, and how they were measured.

    shapes: kinds of blocks that were timed, ``of`` those in the sample. seconds_spent: duration of the trial.
    """

    seconds: float
    bytes: float
    device: str
    shapes: int
    of: int
    seconds_spent: float


def count(config: SweepConfig) -> Count:
    """Count steps and rows of a sweep; exact if it has at most SAMPLE runs, or all runs are equally long."""
    runs = sample(config)
    share = config.n_runs / len(runs)
    steps, rows = sum(run.train.n_steps for run in runs), sum(len(run.record.steps) for run in runs)
    return Count(config.n_runs, round(share * steps), round(share * rows))


def sample(config: SweepConfig) -> list[RunConfig]:
    """Return runs spread evenly over a sweep, all if there are few."""
    lengths = [len(axis) for axis in config.axes]
    places = np.unique(np.linspace(0, config.n_runs - 1, min(config.n_runs, SAMPLE)).round().astype(int))
    choices = np.stack(np.unravel_index(places, lengths), 1).tolist() if lengths else [[]]
    return [config.grid.sections(choice).run() for choice in choices]


def trial(config: SweepConfig, device: str = "auto") -> Trial:
    """Simulate a few steps of a few kinds of blocks, and extrapolate; compilation is not counted."""
    from featlearn.devices import chosen_device
    from featlearn.simulation import block_key, lanes

    began, device, runs = time.monotonic(), chosen_device(device), sample(config)
    keys: list[Hashable] = [block_key(run) for run in runs]
    groups = {key: [run for run, its in zip(runs, keys, strict=True) if its == key] for key in Counter(keys)}
    timed = list(groups.values())[:: math.ceil(len(groups) / SHAPES)]
    seconds = size = 0.0
    share, untimed = config.n_runs / len(runs), len(groups) / len(timed)
    for group in timed:
        n_runs, first = share * len(group), group[0]
        block, record = _measure(first, device)
        seconds += untimed * math.ceil(n_runs / lanes(first, device)) * block
        size += untimed * n_runs * len(first.record.steps) * record
    return Trial(seconds, size, device, len(timed), len(groups), time.monotonic() - began)


def _measure(first: RunConfig, device: str) -> tuple[float, float]:
    """Return the seconds of a block of runs like ``first``, and the bytes per record of one run."""
    whole = first.train.n_steps
    least, _ = _timed(first, 1, 2, device, again=True)
    steps, taken = min(8, whole), least
    while steps < whole and taken - least < ENOUGH:
        steps = min(4 * steps, whole)
        taken, _ = _timed(first, steps, 2, device)
    often, size = _timed(first, steps, min(RECORDS, steps + 1), device)
    step = max(taken - least, 0) / max(steps - 1, 1)
    record = max(often - taken, 0) / max(min(RECORDS, steps + 1) - 2, 1)
    return least + step * (whole - 1) + record * (len(first.record.steps) - 2), size


def _timed(run: RunConfig, steps: int, records: int, device: str, again: bool = False) -> tuple[float, float]:
    """Return the seconds of a shortened block, of its second call if ``again``, and the bytes per record of one run.

    The runs of the block differ in their seeds only, so that the draws cost as much as in any block.
    """
    from featlearn.simulation import lanes, simulate_block

    at = tuple(np.unique(np.linspace(0, steps, records).round().astype(int)).tolist())
    short = replace(run, train=replace(run.train, n_steps=steps), record=replace(run.record, steps=at))
    block = [replace(short, seed=seed) for seed in range(lanes(run, device))]
    if again:
        simulate_block(block, device=device)
    began = time.perf_counter()
    trajectory = simulate_block(block, device=device)[0]
    taken = time.perf_counter() - began
    return taken, 8 + sum(values.nbytes for values in trajectory.values.values()) / len(trajectory.steps)
