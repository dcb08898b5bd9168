"""Whether a process that has claimed runs still lives, on this machine or on another one."""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
        return cls(_host(), os.getpid(), _start(os.getpid()) or "")

    def lives(self, silence: float) -> bool:
        """Whether the process lives; on another machine, which cannot be asked, by the seconds of its silence."""
        if self.host == _host() and os.name == "posix":
            return _start(self.pid) == self.start
        return silence < STALE_SECONDS


@cache
def _host() -> str:
    """Return a hash of the machine: its name, its boot, and the container, in which processes are numbered anew."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _start(pid: int) -> str | None:
    """Return when a process of this machine started, "" where that is unknown; None if there is no such process."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state == "Z" else fields[18]
    except (OSError, IndexError):
        if Path("/proc/self/stat").exists():
            return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return ""
