"""Which runs a sweep is computing, for other sweeps into the same store: they take others.

    claims/<hex>   a file for each sweep under way: who it is, then a line for each run that it claims ("+") or, as
                   another sweep was first, leaves to that one ("-")

Claims only save work; without them a run would be computed twice, with the same numbers. A sweep writes its claim
first and then reads those of others, so that of two claims to one run at least one sees the other, and steps back. A
lock, where the file system has one, keeps both from stepping back. The claims of a sweep that has ended do not count.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from featlearn.sweeps.blocks import Block
from featlearn.sweeps.ends import Ends
from featlearn.sweeps.holders import Holder

FOLDER = "claims"
SIGN_SECONDS = 15.0  # between signs of life
LOCK_SECONDS = 2.0


@dataclass
class Other:
    """What has been read of the claims of another sweep."""

    holder: Holder | None = None
    read: int = 0  # bytes
    run_ids: set[str] = field(default_factory=set)


class Claims:
    """The claims of this sweep, and what others do. ``left``: runs that others compute."""

    def __init__(self, store: Path, ends: Ends) -> None:
        self.ends = ends
        self.left = set[str]()
        self._marker = store / "featlearn.json"  # what is locked: it stays
        self._folder = store / FOLDER
        self._path = self._folder / uuid.uuid4().hex
        self._others: dict[Path, Other] = {}
        self._file = self._opened()
        self._over = threading.Event()
        threading.Thread(target=self._show_life, daemon=True).start()
        self._claimed(())  # removes those of dead sweeps, also where nothing is left to claim

    def _opened(self) -> IO[str]:
        while True:
            self._folder.mkdir(exist_ok=True)
            with suppress(FileNotFoundError):  # a sweep that ended has removed the folder
                file = open(self._path, "x", encoding="utf-8")  # noqa: SIM115  # it stays open for the sweep
                break
        print(json.dumps(vars(Holder.this())), file=file, flush=True)
        return file

    def take(self, block: Block) -> Block:
        """Claim the runs of a block that no other sweep computes or has committed; return these."""
        run_ids = [run.run_id for run in block]
        if not self._path.exists():  # another sweep took this one for dead
            self._file.close()
            self._file = self._opened()
        with self._lock():
            self._write("+", run_ids)
            lost = self._claimed(run_ids)
            self.ends.refresh()  # a sweep commits before it withdraws its claims
            lost |= self.ends.others.keys() & run_ids
            self._write("-", lost)
        self.left |= lost
        return [run for run in block if run.run_id not in lost]

    def news(self) -> list[str]:
        """Return how those of the runs left to others ended that these have committed since the last call."""
        self.ends.refresh()
        ended = self.left.intersection(self.ends.others)
        self.left -= ended
        return [self.ends.others[run_id] for run_id in ended]

    def free(self) -> set[str]:
        """Return the runs left to others that are neither committed nor claimed any more, and are left no more."""
        unclaimed = self.left - self._claimed(self.left)
        self.ends.refresh()
        free = unclaimed.difference(self.ends.others)
        self.left -= free
        return free

    def _claimed(self, run_ids: Collection[str]) -> set[str]:
        """Return those that other sweeps claim; files of sweeps that have ended are removed."""
        try:
            files = {Path(entry.path) for entry in os.scandir(self._folder)} - {self._path}
        except FileNotFoundError:
            files = set[Path]()
        self._others = {file: self._others.get(file, Other()) for file in files}
        for file, other in list(self._others.items()):
            with suppress(OSError, ValueError):
                self._read(file, other)
            if not self._lives(file, other):
                file.unlink(missing_ok=True)
                del self._others[file]
        return {run_id for other in self._others.values() for run_id in run_ids if run_id in other.run_ids}

    def close(self) -> None:
        """Withdraw the claims."""
        self._over.set()
        self._file.close()
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()  # unless another sweep goes on

    def _write(self, sign: str, run_ids: Iterable[str]) -> None:
        self._file.writelines(f"{sign}{run_id}\n" for run_id in run_ids)
        self._file.flush()

    def _read(self, file: Path, other: Other) -> None:
        """Read what is new in a file; its last line may be incomplete."""
        with open(file, "rb") as opened:
            opened.seek(other.read)
            whole = opened.read().rpartition(b"\n")[0]
        if not whole:
            return
        other.read += len(whole) + 1
        lines = whole.decode().splitlines()
        if other.holder is None:
            other.holder = Holder(**json.loads(lines.pop(0)))
        for line in lines:
            (other.run_ids.add if line[0] == "+" else other.run_ids.discard)(line[1:])

    def _lives(self, file: Path, other: Other) -> bool:
        """Whether the sweep of a file goes on; times are those of the file system, which machines share."""
        try:
            silence = os.fstat(self._file.fileno()).st_mtime - file.stat().st_mtime
        except FileNotFoundError:
            return False
        holder = other.holder or Holder("unknown", 0, "")
        return holder.lives(silence)

    def _show_life(self) -> None:
        while not self._over.wait(SIGN_SECONDS):
            with suppress(OSError):
                os.utime(self._path)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Lock the store against the claims of others, for at most LOCK_SECONDS, where the file system can."""
        try:
            import fcntl

            file = open(self._marker, "rb")  # noqa: SIM115
        except (ImportError, OSError):
            yield
            return
        with file:
            end = time.monotonic() + LOCK_SECONDS
            while time.monotonic() < end:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.002)
                except OSError:  # it has no locks
                    break
                else:
                    break
            yield
