"""How far a sweep is, and at its end what it did."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class SweepReport:
    """Numbers of runs, counted while a sweep goes on.

    total: runs that were asked for. reused: found in the store. done: computed now, with a result; of these
    ``diverged`` diverged. failed: ended with an error; the next call tries them again. others: runs of earlier sweeps
    that the store holds beside these. seconds: since the start.
    """

    total: int
    reused: int
    others: int = 0
    done: int = 0
    failed: int = 0
    diverged: int = 0
    seconds: float = 0.0
    _start: float = field(default_factory=time.monotonic, repr=False)

    def count(self, statuses: Sequence[str]) -> None:
        """Add runs that have ended."""
        ends = Counter(statuses)
        self.failed += ends["failed"]
        self.diverged += ends["diverged"]
        self.done += len(statuses) - ends["failed"]
        self.seconds = time.monotonic() - self._start

    @property
    def missing(self) -> int:
        """Runs not looked at yet, or at the end not at all: there was an interruption."""
        return self.total - self.reused - self.done - self.failed

    def __str__(self) -> str:
        missing = f", {self.missing} missing" if self.missing else ""
        diverged = f" ({self.diverged} diverged)" if self.diverged else ""
        return f"{self.done} done{diverged}, {self.reused} reused, {self.failed} failed{missing}"


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM; what had finished is in the store, and ``report`` says how much that is."""

    def __init__(self, report: SweepReport, out: str | Path) -> None:
        super().__init__(f"interrupted: {report}; the same call again goes on from what the store {out} holds")
        self.report = report
