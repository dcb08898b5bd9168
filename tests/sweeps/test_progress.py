"""A bar moves within a block, from this process and from others; the first compilation is reported."""

import os
import sys
import time

import numpy as np
import pytest
from rich.progress import Progress

from featlearn.pace import COMPILING, report_progress
from featlearn.sweeps import progress
from featlearn.sweeps.progress import COMPILES, showing
from featlearn.sweeps.progress_file import progress_file, writing_progress
from featlearn.sweeps.report import SweepReport


def wait_for(polls):
    """Wait until another thread has polled twice, or once if it has stopped."""
    seen, late = len(polls), time.monotonic() + 5
    while len(polls) < seen + 2 and time.monotonic() < late and not (len(polls) > seen and not sys.stderr.isatty()):
        time.sleep(0.01)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_moves_within_a_block_and_compilation_is_reported(terminal, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.01)
    polls, shown, whole = [], [], progress.compiles
    monkeypatch.setattr(progress, "compiles", lambda under_way: polls.append(0) or whole(under_way))
    monkeypatch.setattr(Progress, "update", lambda self, task, **fields: shown.append(fields))
    report = SweepReport(total=100, reused=0)
    with showing(report, "tiny", True) as show, writing_progress(os.getpid(), 0, 100):
        for share in (COMPILING, 0.5) if terminal else (COMPILING,):
            report_progress(share)
            wait_for(polls)
        report.count(["ok"] * 100)
        show()
    if terminal:
        assert {0, 50, 100} == {fields["completed"] for fields in shown}
        assert {fields["note"] for fields in shown if fields["completed"] == 0} >= {COMPILES}
        assert shown[-1]["note"] == ""
    else:
        assert capsys.readouterr().err.splitlines() == [f"tiny: {COMPILES}", f"tiny: {report}"]


def test_quiet_makes_no_progress_file():
    with showing(SweepReport(total=1, reused=0), "tiny", False) as show, progress_file() as under_way:
        show()
        assert not np.any(under_way)
