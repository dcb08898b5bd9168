"""The processes of this machine that compute blocks: each one block at a time, in an executor of joblib's loky."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor

from featlearn.custom import Parcel
from featlearn.sweeps.blocks import Block
from featlearn.sweeps.faults import Death
from featlearn.sweeps.process import unsignalled
from featlearn.sweeps.worker import run_block_in_worker

IDLE_SECONDS = 300  # after which a process without work ends
SERIAL = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMBA", "NUMEXPR")}


@dataclass
class Process:
    """A process in an executor of its own. served: the digests of the user-defined classes that it knows, by name."""

    executor: Any = field(default_factory=lambda: ProcessPoolExecutor(max_workers=1, timeout=IDLE_SECONDS, env=SERIAL))
    served: dict[str, str] = field(default_factory=dict)

    def can_serve(self, sources: Mapping[str, str]) -> bool:
        """Whether it has no other versions of these: Python imports a package once in a process."""
        return all(self.served.get(name, digest) == digest for name, digest in sources.items())

    def end(self) -> None:
        """Kill the process."""
        self.executor.shutdown(wait=True, kill_workers=True)


_idle: list[Process] = []  # kept for the next sweep: a process starts in seconds


class Crew:
    """So many processes, and what each of them computes.

    sources: the digests of the user-defined classes of the runs, by name. limit: seconds that a run may take.
    """

    broken: tuple[type[BaseException], ...] = (BrokenProcessPool,)
    lost: tuple[type[BaseException], ...] = ()

    def __init__(self, size: int, device: str, sources: Mapping[str, str], limit: float | None) -> None:
        self.size = size
        self._device, self._limit = device, limit
        self._sources = sources
        self._at: dict[int, Process] = {}  # by number of the block
        with suppress(ModuleNotFoundError):  # no numba
            from featlearn.functions.cache import check_cache

            check_cache()

    def submit(self, number: int, block: Block | bytes) -> Future[Any]:
        """Start to compute a block, or what unpickles as one."""
        parcel = block if isinstance(block, bytes) else Parcel(block)
        task = (run_block_in_worker, number, parcel, self._device, os.getpid(), _faults(number), self._limit)
        with unsignalled():
            process = self._process()
            try:
                future = process.executor.submit(*task)
            except BrokenProcessPool:  # it has been killed while it was idle
                process = Process()
                future = process.executor.submit(*task)
        process.served |= self._sources
        self._at[number] = process
        return future  # type: ignore[no-any-return]

    def _process(self) -> Process:
        able = next((process for process in _idle if process.can_serve(self._sources)), None)
        if able is None:
            return Process()
        _idle.remove(able)
        return able

    def finished(self, number: int) -> None:
        """Take back the process of a block that is computed."""
        _idle.append(self._at.pop(number))

    def death(self, number: int, error: BaseException) -> Death:
        """Return how the process of a block has ended."""
        self._at.pop(number).end()
        return Death.of(error, _faults(number), self._limit)

    def check(self) -> None:
        """Nothing to do: the processes are on this machine."""

    def kill(self) -> None:
        """End the processes at work."""
        processes = [self._at.pop(number) for number in list(self._at)]
        threads = [threading.Thread(target=process.end) for process in processes]  # all at once
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def end_idle() -> None:
    """End the processes that wait for the next sweep."""
    while _idle:
        _idle.pop().end()


def _faults(number: int) -> Path:
    return scratch() / f"{number}.fault"


@cache
def scratch() -> Path:
    """Return a folder for temporary files, removed when this process ends."""
    folder = tempfile.mkdtemp(prefix="featlearn-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
