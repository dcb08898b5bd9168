"""The last words of a process: where it was when it crashed or exceeded a time limit.

Python's faulthandler writes them from C, also while a library holds the interpreter or is in an endless loop.
"""

from __future__ import annotations

import faulthandler
import re
import signal
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from featlearn.pace import COMPILING

LONGEST_COMPILATION = 600.0  # seconds, of one function
START_SECONDS = 6.0  # that the first computation of its kind in a process may take more: it takes about 2
WAITS, WAIT_SECONDS = 10.0, 60.0
_COUNTS = hasattr(signal, "setitimer")  # the system counts the processor time of a process, and ends it by SIGPROF
_TIMEOUT = "Timeout ("
_started = set[Hashable]()  # kinds of computations that this process has done
T = TypeVar("T")
_EXIT = re.compile(r"\{(\w+)\((-?\d+)\)")  # as in {SIGSEGV(-11)}


class Watch:
    """Ends this process if a computation takes longer than ``limit`` seconds, compilation aside.

    They are seconds of the processor, since a run is not to blame for other programs. One that waits, as for a lock,
    uses none: it is ended after WAITS times as long, at least WAIT_SECONDS.
    """

    def __init__(self, file: IO[str], limit: float | None) -> None:
        self._file, self._limit = file, limit
        self._end = 0.0
        self._compiling: float | None = None  # since when

    def timed(self, compute: Callable[[], T], kind: Hashable) -> T:
        """Return what ``compute`` returns, in time.

        kind: of what is computed. The first of its kind in a process also imports and sets up libraries, which takes
        seconds: it may take START_SECONDS more, and if it needs them it is computed again.
        """
        if self._limit is None:
            return compute()
        if kind not in _started:
            found, seconds = self._clocked(compute, self._limit + START_SECONDS)
            _started.add(kind)
            if seconds <= self._limit:
                return found
        return self._clocked(compute, self._limit)[0]

    def _clocked(self, compute: Callable[[], T], seconds: float) -> tuple[T, float]:
        """Return what ``compute`` returns, and how long it took."""
        self._end, self._compiling = _now() + seconds, None
        self._arm(seconds)
        try:
            return compute(), _now() + seconds - self._end
        finally:
            self._disarm()

    def note(self, share: float) -> None:
        """Stop the clock during compilation, which says nothing of a run; a listener of progress."""
        if self._limit is None:
            return
        now = _now()
        if share == COMPILING:
            self._compiling = self._compiling or now
            self._arm(self._end - self._compiling + LONGEST_COMPILATION)
        elif self._compiling is not None:
            self._end += now - self._compiling
            self._compiling = None
            self._arm(self._end - now)

    def _arm(self, seconds: float) -> None:
        seconds = max(seconds, 0.001)
        if _COUNTS:
            faulthandler.register(signal.SIGPROF, self._file, chain=True)
            signal.setitimer(signal.ITIMER_PROF, seconds)
            seconds = max(WAITS * seconds, WAIT_SECONDS)
        faulthandler.dump_traceback_later(seconds, exit=True, file=self._file)

    def _disarm(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        if _COUNTS:
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.unregister(signal.SIGPROF)


def _now() -> float:
    return time.process_time() if _COUNTS else time.monotonic()


@contextmanager
def watched(path: Path | None, limit: float | None) -> Iterator[Watch]:
    """Write the last words of this process to a file, which is removed if there are none; without a path nowhere."""
    with open(path, "w", encoding="utf-8") if path else tempfile.TemporaryFile("w") as file:
        faulthandler.enable(file)
        try:
            yield Watch(file, limit)
        finally:
            faulthandler.disable()
    if path:
        path.unlink()


@dataclass(frozen=True)
class Death:
    """How a process ended: the reason in words, its last words, whether its time was up, and whether it was killed."""

    reason: str
    words: str | None = None
    late: bool = False
    killed: bool = False

    @classmethod
    def of(cls, error: BaseException, path: Path, limit: float | None) -> Death:
        """Read the exit code from the error of joblib, and the last words, which are removed."""
        words = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        path.unlink(missing_ok=True)
        found = _EXIT.search(str(error))
        name, code = (found.group(1), int(found.group(2))) if found else ("", 0)
        if limit is not None and (name == "SIGPROF" or words.startswith(_TIMEOUT)):
            waited = ", most of it waiting for something else than the processor" * (name != "SIGPROF" and _COUNTS)
            return cls(f"it took longer than the time limit of {limit:g} s{waited}", words, late=True)
        if name == "SIGKILL":
            return cls("the process computing it was killed (SIGKILL; out of memory?)", words or None, killed=True)
        how = f" by {name}" if code < 0 else f" with exit code {code}" if found else ""
        return cls(f"the process computing it ended{how}", words or None)
