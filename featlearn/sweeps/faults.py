"""The last words of a process: where it was when it crashed or exceeded a time limit.

Python's faulthandler writes them from C, also while a library holds the interpreter or is in an endless loop.
"""

from __future__ import annotations

import faulthandler
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from featlearn.pace import COMPILING

LONGEST_COMPILATION = 600.0  # seconds, of one function
_TIMEOUT = "Timeout ("
_EXIT = re.compile(r"\{(\w+)\((-?\d+)\)")  # as in {SIGSEGV(-11)}


class Watch:
    """Ends this process if what is in ``limited`` takes longer than ``limit`` seconds, compilation aside."""

    def __init__(self, file: IO[str], limit: float | None) -> None:
        self._file, self._limit = file, limit
        self._end = 0.0
        self._compiling: float | None = None  # since when

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Start the clock, and stop it at the end."""
        if self._limit is None:
            yield
            return
        self._end, self._compiling = time.monotonic() + self._limit, None
        self._arm(self._limit)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()

    def note(self, share: float) -> None:
        """Stop the clock during compilation, which says nothing of a run; a listener of progress."""
        if self._limit is None:
            return
        now = time.monotonic()
        if share == COMPILING:
            self._compiling = self._compiling or now
            self._arm(self._end - self._compiling + LONGEST_COMPILATION)
        elif self._compiling is not None:
            self._end += now - self._compiling
            self._compiling = None
            self._arm(self._end - now)

    def _arm(self, seconds: float) -> None:
        faulthandler.dump_traceback_later(max(seconds, 0.001), exit=True, file=self._file)


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
        if words.startswith(_TIMEOUT):
            return cls(f"it took longer than the time limit of {limit:g} s", words, late=True)
        found = _EXIT.search(str(error))
        name, code = (found.group(1), int(found.group(2))) if found else ("", 0)
        if name == "SIGKILL":
            return cls("the process computing it was killed (SIGKILL; out of memory?)", words or None, killed=True)
        how = f" by {name}" if code < 0 else f" with exit code {code}" if found else ""
        return cls(f"the process computing it ended{how}", words or None)
