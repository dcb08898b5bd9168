"""Several processes compute the bits of one, and a killed one loses no result."""

import threading
from dataclasses import dataclass, replace

import pandas as pd
import pytest
from fakes import KILLS, FakeConfig, quiet
from helpers import RULES, make_run
from joblib import Parallel, delayed

import featlearn as fl
from featlearn.store import status, summary
from featlearn.sweeps import pool


@pytest.mark.usefixtures("fake_workers")
def test_a_killed_worker_costs_time_and_a_block_that_always_kills_is_given_up_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_DEATH", str(tmp_path / "died"))
    report = quiet(FakeConfig(tuple(range(KILLS - 10, KILLS + 10))), tmp_path / "s", n_jobs=2)
    assert (tmp_path / "died").exists()
    assert (report.done, report.failed) == (16, 4)
    assert status(tmp_path / "s").failures == {pool.KILLED: 4}
    last = summary(tmp_path / "s")
    assert last["seed"][last["status"] == "failed"].tolist() == [32, 33, KILLS, 35]


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
