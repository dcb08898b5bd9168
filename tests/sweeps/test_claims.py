"""Several sweeps into one store compute each run once, and a dead one's claims do not last."""

import json
import os
import threading
import time
from dataclasses import replace

import fakes
import pytest
from fakes import FakeConfig, quiet

from featlearn.store import Store, failed_rows, rows, summary
from featlearn.store.snapshot import Snapshot
from featlearn.sweeps import commits, worker
from featlearn.sweeps.claims import Claims
from featlearn.sweeps.ends import Ends
from featlearn.sweeps.holders import STALE_SECONDS, Holder

RUNS = list(FakeConfig(tuple(range(6))).runs())
IDS = {run.run_id for run in RUNS}


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "s", "fake")


@pytest.fixture
def claims(store):
    made = []

    def make():
        made.append(Claims(store.path, Ends(store.path, Snapshot.of(store.path))))
        return made[-1]

    yield make
    for claim in made:
        claim.close()


def forged(store, **changes):
    """The claims of another process to all runs."""
    (store.path / "claims").mkdir(exist_ok=True)
    path = store.path / "claims" / "forged"
    lines = [json.dumps(vars(replace(Holder.this(), **changes))), *(f"+{run_id}" for run_id in IDS)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_run_is_claimed_once_and_left_to_the_first(claims):
    first, second = claims(), claims()
    assert first.take(RUNS[:3]) == RUNS[:3]
    assert second.take(RUNS[2:5]) == RUNS[3:5]
    assert second.left == {RUNS[2].run_id} and not first.left
    assert first.take(RUNS[3:]) == RUNS[5:]


def test_what_another_sweep_commits_is_news_and_never_taken(store, claims):
    first, second = claims(), claims()
    first.take(RUNS[:2])
    assert second.take(RUNS[:2]) == [] and second.news() == [] and second.free() == set()
    store.add_part(rows(fakes.fake_block(RUNS[:1], device="cpu")), {})
    store.add_part(failed_rows(RUNS[1:2], "no"), {})
    first.close()
    assert second.free() == set() and sorted(second.news()) == ["failed", "ok"]
    assert second.take(RUNS[:3]) == RUNS[2:3]


def test_what_a_closed_sweep_has_not_committed_is_free(claims):
    first, second = claims(), claims()
    first.take(RUNS)
    assert second.take(RUNS) == []
    first.close()
    assert second.free() == IDS and second.left == set()
    assert second.take(RUNS) == RUNS


def test_of_two_at_once_without_a_lock_no_one_computes_the_others(claims, monkeypatch):
    """Both have written, before either reads: both step back, and try again."""
    first, second = claims(), claims()
    for one in (first, second):
        monkeypatch.setattr(one, "_marker", one._folder / "absent")
    second._write("+", IDS)
    assert first.take(RUNS) == []
    second._write("-", IDS)
    assert first.free() == IDS and first.take(RUNS) == RUNS


@pytest.mark.parametrize(
    ("changes", "age", "lives"),
    [
        ({}, STALE_SECONDS + 1, True),
        ({"start": "earlier"}, 0, False),
        ({"host": "another"}, STALE_SECONDS - 30, True),
        ({"host": "another"}, STALE_SECONDS + 30, False),
    ],
)
def test_claims_of_the_dead_are_removed(store, claims, changes, age, lives):
    path = forged(store, **changes)
    os.utime(path, (time.time() - age,) * 2)
    assert claims().take(RUNS) == ([] if lives else RUNS)
    assert path.exists() == lives


@pytest.mark.usefixtures("fake")
def test_a_sweep_with_nothing_to_do_removes_the_claims_of_the_dead(tmp_path):
    quiet(FakeConfig((1,)), tmp_path / "s")
    forged(Store.open(tmp_path / "s"), start="earlier")
    assert quiet(FakeConfig((1,)), tmp_path / "s").reused == 1
    assert not (tmp_path / "s" / "claims").exists()


def test_a_file_that_is_no_claim_is_none_and_one_being_written_is_read_as_far_as_it_goes(store, claims):
    path = forged(store)
    whole = path.read_text()
    path.write_text(whole[:-1])
    (last,) = claims().take(RUNS)  # of the line without an end
    path.write_text("not JSON\n")
    assert claims().take(RUNS) == [run for run in RUNS if run is not last]


def test_a_sign_of_life_is_given(claims, monkeypatch):
    monkeypatch.setattr("featlearn.sweeps.claims.SIGN_SECONDS", 0.01)
    claim = claims()
    os.utime(claim._path, (0, 0))
    late = time.monotonic() + 5
    while claim._path.stat().st_mtime == 0 and time.monotonic() < late:
        time.sleep(0.01)
    assert claim._path.stat().st_mtime > 0


@pytest.mark.usefixtures("fake")
def test_three_sweeps_at_once_compute_each_run_once_and_all_end_with_the_whole_store(tmp_path, monkeypatch):
    monkeypatch.setattr(commits, "COMMIT_SECONDS", 0.0)
    monkeypatch.setattr("featlearn.sweeps.sharing.WAIT_SECONDS", 0.01)
    monkeypatch.setattr("featlearn.sweeps.blocks.lanes", lambda run, device: 1)
    computed, start = [], threading.Barrier(3)
    whole = fakes.fake_block

    def slow(runs, *, device):
        computed.extend(run.seed for run in runs)
        time.sleep(0.005)
        return whole(runs, device=device)

    monkeypatch.setattr(worker, "simulate_block", slow)
    quiet(FakeConfig((1,)), tmp_path / "first")  # numba cannot be imported by several threads at a time
    computed.clear()
    reports = []

    def sweep():
        start.wait()
        reports.append(quiet(FakeConfig(tuple(range(100, 140))), tmp_path / "s"))

    threads = [threading.Thread(target=sweep) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(computed) == list(range(100, 140))
    assert sum(report.done for report in reports) == 40
    for report in reports:
        assert report.missing == 0 and report.done + report.shared + report.reused == 40
    assert summary(tmp_path / "s")["status"].eq("ok").sum() == 40
    assert not (tmp_path / "s" / "claims").exists()


def test_a_sweep_whose_claim_was_removed_claims_anew(store, claims):
    mine, other = claims(), claims()
    assert mine.take(RUNS[:1]) == RUNS[:1]
    mine._path.unlink()
    assert mine.take(RUNS[1:]) == RUNS[1:] and mine._path.exists()
    assert other.take(RUNS[1:]) == []
