"""Progress of the running blocks, in a small file that a sweep shares with its processes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featlearn.pace import COMPILING, reporting_to

SLOTS = 4096  # more than the blocks that run at one time


def _path(parent: int) -> Path:
    return Path(tempfile.gettempdir()) / f"featlearn-{parent}.progress"


@contextmanager
def progress_file() -> Iterator[NDArray[np.float64]]:
    """Yield the number of runs completed by each running block, or COMPILING while it compiles."""
    path = _path(os.getpid())
    np.zeros(SLOTS).tofile(path)
    try:
        yield np.memmap(path, np.float64, "r")
    finally:
        with suppress(OSError):
            path.unlink()


@contextmanager
def writing_progress(parent: int, number: int, n_runs: int) -> Iterator[None]:
    """Write the progress of block ``number`` to the file of process ``parent``, if it has one."""
    try:
        slots = np.memmap(_path(parent), np.float64, "r+")
    except (OSError, ValueError):
        yield
        return

    def note(share: float) -> None:
        slots[number % SLOTS] = COMPILING if share == COMPILING else share * n_runs

    try:
        with reporting_to(note):
            yield
    finally:
        slots[number % SLOTS] = 0.0
