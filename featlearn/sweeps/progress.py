"""Progress on standard error: a bar on a terminal, otherwise a line every few seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from featlearn.pace import COMPILING
from featlearn.sweeps.progress_file import progress_file
from featlearn.sweeps.report import SweepReport

LINE_SECONDS = 10.0
POLL_SECONDS = 0.25
COMPILES = "compiling the loops for this machine, which happens once"


@contextmanager
def showing(report: SweepReport, name: str, progress: bool) -> Iterator[Callable[[], None]]:
    """Yield a function to call whenever ``report`` has changed; a thread polls the running blocks."""
    if not progress:
        yield lambda: None
        return
    with progress_file() as under_way:
        if sys.stderr.isatty():
            with _bar(report, name, under_way) as show, _polling(show):
                yield show
        else:
            with _polling(_compiler(name, under_way)):
                yield _lines(report, name)


@contextmanager
def _polling(poll: Callable[[], None]) -> Iterator[None]:
    """Call a function periodically in a thread."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(POLL_SECONDS):
            poll()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def _bar(report: SweepReport, name: str, under_way: NDArray[np.float64]) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn(name),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[report]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    ]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        total = report.done + report.failed + report.missing
        task = bar.add_task(name, total=total, report=report, note="")
        most = 0.0

        def show() -> None:
            """Advance the bar, never back: a block that has just ended is not counted for a moment."""
            nonlocal most
            most = max(most, min(report.done + report.failed + report.unsaved + running(under_way), total))
            bar.update(task, completed=most, report=report, note=COMPILES if compiles(under_way) else "")

        yield show


def running(under_way: NDArray[np.float64]) -> float:
    """Return the number of runs completed by the running blocks."""
    return float(np.clip(under_way, 0.0, None).sum())


def compiles(under_way: NDArray[np.float64]) -> bool:
    """Whether a block is compiling."""
    return bool((under_way == COMPILING).any())


def _compiler(name: str, under_way: NDArray[np.float64]) -> Callable[[], None]:
    """Print once that loops are being compiled."""
    printed = False

    def poll() -> None:
        nonlocal printed
        if not printed and compiles(under_way):
            printed = True
            print(f"{name}: {COMPILES}", file=sys.stderr, flush=True)

    return poll


def _lines(report: SweepReport, name: str) -> Callable[[], None]:
    """Print a line at the first commit, then every few seconds, and at the end."""
    first: tuple[float, int] | None = None  # time and number of runs of the first commit: earlier time is start-up
    due, shown = 0.0, 0

    def show() -> None:
        nonlocal first, due, shown
        now, ended = time.monotonic(), report.done + report.failed
        if ended == shown:
            return
        first = first or (now, ended)
        if now >= due or not report.missing:
            speed = (ended - first[1]) / (now - first[0]) if ended > first[1] else None
            left = f", {report.missing / speed:.0f} s left" if speed and report.missing else ""
            print(f"{name}: {report}{left}", file=sys.stderr, flush=True)
            due, shown = now + LINE_SECONDS, ended

    return show
