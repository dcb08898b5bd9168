"""How time and memory are measured: alternating calls, medians and ranges, peak memory in fresh processes."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import torch

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Timing:
    """The seconds of a call in each round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.seconds)

    def per(self, count: float) -> Timing:
        """Return the seconds of each of ``count`` equal parts."""
        return Timing(tuple(s / count for s in self.seconds))

    def over(self, other: Timing) -> dict[str, float]:
        """Return how many times longer this took than ``other``, with the extremes over the rounds."""
        ratios = [a / b for a, b in zip(self.seconds, other.seconds, strict=True)]
        return {"median": self.median / other.median, "min": min(ratios), "max": max(ratios)}

    def summary(self) -> dict[str, float]:
        """Return median, min and max."""
        return {"median": self.median, "min": min(self.seconds), "max": max(self.seconds)}


def clock(call: Callable[[], object], device: str) -> float:
    """Return the seconds that a call takes, until the device has finished."""
    _wait(device)
    start = perf_counter()
    call()
    _wait(device)
    return perf_counter() - start


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def interleave(calls: Mapping[K, Callable[[int], object]], repeats: int, device: str) -> dict[K, Timing]:
    """Time every call once per round, so that drift of the machine affects all alike.

    Its argument is the number of the round; round 0 warms up (compilation, caches) and is not counted.
    """
    seconds: dict[K, list[float]] = {name: [] for name in calls}
    for number in range(repeats + 1):
        for name, call in calls.items():
            seconds[name].append(clock(partial(call, number), device))
    return {name: Timing(tuple(taken[1:])) for name, taken in seconds.items()}


def with_peak(call: Callable[..., Any], *args: Any, device: str) -> tuple[Any, dict[str, int]]:
    """Return the result of the call, and its peak memory in bytes.

    On a CPU it runs in a fresh process: peak is the maximum of the process, libraries included; growth excludes the
    imports. On CUDA peak is the memory allocated by torch.
    """
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        result = call(*args)
        return result, {"peak": torch.cuda.max_memory_allocated()}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_watched, call, *args).result()


def _watched(call: Callable[..., Any], *args: Any) -> tuple[Any, dict[str, int]]:
    before = _resident_peak()
    result = call(*args)
    peak = _resident_peak()
    return result, {"peak": peak, "growth": peak - before}


def _resident_peak() -> int:
    """Return the peak resident bytes of this process; not from getrusage on Linux, where a child inherits the value."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return 1024 * int(found[1])
    import resource

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
