"""Computes one block, in any process; errors become rows too."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Hashable
from pathlib import Path

import pyarrow as pa

from featlearn.custom import FAILURES, is_own_file
from featlearn.runs import RunConfig, Trajectory
from featlearn.simulation import simulate_block
from featlearn.store import concat, failed_rows, rows
from featlearn.sweeps.blocks import Block
from featlearn.sweeps.faults import Watch, watched
from featlearn.sweeps.process import settle
from featlearn.sweeps.progress_file import writing_progress

PACKAGE = Path(__file__).parents[1]
LONGEST = 4000  # characters of a traceback that are kept: its end, which has the cause
Errors = tuple[type[BaseException], ...]


def run_block(
    block: Block,
    device: str,
    errors: Errors = FAILURES,
    watch: Watch | None = None,
) -> pa.Table:
    """Simulate a block and return its rows.

    If the block raises, its halves are computed instead, recursively, so that only the failing run is recorded as
    failed: a run's numbers do not depend on the others.

    errors: those that fail a run; any other ends the sweep.
    watch: ends this process when a simulation takes too long.
    """

    def simulated() -> list[Trajectory]:
        return simulate_block(block, device=device)

    try:
        return rows(watch.timed(simulated, _kind(block[0])) if watch else simulated())
    except errors as error:
        if len(block) == 1:
            return failures(block, describe(error), traceback_text(error))
    half = len(block) // 2
    halves = [run_block(part, device, errors, watch) for part in (block[:half], block[half:])]
    return concat(halves)


def run_block_in_worker(
    number: int, block: Block, device: str, parent: int, faults: Path, limit: float | None
) -> pa.Table:
    """Call ``run_block`` in a worker process of ``parent``, where Ctrl-C does not come from the user.

    faults: the file for the last words of this process. limit: seconds after which it ends itself.
    """
    settle(parent, faults.parent)
    with watched(faults, limit) as watch, writing_progress(parent, number, len(block), watch.note):
        return run_block(block, device, (BaseException,), watch)


def _kind(run: RunConfig) -> Hashable:
    """Return what decides which code a run calls."""
    rule = run.optimizer
    parts = (run.data, run.network, rule, getattr(rule, "rule", None), getattr(rule, "base", None))
    return run.engine, run.record.trackers, *map(type, parts)


def failures(block: Block, message: str, trace: str | None) -> pa.Table:
    """Return the rows of failed runs, with the traceback if there is one."""
    table = failed_rows(block, message)
    after = table.column_names.index("message") + 1
    return table.add_column(after, "traceback", pa.array([trace] * len(block), pa.string()))


def describe(error: BaseException) -> str:
    """Return the error's type and message, and the innermost line of user code, or else of featlearn.

    A method that returned an invalid value is named with its first line.
    """
    filename, line = getattr(error, "place", None) or _place(error)
    return f"{type(error).__name__}: {error} ({_short(filename)}:{line})"


def traceback_text(error: BaseException) -> str:
    """Return the end of an error's traceback, with its causes, from the first line of user code if there is one."""
    whole = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = whole
    while part is not None:
        kept = next((i for i, frame in enumerate(part.stack) if _is_users(frame.filename)), 0)
        shown = [
            traceback.FrameSummary(_short(f.filename), f.lineno, f.name, lookup_line=False, line=f.line)
            for f in part.stack[kept:]
        ]
        part.stack = traceback.StackSummary.from_list(shown)
        part = part.__cause__ or part.__context__
    return bounded("".join(whole.format()))


def bounded(text: str) -> str:
    """Return the end of a text, of at most LONGEST characters."""
    return text if len(text) <= LONGEST else f"...{text[-LONGEST + 3 :]}"


def _place(error: BaseException) -> tuple[str, int | None]:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    users = [frame for frame in frames if _is_users(frame.filename)]
    owned = [frame for frame in frames if is_own_file(frame.filename)]
    at = (owned or users or ours or frames)[-1]
    return at.filename, at.lineno


def _is_users(filename: str) -> bool:
    """Whether a file belongs neither to featlearn, nor to Python, nor to an installed package."""
    return not filename.startswith((*_libraries(), "<")) and not Path(filename).is_relative_to(PACKAGE)


def _libraries() -> list[str]:
    return [sysconfig.get_path(kind) for kind in ("purelib", "platlib", "stdlib")]


def _short(filename: str) -> str:
    """Return a path relative to the package's parent, the working directory or the library that has it.

    Of a user's file elsewhere only the name: where it lies says who runs it.
    """
    path = Path(filename)
    roots: list[str | Path] = [PACKAGE.parent, Path.cwd(), *_libraries()]
    for root in roots:
        if path.is_relative_to(root):
            return str(path.relative_to(root))
    return path.name if is_own_file(filename) else filename
