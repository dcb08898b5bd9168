"""The counts of a sweep add up, and an interruption reports them."""

import pytest

from featlearn.sweeps import SweepInterrupted, SweepReport


def test_counts_add_up_during_a_sweep():
    report = SweepReport(total=10, reused=3)
    assert report.missing == 7 and str(report) == "0 done, 3 reused, 0 failed, 7 missing"
    report.unsaved = 4
    assert report.missing == 7 and str(report) == "0 done, 3 reused, 0 failed, 7 missing"
    report.count(["ok", "failed", "diverged", "fitted"])
    assert (report.done, report.failed, report.diverged, report.missing, report.unsaved) == (3, 1, 1, 3, 0)
    assert str(report) == "3 done (1 diverged), 3 reused, 1 failed, 3 missing"
    report.count(["ok"] * 3)
    assert str(report) == "6 done (1 diverged), 3 reused, 1 failed" and report.seconds > 0


def test_an_interruption_reports_what_is_kept_and_where():
    report = SweepReport(total=2, reused=1)
    with pytest.raises(
        KeyboardInterrupt,
        match=r"interrupted: 0 done, 1 reused, 0 failed, 1 missing; the same call resumes from the store out/s",
    ):
        raise SweepInterrupted(report, "out/s")
    assert SweepInterrupted(report, "out/s").report is report
