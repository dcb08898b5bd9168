"""What the caller has set in torch, numpy and Python, and a run must not depend on: its numbers are its seed's alone.

Modes of the calling thread are set within and restored behind. What is the whole process's is touched only where it
differs from what a fresh process has; while several threads compute, the last of them restores it.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

Setting = tuple[Callable[[], Any], Callable[[Any], Any], Any]  # how to look, how to set, what a fresh process has

FRESH: tuple[Setting, ...] = (
    (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode, 0),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
    (
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda modes: torch.set_anomaly_enabled(*modes),
        (False, True),
    ),
)
OF_NUMPY = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
SOFTENED = {"error": "default"}  # a warning is shown, and ends no run
_TINY = 5e-324  # below the normal numbers: zero where they are flushed

_lock = threading.Lock()
_within: list[ExitStack] = []  # what restores the process, and one entry for each thread more


@contextmanager
def undisturbed() -> Iterator[None]:
    """Compute as in a fresh process, and restore what the caller has set."""
    with ExitStack() as stack:
        for mode in _modes():
            stack.enter_context(mode)
        stack.enter_context(_fresh_process())
        yield


def _modes() -> Iterator[Any]:
    """Yield what sets the modes of this thread."""
    yield torch.inference_mode(False)
    yield torch.enable_grad()
    yield np.errstate(**OF_NUMPY)  # type: ignore[arg-type]
    for kind in ("cpu", "cuda"):
        if torch.is_autocast_enabled(kind):
            yield torch.autocast(kind, enabled=False)
    if torch.get_default_device().type != "cpu":
        yield torch.device("cpu")
    if _TINY == 0.0:
        yield _changed(torch.set_flush_denormal, False, True)


@contextmanager
def _changed(change: Callable[[Any], Any], now: Any, afterwards: Any) -> Iterator[None]:
    change(now)
    try:
        yield
    finally:
        change(afterwards)


@contextmanager
def _fresh_process() -> Iterator[None]:
    with _lock:
        stack = ExitStack()
        if not _within:
            _freshen(stack)
        _within.append(stack)
    try:
        yield
    finally:
        with _lock:
            last = _within.pop()
            if not _within:
                last.close()


def _freshen(stack: ExitStack) -> None:
    """Set what differs from a fresh process, and let the stack restore it."""
    for look, change, fresh in FRESH:
        if (found := look()) != fresh:
            stack.enter_context(_changed(change, fresh, found))
    if any(action in SOFTENED for action, *_ in warnings.filters):
        stack.enter_context(warnings.catch_warnings())
        softer = [(SOFTENED.get(action, action), *rest) for action, *rest in warnings.filters]
        warnings.filters[:] = softer  # type: ignore[index]
