"""A bar on a terminal, now and then a line elsewhere, both on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from featlearn.sweeps.report import SweepReport

LINE_SECONDS = 10.0


@contextmanager
def showing(report: SweepReport, name: str, progress: bool) -> Iterator[Callable[[], None]]:
    """Give a function to call whenever ``report`` has changed."""
    if not progress:
        yield lambda: None
    elif sys.stderr.isatty():
        with _bar(report, name) as show:
            yield show
    else:
        yield _lines(report, name)


@contextmanager
def _bar(report: SweepReport, name: str) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = [
        TextColumn(name),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[report]}"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=report.done + report.failed + report.missing, report=report)
        yield lambda: bar.update(task, completed=report.done + report.failed, report=report)


def _lines(report: SweepReport, name: str) -> Callable[[], None]:
    """Print a line at the first result, then every few seconds, and at the last."""
    first: tuple[float, int] | None = None  # when it came, and how many runs it was: what went before is start-up
    due = 0.0

    def show() -> None:
        nonlocal first, due
        now, ended = time.monotonic(), report.done + report.failed
        first = first or (now, ended)
        if now >= due or not report.missing:
            speed = (ended - first[1]) / (now - first[0]) if ended > first[1] else None
            left = f", {report.missing / speed:.0f} s left" if speed and report.missing else ""
            print(f"{name}: {report}{left}", file=sys.stderr, flush=True)
            due = now + LINE_SECONDS

    return show
