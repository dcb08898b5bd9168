"""Computes one block, in any process; errors become rows too."""

from __future__ import annotations

import os
import signal
import sysconfig
import threading
import time
import traceback
from functools import cache
from pathlib import Path

import pyarrow as pa

from featlearn.custom import FAILURES, is_own_file
from featlearn.simulation import simulate_block
from featlearn.store import concat, failed_rows, rows
from featlearn.sweeps.blocks import Block
from featlearn.sweeps.progress_file import writing_progress

PACKAGE = Path(__file__).parents[1]
POLL_SECONDS = 0.2


def run_block(block: Block, device: str) -> pa.Table:
    """Simulate a block and return its rows.

    If the block raises, or calls sys.exit, its halves are computed instead, recursively, so that only the failing run
    is recorded as failed: a run's numbers do not depend on the others.
    """
    try:
        return rows(simulate_block(block, device=device))
    except FAILURES as error:
        if len(block) == 1:
            return failed_rows(block, describe(error))
    half = len(block) // 2
    halves = [run_block(block[:half], device), run_block(block[half:], device)]
    return concat(halves)


def run_block_in_worker(number: int, block: Block, device: str, parent: int) -> tuple[int, pa.Table]:
    """Call ``run_block`` in a worker process; return the block's number with the rows."""
    _settle(parent)
    with writing_progress(parent, number, len(block)):
        return number, run_block(block, device)


def describe(error: BaseException) -> str:
    """Return the error's type and message, and the innermost line of user code, or else of featlearn.

    A method that returned an invalid value is named with its first line.
    """
    filename, line = getattr(error, "place", None) or _place(error)
    return f"{type(error).__name__}: {error} ({_short(filename)}:{line})"


def _place(error: BaseException) -> tuple[str, int | None]:
    frames = traceback.extract_tb(error.__traceback__)
    libraries = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), "<")
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    users = [frame for frame in frames if not frame.filename.startswith(libraries) and frame not in ours]
    owned = [frame for frame in frames if is_own_file(frame.filename)]
    at = (owned or users or ours or frames)[-1]
    return at.filename, at.lineno


@cache
def _settle(parent: int) -> None:
    """Ignore Ctrl-C, which the parent handles, and exit when the parent does, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    """End this process when its parent has ended.

    The kernel's signal for this (PR_SET_PDEATHSIG) also comes when only the thread that started the process ends, and
    joblib reuses its processes for later calls.
    """
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)


def _short(filename: str) -> str:
    """Return a path relative to the package's parent or to the working directory, if it is inside."""
    path = Path(filename)
    for root in (PACKAGE.parent, Path.cwd()):
        if path.is_relative_to(root):
            return str(path.relative_to(root))
    return filename
