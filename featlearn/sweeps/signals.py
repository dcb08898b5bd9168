"""Ctrl-C, SIGTERM and SIGHUP during a sweep: they end it where it computes or waits, never while it writes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = "SIGINT", "SIGTERM", "SIGHUP"  # Ctrl-C, the end of a job, a terminal that goes
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))


class Signals:
    """The signals received by a sweep.

    The first raises KeyboardInterrupt at once within ``open``, otherwise at the next ``check``. Later ones only print
    what the sweep still does, so that a commit once begun is finished.
    """

    def __init__(self) -> None:
        self.received = 0
        self._open = self._raised = False
        self._doing = "ending its processes"

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has been received."""
        if self.received:
            self._raised = True
            raise KeyboardInterrupt

    @contextmanager
    def open(self) -> Iterator[None]:
        """Let a signal interrupt what is inside."""
        self._open = True
        try:
            self.check()
            yield
        finally:
            self._open = False

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Name what a signal has to wait for."""
        before, self._doing = self._doing, what
        try:
            yield
        finally:
            self._doing = before

    def lost(self, error: BaseException | None) -> bool:
        """Whether an error is the interruption, raised where Python drops it, as in a callback of a C library.

        Then the next signal interrupts, or the next ``check``.
        """
        if not (self._open and isinstance(error, KeyboardInterrupt)):
            return False
        self._raised = False
        return True

    def handle(self, *_: Any) -> None:
        """Handle a signal."""
        self.received += 1
        if self._open and not self._raised:
            self._raised = True
            raise KeyboardInterrupt
        if not self._open:
            os.write(2, f"interrupted: {self._doing} first\n".encode())  # print is not allowed to a signal's handler


@contextmanager
def receiving() -> Iterator[Signals]:
    """Yield the signals received from now on; none outside the main thread, and none that the process ignores."""
    signals = Signals()
    before: dict[signal.Signals, Any] = {}
    main, shown = threading.current_thread() is threading.main_thread(), sys.unraisablehook
    try:
        if main:
            sys.unraisablehook = lambda lost: None if signals.lost(lost.exc_value) else shown(lost)
            for number in SIGNALS:
                if signal.getsignal(number) != signal.SIG_IGN:
                    before[number] = signal.signal(number, signals.handle)
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if main:
            sys.unraisablehook = shown
