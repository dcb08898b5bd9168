"""What the caller has set in torch, numpy and Python, and a run must not depend on: its numbers are its seed's alone.

Modes of the calling thread are set within and restored behind. What is the whole process's is touched only where it
differs from what a fresh process has; while several threads compute, the last of them restores it. Each computes with
one thread of torch and of numpy's BLAS: the rounding of a product may depend on how many share it.
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

Setting = tuple[Callable[[], Any], Callable[[Any], Any], Any]  # how to look, how to set, what a fresh process has

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
SOFTENED = {"error": "default"}  # a warning is shown, and ends no run
_TINY = 5e-324  # below the normal numbers: zero where they are flushed

_lock = threading.Lock()
_within: list[int] = []  # the threads that compute, by their idents
_process = ExitStack()  # what restores the process behind the last of them
_many = 1  # threads of torch that the first of them found


@contextmanager
def fresh_environment() -> Iterator[None]:
    """Compute as in a fresh process, and restore what the caller has set."""
    with _fresh_process(), ExitStack() as stack:
        for mode in _modes():
            stack.enter_context(mode)
        yield


def _modes() -> Iterator[Any]:
    """Yield what sets the modes of this thread."""
    yield torch.inference_mode(False)
    yield torch.enable_grad()
    yield np.errstate(**OF_NUMPY)  # type: ignore[arg-type]
    if _within.count(threading.get_ident()) == 1:
        found = torch.get_num_threads()
        yield _changed(torch.set_num_threads, 1, _many if found == 1 else found)  # new threads begin with the others' 1
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
    """Set what differs from a fresh process, and let the stack restore it."""
    global _many
    _many = torch.get_num_threads()
    for library in _blas():
        _one_thread(library, stack)
    for look, change, fresh in FRESH:
        if (found := look()) != fresh:
            stack.enter_context(_changed(change, fresh, found))
    if any(action in SOFTENED for action, *_ in warnings.filters):
        stack.enter_context(warnings.catch_warnings())
        softer = [(SOFTENED.get(action, action), *rest) for action, *rest in warnings.filters]
        warnings.filters[:] = softer  # type: ignore[index]


def _one_thread(library: Any, stack: ExitStack) -> None:
    """Give a BLAS one thread, and let the stack restore what it had, in whichever thread that is closed."""
    forget = getattr(library, "clear_controlling_thread", lambda **how: None)  # threadpoolctl heeds one thread alone

    def change(threads: int) -> None:
        forget(force=True)
        library.set_num_threads(threads)
        forget(force=True)

    stack.enter_context(_changed(change, 1, library.num_threads))


@cache
def _blas() -> list[Any]:
    """Return what controls the threads of each BLAS that is loaded; nothing where threadpoolctl is not installed."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return []
    found: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found
