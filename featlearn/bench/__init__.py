"""Benchmarks: the Gram engine against an explicit loop and its arithmetic limit, and cost against problem sizes.

One run measures the whole report, alternating between the compared calls. It needs only torch, numpy, numba and scipy
(``python -m featlearn.bench`` if the packages of the command line are missing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from featlearn.bench.arithmetic import limit
from featlearn.bench.compare import compare
from featlearn.bench.curvature import curvature
from featlearn.bench.machine import machine
from featlearn.bench.micro_batches import by_shards
from featlearn.bench.sde import sde_paths
from featlearn.bench.setting import Setting
from featlearn.bench.sizes import by_block, by_dim, by_n_filters, by_n_samples, memory, million

__all__ = ["SECTIONS", "Setting", "run_benchmarks"]

SECTIONS: dict[str, Callable[[Setting], Any]] = {
    "compare": compare,
    "limit": limit,
    "dim": by_dim,
    "n_samples": by_n_samples,
    "n_filters": by_n_filters,
    "block": by_block,
    "curvature": curvature,
    "memory": memory,
    "million": million,
    "n_shards": by_shards,
    "sde": sde_paths,
}


def run_benchmarks(
    setting: Setting, only: Iterable[str] = (), progress: Callable[[str], None] = lambda name: None
) -> dict[str, Any]:
    """Measure all sections, or ``only`` some, calling ``progress`` with each name; return the report as plain JSON."""
    names = list(only) or list(SECTIONS)
    if unknown := [name for name in names if name not in SECTIONS]:
        raise ValueError(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    report: dict[str, Any] = {"machine": machine(setting.device), "setting": vars(setting)}
    for name in names:
        progress(name)
        report[name] = SECTIONS[name](setting)
    return report
