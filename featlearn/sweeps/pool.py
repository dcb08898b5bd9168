"""Computes blocks into tables of rows, in the order in which they finish: in this process or in several."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager

import pyarrow as pa
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from featlearn.custom import Parcel
from featlearn.store.rows import failed_rows
from featlearn.sweeps.blocks import Block
from featlearn.sweeps.progress_file import writing_progress
from featlearn.sweeps.worker import run_block, run_block_in_worker

ATTEMPTS = 3
KILLED = f"the process computing it was killed in each of {ATTEMPTS} attempts (out of memory?)"


def results(blocks: Iterable[Block], n_jobs: int, device: str) -> Generator[pa.Table]:
    """Yield the rows of every block; they do not depend on n_jobs."""
    if n_jobs > 1:
        yield from _parallel(iter(blocks), n_jobs, device)
    else:
        yield from (_here(number, block, device) for number, block in enumerate(blocks))


def _here(number: int, block: Block, device: str) -> pa.Table:
    with writing_progress(os.getpid(), number, len(block)):
        return run_block(block, device)


def _parallel(blocks: Iterator[Block], n_jobs: int, device: str) -> Iterator[pa.Table]:
    """Distribute blocks over processes.

    When a process is killed, joblib drops all running blocks. These are then tried one at a time, to find the one at
    fault; the others go on.
    """
    with _no_worker_left_behind():
        while True:
            under_way: dict[int, Block] = {}
            try:
                for number, table in _compute(_numbered(blocks, under_way), n_jobs, device):
                    del under_way[number]
                    yield table
                return
            except BrokenProcessPool:
                for block in under_way.values():
                    yield _alone(block, device)


def _numbered(blocks: Iterator[Block], under_way: dict[int, Block]) -> Iterator[tuple[int, Block]]:
    for number, block in enumerate(blocks):
        under_way[number] = block
        yield number, block


def _alone(block: Block, device: str) -> pa.Table:
    """Compute a block alone; record its runs as failed if its process is killed every time."""
    for _ in range(ATTEMPTS - 1):
        try:
            [(_, table)] = _compute([(0, block)], 2, device)
        except BrokenProcessPool:
            continue
        return table
    return failed_rows(block, KILLED)


def _compute(tasks: Iterable[tuple[int, Block]], n_jobs: int, device: str) -> Iterator[tuple[int, pa.Table]]:
    call = delayed(run_block_in_worker)
    parallel = Parallel(n_jobs=n_jobs, backend="loky", return_as="generator_unordered", batch_size=1)
    done: Iterator[tuple[int, pa.Table]] = parallel(call(n, Parcel(block), device, os.getpid()) for n, block in tasks)
    return done


@contextmanager
def _no_worker_left_behind() -> Iterator[None]:
    """Kill the processes after an error or Ctrl-C; after a success they stay for the next sweep."""
    with warnings.catch_warnings():
        # loky replaces a worker whose memory has grown: malloc may keep freed memory, which is no leak
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        try:
            yield
        except BaseException:
            get_reusable_executor().shutdown(wait=True, kill_workers=True)
            raise
