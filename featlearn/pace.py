"""Progress of a computation, reported to the listener that ``reporting_to`` sets, if any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

COMPILING = -1.0  # reported in place of a share while loops are compiled, once on a machine
Listener = Callable[[float], None]
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


def report_progress(share: float) -> None:
    """Report the completed share of a block's steps, 0 to 1, or COMPILING."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(share)


@contextmanager
def reporting_to(listener: Listener) -> Iterator[None]:
    """Report the progress of the computations inside to a listener."""
    _watch_compiler()
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@cache
def _watch_compiler() -> None:
    """Report COMPILING whenever numba compiles a function that its disk cache lacks."""
    try:
        from numba.core import event
    except ModuleNotFoundError:
        return

    class Compiling(event.Listener):  # type: ignore[misc]  # numba has no types
        def on_start(self, event: Any) -> None:
            report_progress(COMPILING)

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Compiling())
