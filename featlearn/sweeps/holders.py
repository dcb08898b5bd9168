"""Whether a process that has claimed runs still lives, on this machine or on another one."""

from __future__ import annotations

import os
from dataclasses import dataclass

from featlearn.store.processes import machine, started

STALE_SECONDS = 120.0  # without a sign of life from another machine


@dataclass(frozen=True)
class Holder:
    """A process: its machine as a hash, which names nobody, its number, and when it started."""

    host: str
    pid: int
    start: str

    @classmethod
    def this(cls) -> Holder:
        """Return the present process."""
        return cls(machine(), os.getpid(), started(os.getpid()) or "")

    def lives(self, silence: float) -> bool:
        """Whether the process lives; on another machine, which cannot be asked, by the seconds of its silence."""
        if self.host == machine() and os.name == "posix":
            return started(self.pid) == self.start
        return silence < STALE_SECONDS
