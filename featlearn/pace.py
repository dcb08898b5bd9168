"""How far a computation is, told to whoever wants to know; nobody does unless ``reporting_to`` says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

COMPILING = -1.0  # told in place of a share while loops are compiled, which happens once on a machine
Listener = Callable[[float], None]
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


def report_progress(share: float) -> None:
    """Tell the share of the steps of a block that have been taken, 0 to 1, or COMPILING."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(share)


@contextmanager
def reporting_to(listener: Listener) -> Iterator[None]:
    """Have a listener told of what is computed inside."""
    _watch_compiler()
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@cache
def _watch_compiler() -> None:
    """Have numba say when it begins to compile what its cache on disk does not hold."""
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
