"""A sweep loses nothing, repeats nothing, and its bits do not depend on blocks, shards or interruptions."""

import os
import shutil
import signal

import fakes
import pandas as pd
import pytest
from fakes import DIVERGES, RAISES, FakeConfig, quiet, started

import featlearn as fl
from featlearn.store import Store, StoreError, StoreWarning, failed_rows, status, summary
from featlearn.sweeps import SweepInterrupted, commits, worker
from featlearn.sweeps.sweep import MOST_FAILURES


def numbers(report):
    return {key: getattr(report, key) for key in ("total", "reused", "done", "failed", "diverged", "missing")}


@pytest.mark.usefixtures("fake")
def test_a_second_call_computes_only_missing_runs(tmp_path, monkeypatch):
    quiet(FakeConfig(tuple(range(6))), tmp_path / "s")
    report = quiet(FakeConfig(tuple(range(9))), tmp_path / "s")
    assert numbers(report) == {"total": 9, "reused": 6, "done": 3, "failed": 0, "diverged": 0, "missing": 0}
    monkeypatch.setattr(worker, "simulate_block", None)
    parts = sorted((tmp_path / "s" / "parts").iterdir())
    assert numbers(quiet(FakeConfig(tuple(range(9))), tmp_path / "s"))["reused"] == 9
    assert sorted((tmp_path / "s" / "parts").iterdir()) == parts
    assert summary(tmp_path / "s")["seed"].tolist() == list(range(9))


@pytest.mark.usefixtures("fake")
def test_another_config_may_go_into_the_same_store(tmp_path):
    quiet(FakeConfig((0, 1), lr=0.1), tmp_path / "s")
    report = quiet(FakeConfig((0, 1), lr=0.2), tmp_path / "s")
    assert (report.done, report.reused, report.others) == (2, 0, 2)
    assert status(tmp_path / "s").others == 2
    with pytest.warns(StoreWarning, match="left out 2 runs"):
        assert summary(tmp_path / "s")["optimizer.lr"].tolist() == [0.2, 0.2]
    assert summary(tmp_path / "s", all_sweeps=True)["optimizer.lr"].tolist() == [0.1, 0.1, 0.2, 0.2]


@pytest.mark.usefixtures("fake")
def test_a_run_named_twice_by_the_grid_is_computed_once(tmp_path):
    report = quiet(FakeConfig((3, 3, 4)), tmp_path / "s")
    assert (report.total, report.done, len(summary(tmp_path / "s"))) == (2, 2, 2)


@pytest.mark.usefixtures("fake")
def test_a_failed_run_is_tried_again_only_on_request_and_only_so_often(tmp_path):
    out, config = tmp_path / "s", FakeConfig((1, 2))
    store, (one, two) = Store.create(out, "fake"), config.runs()
    store.add_part(failed_rows([one, two], "the disk was full"), {})
    assert (numbers(quiet(config, out))["done"], quiet(config, out).failed) == (0, 2)
    for _ in range(MOST_FAILURES - 1):
        store.add_part(failed_rows([two], "the disk was full"), {})
    report = quiet(config, out, retry="failed")
    assert (report.done, report.failed, report.given_up) == (1, 1, 1)
    assert summary(out)["status"].tolist() == ["ok", "failed"]
    report = quiet(FakeConfig((1,)), out, retry="failed")
    assert (report.reused, report.failed, report.given_up) == (1, 0, 0)


@pytest.mark.usefixtures("fake")
def test_a_diverged_run_is_a_result(tmp_path):
    config = FakeConfig((DIVERGES, DIVERGES + 1))
    assert numbers(quiet(config, tmp_path / "s"))["diverged"] == 1
    assert quiet(config, tmp_path / "s").reused == 2


@pytest.mark.usefixtures("fake")
def test_shards_share_the_runs_out_and_meet_in_one_store(tmp_path):
    config = FakeConfig(tuple(range(10)))
    reports = [quiet(config, tmp_path / "s", shard=f"{i}/3") for i in (1, 2)]
    assert [(report.done, report.others) for report in reports] == [(4, 0), (3, 0)]
    assert status(tmp_path / "s").missing == 3
    assert quiet(config, tmp_path / "elsewhere", shard="3/3").done == 3
    shutil.copytree(tmp_path / "elsewhere", tmp_path / "s", dirs_exist_ok=True)
    assert summary(tmp_path / "s")["seed"].tolist() == list(range(10))
    assert (status(tmp_path / "s").missing, status(tmp_path / "s").others) == (0, 0)


def test_a_foreign_folder_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "simulate_block", None)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="not empty"):
        quiet(FakeConfig((1,)), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.usefixtures("fake")
def test_a_terminated_sweep_keeps_its_results_and_resumes(tmp_path):
    process = started(tmp_path / "s", 2)  # Ctrl-C: tests/test_cli.py
    process.terminate()
    message = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert "interrupted: " in message and "missing" in message and "Traceback" not in message
    kept = len(summary(tmp_path / "s"))
    assert 0 < kept < 60
    report = quiet(FakeConfig(tuple(range(100, 160))), tmp_path / "s")
    assert (report.reused, report.done) == (kept, 60 - kept)
    quiet(FakeConfig(tuple(range(100, 160))), tmp_path / "uninterrupted")
    pd.testing.assert_frame_equal(fl.load(tmp_path / "s"), fl.load(tmp_path / "uninterrupted"), check_exact=True)


@pytest.mark.usefixtures("fake")
def test_an_interruption_is_a_keyboard_interrupt_with_a_report(tmp_path, monkeypatch):
    """It fails no run, not even the current one."""
    assert issubclass(SweepInterrupted, KeyboardInterrupt)

    def interrupted(runs, *, device):
        if any(run.seed == RAISES for run in runs):
            raise KeyboardInterrupt
        return fakes.fake_block(runs, device=device)

    monkeypatch.setattr(worker, "simulate_block", interrupted)
    with pytest.raises(SweepInterrupted) as interruption:
        quiet(FakeConfig(tuple(range(RAISES - 5, RAISES + 6))), tmp_path / "s")
    assert (interruption.value.report.done, interruption.value.report.failed) == (4, 0)


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(("number", "times"), [(signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_a_commit_once_begun_is_finished_and_nothing_counts_that_is_not_on_disk(
    tmp_path, monkeypatch, capfd, number, times
):
    """Signals while the last part is flushed to disk."""
    monkeypatch.setattr(commits, "COMMIT_SECONDS", 1e9)
    add_part, fsync, parts, signalled = Store.add_part, os.fsync, [], []

    def adding(*part):
        parts.append(part)
        return add_part(*part)

    def flushing(file):
        if len(parts) == 2 and not signalled:
            for _ in range(times):
                signalled.append(signal.raise_signal(number))
        fsync(file)

    monkeypatch.setattr(Store, "add_part", adding)
    monkeypatch.setattr(os, "fsync", flushing)
    before = signal.getsignal(number)
    with pytest.raises(SweepInterrupted, match=r"interrupted: 12 done, 0 reused, 0 failed; the same call") as ended:
        quiet(FakeConfig(tuple(range(12))), tmp_path / "s")
    assert len(parts) == 2 and signal.getsignal(number) is before
    assert ended.value.report.done == status(tmp_path / "s").done == 12
    assert capfd.readouterr().err == "interrupted: writing 8 finished runs first\n" * times
