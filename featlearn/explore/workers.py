"""The processes that compute: the page's own keeps answering meanwhile, and two cores are used.

The loops hold the interpreter's lock, so that threads would share one core.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from multiprocessing import active_children, get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from featlearn.explore import computing
from featlearn.explore.limits import TooMuch
from featlearn.sweeps.crew import SERIAL
from featlearn.sweeps.process import settle, unsignalled


class Workers:
    """An executor, and who comes first in it.

    Patient calls, those of a phase diagram, wait while others are computed, and at most one for each process is in the
    executor. So any other call waits for the end of one patient call at most.
    """

    def __init__(self, executor: Executor, size: int) -> None:
        self.executor, self._size = executor, size
        self._slots = asyncio.Semaphore(size)
        self._urgent = 0  # calls that are not patient
        self._calm = asyncio.Event()
        self._calm.set()

    def start(self) -> None:
        """Have every process load its loops; ``ready`` is done when they have."""
        self.ready = asyncio.ensure_future(self._warm())

    async def _warm(self) -> None:
        await asyncio.gather(*(self.call(computing.warm) for _ in range(self._size)))

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function of computing.py returns, computed by the next free process.

        Raises TooMuch where the process came to its end, which takes memory that this machine lacks.
        """
        self._urgent += 1
        self._calm.clear()
        try:
            return await self._computed(function, *arguments)
        finally:
            self._urgent -= 1
            if not self._urgent:
                self._calm.set()

    async def call_patiently(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Do as ``call``, but after the others."""
        async with self._slots:
            await self._calm.wait()
            return await self._computed(function, *arguments)

    async def _computed(self, function: Callable[..., Any], *arguments: Any) -> Any:
        executor = self.executor
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, function, *arguments)
        except BrokenExecutor:
            if self.executor is executor:  # of the calls that it broke under, the first
                self.renew()
            raise TooMuch("the process that computed this was ended, as by a lack of memory") from None

    def renew(self) -> None:
        """Replace an executor that is broken; another kind than that of processes does not break."""

    def end(self) -> None:
        """End the executor."""
        self.executor.shutdown(wait=False)


class Processes(Workers):
    """Processes of this machine; they end with this one, however that ends."""

    def __init__(self, size: int) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="featlearn-explore-"))
        self._children: list[BaseProcess] = []
        super().__init__(self._started(size), size)

    def _started(self, size: int) -> Executor:
        """Return an executor whose processes have started, each with one thread of every library."""
        others = active_children()
        before = {name: os.environ.get(name) for name in SERIAL}
        made = ProcessPoolExecutor(size, get_context("spawn"), settle, (os.getpid(), self._scratch))
        with unsignalled():
            os.environ.update(SERIAL)
            for _ in range(size):  # a call starts a process while none is idle
                made.submit(os.getpid)
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        self._children = [child for child in active_children() if child not in others]
        return made

    def renew(self) -> None:
        """Start new processes in the place of those that have ended."""
        self.executor = self._started(self._size)

    def end(self) -> None:
        """Kill the processes."""
        for child in self._children:
            child.kill()
        self.executor.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._scratch, ignore_errors=True)
