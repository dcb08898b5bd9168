"""Computes blocks into tables of rows, in the order in which they finish: in this process or in several.

Each worker process computes one block at a time, so that the end of a process is the fault of its block alone. Such a
block is halved until the run at fault is found.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

import pyarrow as pa

from featlearn.custom import Source
from featlearn.sweeps.blocks import Block
from featlearn.sweeps.cluster import Cluster, ClusterLost
from featlearn.sweeps.crew import Crew
from featlearn.sweeps.faults import Death
from featlearn.sweeps.progress_file import forget_progress, writing_progress
from featlearn.sweeps.signals import Signals
from featlearn.sweeps.worker import bounded, describe, failures, run_block, traceback_text

ATTEMPTS = 3
MOST_DEATHS = 100
POLL_SECONDS = 0.25


def results(
    blocks: Iterable[Block],
    n_jobs: int,
    device: str,
    signals: Signals,
    *,
    sources: Collection[Source] = (),
    time_limit: float | None = None,
    cluster: Cluster | None = None,
) -> Generator[pa.Table | None]:
    """Yield the rows of every block; they do not depend on n_jobs. None: nothing has finished for a moment.

    sources: the user-defined classes of the runs. Their code may end its process: with one job too, it has another.
    time_limit: seconds that a run may take, which only another process can enforce.
    cluster: whose workers compute, in place of processes of this machine.
    """
    if cluster:
        yield from _in_crew(iter(blocks), cluster, signals)
        return
    apart = bool(sources) or time_limit is not None
    digests = {source.name: source.digest for source in sources}
    if n_jobs > 1 or (apart and not multiprocessing.current_process().daemon):  # a daemon has no children
        yield from _in_crew(iter(blocks), Crew(n_jobs, device, digests, time_limit), signals)
    else:
        yield from (_here(number, block, device, signals) for number, block in enumerate(blocks))


def _here(number: int, block: Block, device: str, signals: Signals) -> pa.Table:
    with signals.open(), writing_progress(os.getpid(), number, len(block)):
        return run_block(block, device)


def _in_crew(blocks: Iterator[Block], crew: Crew | Cluster, signals: Signals) -> Iterator[pa.Table | None]:
    """Distribute blocks over processes."""
    desk, numbers = Desk(blocks), count()
    running: dict[Future[pa.Table | Death], tuple[int, Piece]] = {}
    ready: list[pa.Table] = []
    with _no_worker_left_behind(crew):
        while True:
            while len(running) < crew.size and (piece := desk.next([piece for _, piece in running.values()])):
                number = next(numbers)
                running[crew.submit(number, piece.block)] = number, piece
            yield from ready
            if not running:
                return
            with signals.open():
                done = wait(running, POLL_SECONDS, FIRST_COMPLETED).done
            crew.check()
            if not done:
                yield None
            received = [_received(future, *running.pop(future), crew, desk) for future in done]
            ready = [table for table in received if table is not None]


def _received(
    future: Future[pa.Table | Death], number: int, piece: Piece, crew: Crew | Cluster, desk: Desk
) -> pa.Table | None:
    """Return the rows of a piece; None if its process has died, and ``desk`` has what to do about it."""
    try:
        found = future.result()
    except crew.broken as error:
        found = crew.death(number, error)
    except crew.lost:
        crew.check()
        raise ClusterLost("the dask cluster has dropped a block") from None
    except Exception as error:  # the block cannot be sent
        found = failures(piece.block, describe(error), traceback_text(error))
    if isinstance(found, Death):
        forget_progress(number)
        return desk.bury(piece, found)
    crew.finished(number)
    return found


@contextmanager
def _no_worker_left_behind(crew: Crew | Cluster) -> Iterator[None]:
    """Kill the processes after an error or Ctrl-C; after a success they stay for the next sweep."""
    try:
        yield
    except BaseException:
        crew.kill()
        raise


@dataclass(frozen=True)
class Piece:
    """Runs to be computed together. deaths: of processes that computed them. alone: while no other process works."""

    block: Block
    deaths: int = 0
    alone: bool = False

    def after(self, death: Death) -> list[Piece]:
        """Return what is to be computed after a death; nothing if the run at fault is found.

        A process may have been killed for want of memory, which others used: its block is tried again alone first.
        """
        deaths = self.deaths + 1
        if len(self.block) > 1 and (self.alone or not death.killed):
            half = len(self.block) // 2
            return [replace(self, block=part, deaths=deaths) for part in (self.block[:half], self.block[half:])]
        if len(self.block) == 1 and (death.late or deaths >= ATTEMPTS):
            return []
        return [Piece(self.block, deaths, alone=True)]


class Desk:
    """What is still to be computed: what deaths have left, then further blocks.

    To find a run at fault costs some ten processes. After MOST_DEATHS such runs, blocks that end their process are not
    searched any more: their runs, most of which are not at fault, stay missing, and the next call goes on with them.
    """

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self._left: deque[Piece] = deque()
        self._buried = 0

    def next(self, running: Collection[Piece]) -> Piece | None:
        """Return what to compute beside ``running``; None if nothing, or nothing yet."""
        if any(piece.alone for piece in running) or (self._left and self._left[0].alone and running):
            return None
        if self._left:
            return self._left.popleft()
        block = next(self._blocks, None)
        return Piece(block) if block else None

    def bury(self, piece: Piece, death: Death) -> pa.Table | None:
        """Return the row of the run at fault, if it is found; None if more is to be computed first, or is left out."""
        again = piece.after(death)
        if not again:
            self._buried += 1
            return failures(piece.block, death.reason, death.words and bounded(death.words))
        if self._buried < MOST_DEATHS:
            self._left.extend(again)
        return None
