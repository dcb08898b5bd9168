"""Progress of the running blocks, in a small file that a sweep shares with its processes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featlearn.pace import COMPILING, Listener, reporting_to
from featlearn.store.processes import machine, started

SLOTS = 4096  # more than the blocks that run at one time


def progress_path(parent: int) -> Path:
    """Return the file of a process."""
    return Path(tempfile.gettempdir()) / f"featlearn-{machine()}-{parent}.progress"


def remove_left_over() -> None:
    """Remove the files of processes of this machine that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"featlearn-{machine()}-*.progress"):
        process = path.stem.rpartition("-")[2]
        if process.isdecimal() and started(int(process)) is None:
            with suppress(OSError):  # another user's, or gone
                path.unlink()


@contextmanager
def progress_file() -> Iterator[NDArray[np.float64]]:
    """Yield the number of runs completed by each running block, or COMPILING while it compiles."""
    remove_left_over()
    path = progress_path(os.getpid())
    np.zeros(SLOTS).tofile(path)
    try:
        yield np.memmap(path, np.float64, "r")
    finally:
        with suppress(OSError):
            path.unlink()


@contextmanager
def writing_progress(parent: int, number: int, n_runs: int, also: Listener = lambda share: None) -> Iterator[None]:
    """Write the progress of block ``number`` to the file of process ``parent``, if it has one, and tell ``also``."""
    slots = _slots(parent)

    def note(share: float) -> None:
        slots[number % SLOTS] = COMPILING if share == COMPILING else share * n_runs
        also(share)

    try:
        with reporting_to(note):
            yield
    finally:
        slots[number % SLOTS] = 0.0


def forget_progress(number: int) -> None:
    """Clear the progress of a block whose process has ended."""
    _slots(os.getpid())[number % SLOTS] = 0.0


def _slots(parent: int) -> NDArray[np.float64]:
    """Return the numbers in the file of a process; numbers that nobody reads if it has none."""
    try:
        return np.memmap(progress_path(parent), np.float64, "r+")
    except (OSError, ValueError):
        return np.zeros(SLOTS)
