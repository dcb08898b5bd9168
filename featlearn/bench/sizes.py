"""Cost of a network as one size grows; peak memory; and a million networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any

from featlearn import simulation
from featlearn.bench import explicit
from featlearn.bench.measure import Timing, interleave, with_peak
from featlearn.bench.networks import compute, network, seeds
from featlearn.bench.setting import Setting
from featlearn.runs import RunConfig
from featlearn.simulation import lanes, simulate_seeds

Rows = list[dict[str, Any]]
MILLION = 10**6


def by_dim(setting: Setting) -> Rows:
    """Return the cost of a network in every dimension."""
    return _grow("dim", setting.dims, lambda dim: network(dim=dim, n_steps=setting.n_steps), setting)


def by_n_samples(setting: Setting) -> Rows:
    """Return the cost of a network for every number of samples."""
    return _grow("n_samples", setting.n_samples, lambda n: network(n_samples=n, n_steps=setting.n_steps), setting)


def by_n_filters(setting: Setting) -> Rows:
    """Return the cost of a network for every number of filters."""
    return _grow("n_filters", setting.n_filters, lambda m: network(n_filters=m, n_steps=setting.n_steps), setting)


def by_block(setting: Setting) -> Rows:
    """Return the cost of a network for every block size."""
    run = network(n_steps=setting.n_steps)

    def call(size: int, number: int) -> None:
        with block_size(size, setting.device):
            compute(run, setting.device, number)

    calls = {size: partial(call, size) for size in setting.blocks}
    taken = interleave(calls, setting.repeats, setting.device)
    return [_row("block", size, timing.per(size)) for size, timing in taken.items()]


@contextmanager
def block_size(size: int, device: str) -> Iterator[None]:
    """Let the Gram engine compute ``size`` runs at a time."""
    sizes = simulation.LANES[device]
    before, sizes["gram"] = sizes["gram"], size
    try:
        yield
    finally:
        sizes["gram"] = before


def _grow(name: str, sizes: tuple[int, ...], make: Callable[[int], RunConfig], setting: Setting) -> Rows:
    calls = {size: partial(compute, make(size), setting.device) for size in sizes}
    taken = interleave(calls, setting.repeats, setting.device)
    return [_row(name, size, timing.per(lanes(make(size), setting.device))) for size, timing in taken.items()]


def _row(name: str, size: int, timing: Timing) -> dict[str, Any]:
    return {name: size, "seconds": timing.summary(), "runs_per_second": 1 / timing.median}


def memory(setting: Setting) -> Rows:
    """Return the peak memory of the explicit loop in its largest dimension, of one block and of several.

    On a CPU each is measured in a fresh process.
    """
    baseline, run = (network(dim=dim, n_steps=setting.n_steps) for dim in (max(setting.against), 10**12))
    calls: dict[str, tuple[Any, ...]] = {
        f"explicit loop, d = {baseline.data.dim}": (explicit.simulate, baseline),
        "Gram engine, d = 1e12, 1 block": (stream, run, 1),
        "Gram engine, d = 1e12, 8 blocks": (stream, run, 8),
    }
    return [
        {"what": what, **with_peak(*call, setting.device, device=setting.device)[1]} for what, call in calls.items()
    ]


def million(setting: Setting) -> dict[str, Any]:
    """Return the time and peak memory of a million SAM networks in float32, one recorded test error each.

    If the setting has fewer, the time of a million is extrapolated, and marked as such.
    """
    run = network(n_steps=setting.n_steps, n_tests=1, dtype="float32")
    n_blocks = -(-setting.million // lanes(run, setting.device))
    (seconds, error), peak = with_peak(stream, run, n_blocks, setting.device, device=setting.device)
    n_runs = n_blocks * lanes(run, setting.device)
    return {
        "n_runs": n_runs,
        "seconds": seconds,
        "mean_test_error": error,
        "runs_per_second": n_runs / seconds,
        "seconds_of_a_million": seconds * MILLION / n_runs,
        "extrapolated": n_runs < MILLION,
        **peak,
    }


def stream(run: RunConfig, n_blocks: int, device: str) -> tuple[float, float]:
    """Simulate blocks one after the other without keeping results; return the seconds and the mean test error.

    A warm-up block excludes one-time costs (compilation, Sobol points).
    """
    simulate_seeds(run, seeds(run, n_blocks, device), device=device)
    total, start = 0.0, perf_counter()
    for number in range(n_blocks):
        total += float(simulate_seeds(run, seeds(run, number, device), device=device)["test_error"][:, -1].mean())
    return perf_counter() - start, total / n_blocks
