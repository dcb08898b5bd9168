"""Shields a run from the caller's settings of torch, numpy and Python: its numbers depend on its seed alone.

Settings of the calling thread are set on entry and restored on exit. Settings of the process are changed only if they
differ from a fresh process; when several threads compute, the last one restores them. Each computes with one thread of
torch and of numpy's BLAS, since the rounding of a product may depend on the number of threads.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

import numpy as np
import torch

Setting = tuple[Callable[[], Any], Callable[[Any], Any], Any]  # getter, setter, value in a fresh process

FRESH: tuple[Setting, ...] = (
    (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode, 0),
    *(
        (partial(getattr, matmul, "fp32_precision"), partial(setattr, matmul, "fp32_precision"), "ieee")
        for matmul in (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    ),
    (
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda modes: torch.set_anomaly_enabled(*modes),
        (False, True),
    ),
)
OF_NUMPY = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
SOFTENED = {"error": "default"}  # a warning is shown, but does not end a run
_TINY = 5e-324  # subnormal: zero if subnormals are flushed

_lock = threading.Lock()
_within: list[int] = []  # idents of the threads that compute
_process = ExitStack()  # restores the process after the last of them
_many = 1  # torch threads found by the first of them


@contextmanager
def fresh_environment() -> Iterator[None]:
    """Compute as in a fresh process, and restore the caller's settings."""
    with _fresh_process(), ExitStack() as stack:
        for mode in _modes():
            stack.enter_context(mode)
        yield


def _modes() -> Iterator[Any]:
    """Yield context managers that set the modes of this thread."""
    yield torch.inference_mode(False)
    yield torch.enable_grad()
    yield np.errstate(**OF_NUMPY)  # type: ignore[arg-type]
    if _within.count(threading.get_ident()) == 1:
        found = torch.get_num_threads()
        yield _changed(torch.set_num_threads, 1, _many if found == 1 else found)  # new threads inherit the others' 1
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
        if not _within:
            _freshen(_process)
        _within.append(threading.get_ident())
    try:
        yield
    finally:
        with _lock:
            _within.remove(threading.get_ident())
            if not _within:
                _process.close()


def _freshen(stack: ExitStack) -> None:
    """Set what differs from a fresh process; the stack restores it."""
    global _many
    _many = torch.get_num_threads()
    for library in _blas():
        _one_thread(library, stack)
    for get, change, fresh in FRESH:
        if (found := get()) != fresh:
            stack.enter_context(_changed(change, fresh, found))
    if any(action in SOFTENED for action, *_ in warnings.filters):
        stack.enter_context(warnings.catch_warnings())
        softer = [(SOFTENED.get(action, action), *rest) for action, *rest in warnings.filters]
        warnings.filters[:] = softer  # type: ignore[index]


def _one_thread(library: Any, stack: ExitStack) -> None:
    """Give a BLAS one thread; the stack restores its number, from whichever thread closes it."""
    forget = getattr(library, "clear_controlling_thread", lambda **how: None)  # threadpoolctl heeds one thread alone

    def change(threads: int) -> None:
        forget(force=True)
        library.set_num_threads(threads)
        forget(force=True)

    stack.enter_context(_changed(change, 1, library.num_threads))


@cache
def _blas() -> list[Any]:
    """Return the controllers of all loaded BLAS libraries; empty if threadpoolctl is not installed."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return []
    found: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found
