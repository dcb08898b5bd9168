"""The progress of a sweep, and its result."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class SweepReport:
    """Numbers of runs, updated during a sweep.

    total: requested runs. reused: found in the store. done: computed now, with a result; of these ``diverged``
    diverged. shared: computed meanwhile by other sweeps into the store. failed: ended with an error, also earlier;
    of these ``given_up`` had failed too often to be tried again. They count what is on disk: ``unsaved`` runs have
    ended since the last commit. others: runs of other sweeps in the store. seconds: since the start.
    """

    total: int
    reused: int
    others: int = 0
    done: int = 0
    failed: int = 0
    diverged: int = 0
    shared: int = 0
    given_up: int = 0
    unsaved: int = 0
    seconds: float = 0.0
    _start: float = field(default_factory=time.monotonic, repr=False)

    def count(self, statuses: Sequence[str]) -> None:
        """Add runs that have been committed."""
        ends = Counter(statuses)
        self.failed += ends["failed"]
        self.diverged += ends["diverged"]
        self.done += len(statuses) - ends["failed"]
        self.unsaved = max(self.unsaved - len(statuses), 0)
        self.seconds = time.monotonic() - self._start

    def share(self, statuses: Sequence[str]) -> None:
        """Add runs that other sweeps have committed."""
        failed = statuses.count("failed")
        self.failed += failed
        self.shared += len(statuses) - failed

    @property
    def missing(self) -> int:
        """Runs not on disk yet, or not at all after an interruption."""
        return self.total - self.reused - self.done - self.shared - self.failed

    def __str__(self) -> str:
        missing = f", {self.missing} missing" if self.missing else ""
        diverged = f" ({self.diverged} diverged)" if self.diverged else ""
        shared = f", {self.shared} computed by other sweeps" if self.shared else ""
        return f"{self.done} done{diverged}, {self.reused} reused{shared}, {self.failed} failed{missing}"


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM, or a lost cluster; finished runs are in the store, and ``report`` counts them."""

    def __init__(self, report: SweepReport, out: str | Path, why: str = "") -> None:
        super().__init__(f"{why or 'interrupted'}: {report}; the same call resumes from the store {out}")
        self.report = report
