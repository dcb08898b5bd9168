"""Several processes compute the bits of one, and a run that ends its process fails alone."""

import threading
from dataclasses import dataclass, replace

import pandas as pd
import pytest
from fakes import CLOSES, HANGS, INTERRUPTS, KILLS, FakeConfig, quiet
from helpers import RULES, make_run
from joblib import Parallel, delayed

import featlearn as fl
from featlearn.store import summary
from featlearn.sweeps import pool
from featlearn.sweeps.faults import Death
from featlearn.sweeps.pool import Desk, Piece


@pytest.mark.usefixtures("fake_workers")
def test_a_killed_process_costs_time_and_a_run_that_always_ends_its_own_fails_alone(tmp_path, monkeypatch):
    """So does one that raises what is no Exception; a message names the exit code."""
    monkeypatch.setenv("FAKE_DEATH", str(tmp_path / "died"))
    report = quiet(FakeConfig(tuple(range(KILLS - 2, CLOSES + 2))), tmp_path / "s", n_jobs=2)
    assert (tmp_path / "died").exists()
    assert (report.done, report.failed) == (18, 3)
    last = summary(tmp_path / "s").set_index("seed")
    failed = last[last["status"] == "failed"]
    assert failed.index.tolist() == [KILLS, INTERRUPTS, CLOSES]
    died, mine, closed = failed["message"]
    assert died == "the process computing it ended with exit code 9"
    assert mine.startswith("KeyboardInterrupt: mine (tests/fakes.py:")
    assert closed.startswith("GeneratorExit:  (tests/fakes.py:")


@pytest.mark.usefixtures("fake_workers")
def test_a_run_that_exceeds_the_time_limit_fails_alone_and_says_where_it_was(tmp_path):
    report = quiet(FakeConfig(tuple(range(HANGS - 2, HANGS + 2))), tmp_path / "s", time_limit=1)
    assert (report.done, report.failed) == (3, 1)
    last = summary(tmp_path / "s").set_index("seed")
    assert last.loc[HANGS, "message"] == "it took longer than the time limit of 1 s"
    assert "in fake_block" in last.loc[HANGS, "traceback"]


def test_a_death_halves_a_block_but_one_for_want_of_memory_first_has_it_tried_alone():
    block, died = list(range(4)), Death("exit code 7")
    killed, late = replace(died, killed=True), replace(died, late=True)
    assert Piece(block).after(died) == [Piece([0, 1], 1), Piece([2, 3], 1)]
    assert Piece(block).after(killed) == [Piece(block, 1, alone=True)]
    assert Piece(block, 1, alone=True).after(killed) == [Piece([0, 1], 2, True), Piece([2, 3], 2, True)]
    assert Piece([0], pool.ATTEMPTS - 2).after(died) == [Piece([0], pool.ATTEMPTS - 1, alone=True)]
    assert Piece([0], pool.ATTEMPTS - 1).after(died) == Piece([0]).after(late) == []


def test_what_deaths_have_left_goes_first_and_alone_if_it_must():
    desk = Desk(iter([["a", "b"], ["c"]]))
    first = desk.next([])
    assert first == Piece(["a", "b"]) and desk.bury(first, Death("", killed=True)) is None
    assert desk.next([Piece(["z"])]) is None  # waits for the others
    alone = desk.next([])
    assert alone.alone and desk.next([alone]) is None  # and they for it
    assert desk.next([]) == Piece(["c"]) and desk.next([]) is None


def test_after_many_deaths_blocks_are_left_to_the_next_call(monkeypatch):
    """No run fails that is not at fault."""
    monkeypatch.setattr(pool, "MOST_DEATHS", 1)
    desk, runs = Desk(iter([])), list(FakeConfig((1, 2, 3)).runs())
    table = desk.bury(Piece(runs[:1], pool.ATTEMPTS), Death("it died", words="there"))
    assert table["message"].to_pylist() == ["it died"] and table["traceback"].to_pylist() == ["there"]
    assert desk.bury(Piece(runs[1:]), Death("it died")) is None and desk.next([]) is None


@pytest.mark.usefixtures("fake_workers")
def test_runs_that_are_left_out_are_missing_and_the_same_call_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "MOST_DEATHS", 0)
    config = FakeConfig(tuple(range(KILLS - 2, KILLS + 6)))
    report = quiet(config, tmp_path / "s", time_limit=60)
    assert (report.done, report.failed, report.missing) == (4, 0, 4)
    monkeypatch.setattr(pool, "MOST_DEATHS", 1)
    report = quiet(config, tmp_path / "s", time_limit=60)
    assert (report.done, report.failed, report.missing) == (3, 1, 0)


@dataclass(frozen=True)
class RealConfig:
    """Two optimizers, several seeds, real training; ``order`` as given."""

    order: tuple[int, ...]
    name: str = "real"

    def runs(self):
        grid = [make_run(RULES[rule], seed=seed) for seed in range(4) for rule in ("sgd", "sam momentum, decay")]
        return [replace(grid[i], name=self.name) for i in self.order]

    def to_json(self):
        return "{}"


def test_bits_do_not_depend_on_jobs_order_or_resume(tmp_path):
    """The second sweep runs in a thread, and its processes outlive it: they are joblib's, also for the caller."""
    everything = tuple(range(8))
    quiet(RealConfig(everything), tmp_path / "one job")
    thread = threading.Thread(target=lambda: quiet(RealConfig(everything), tmp_path / "two jobs", n_jobs=2))
    thread.start()
    thread.join()
    assert Parallel(2)(delayed(abs)(-i) for i in range(4)) == [0, 1, 2, 3]
    quiet(RealConfig(everything[::-1]), tmp_path / "backwards")
    quiet(RealConfig((5, 2)), tmp_path / "resumed")
    quiet(RealConfig(everything), tmp_path / "resumed")
    by_run = [
        fl.load(tmp_path / name).sort_values(["run_id", "step"]).reset_index(drop=True)
        for name in ("one job", "two jobs", "backwards", "resumed")
    ]
    for other in by_run[1:]:
        pd.testing.assert_frame_equal(other, by_run[0], check_exact=True)
