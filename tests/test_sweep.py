"""A sweep loses nothing, repeats nothing, and its bits do not depend on how it was cut, shared out or interrupted."""

import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass, replace

import fakes
import pandas as pd
import pytest
from fakes import DIVERGES, KILLS, RAISES, FakeConfig
from helpers import RULES, make_run
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

import featlearn as fl
from featlearn.store import Store, StoreError, StoreWarning, failed_rows, status, summary
from featlearn.sweeps import SweepError, SweepInterrupted, pool, sweep, worker
from featlearn.sweeps.blocks import Plan, Shard, blocks
from featlearn.sweeps.worker import describe


@pytest.fixture
def fake(monkeypatch):
    """Blocks of four runs that cost nothing, in this process and in workers."""
    monkeypatch.setattr(worker, "simulate_block", fakes.fake_block)
    monkeypatch.setattr(pool, "run_block_in_worker", fakes.run_block_in_worker)
    monkeypatch.setattr("featlearn.sweeps.blocks.lanes", lambda run, device: 4)
    yield
    get_reusable_executor().shutdown()  # its workers have learned to fake


def numbers(report):
    return {key: getattr(report, key) for key in ("total", "reused", "done", "failed", "diverged", "missing")}


def quiet(config, out, **options):
    return sweep(config, out, device="cpu", progress=False, **options)


@pytest.mark.usefixtures("fake")
def test_a_second_call_computes_only_what_is_missing(tmp_path, monkeypatch):
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
def test_a_run_that_raises_is_recorded_and_takes_no_neighbour_along(tmp_path):
    seeds = tuple(range(RAISES - 5, RAISES + 6))
    report = quiet(FakeConfig(seeds), tmp_path / "s")
    assert (report.done, report.failed) == (10, 1)
    last = summary(tmp_path / "s").set_index("seed")
    assert last.index[last["status"] == "failed"].tolist() == [RAISES]
    assert last.loc[RAISES, "message"].startswith("ArithmeticError: thirteen (tests/fakes.py:")


@pytest.mark.usefixtures("fake")
def test_a_failed_run_is_tried_again(tmp_path):
    out, config = tmp_path / "s", FakeConfig((1, 2))
    store = Store.create(out, "fake")
    store.add_part(failed_rows(list(config.runs()), "the disk was full"), {})
    assert numbers(quiet(config, out))["done"] == 2
    assert summary(out)["status"].tolist() == ["ok", "ok"]


@pytest.mark.usefixtures("fake")
def test_a_diverged_run_is_a_result(tmp_path):
    config = FakeConfig((DIVERGES, DIVERGES + 1))
    assert numbers(quiet(config, tmp_path / "s"))["diverged"] == 1
    assert quiet(config, tmp_path / "s").reused == 2


@pytest.mark.usefixtures("fake")
def test_a_killed_worker_costs_time_and_a_block_that_always_kills_is_given_up_alone(tmp_path, monkeypatch):
    get_reusable_executor().shutdown()  # workers keep the environment of their birth
    monkeypatch.setenv("FAKE_DEATH", str(tmp_path / "died"))
    report = quiet(FakeConfig(tuple(range(KILLS - 10, KILLS + 10))), tmp_path / "s", n_jobs=2)
    assert (tmp_path / "died").exists()
    assert (report.done, report.failed) == (16, 4)
    assert status(tmp_path / "s").failures == {pool.KILLED: 4}
    last = summary(tmp_path / "s")
    assert last["seed"][last["status"] == "failed"].tolist() == [32, 33, KILLS, 35]


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard": "0/3"}, "i/n"),
        ({"shard": "4/3"}, "i/n"),
        ({"shard": "half"}, "i/n"),
        ({"n_jobs": 0}, "at least 1"),
        ({"device": "tpu"}, "auto, cpu or cuda"),
        ({"backend": "ray"}, "ray"),
        ({"scheduler": "tcp://here"}, "dask"),
        ({"set": ["seed=1"]}, "load_config"),
    ],
)
def test_a_wrong_call_writes_nothing(tmp_path, options, message):
    with pytest.raises((SweepError, ValueError), match=message):
        sweep(FakeConfig((1,)), tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_cuda_is_refused_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SweepError, match="no CUDA device"):
        sweep(FakeConfig((1,)), tmp_path / "s", device="cuda")
    assert not (tmp_path / "s").exists()


def test_a_foreign_folder_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "simulate_block", None)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="not empty"):
        quiet(FakeConfig((1,)), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_blocks_are_full_and_of_one_shape(monkeypatch):
    monkeypatch.setattr("featlearn.sweeps.blocks.lanes", lambda run, device: 3)
    runs = [make_run(RULES[rule], seed=seed) for seed in range(4) for rule in ("sgd", "sam")]
    cut = [[(run.seed, type(run.optimizer).__name__) for run in block] for block in blocks(runs, "cpu")]
    assert cut[0] == [(0, "SGD"), (1, "SGD"), (2, "SGD")]
    assert [len(block) for block in cut] == [3, 3, 1, 1]
    assert len({run for block in cut for run in block}) == 8


def test_every_shard_is_disjoint_and_all_are_everything():
    runs = list(FakeConfig(tuple(range(11))).runs())
    masks = [Plan.of(runs, Shard.parse(f"{i}/4"), ()).mine for i in range(1, 5)]
    assert (sum(mask.astype(int) for mask in masks) == 1).all()


def test_an_error_is_described_by_the_users_line_not_the_librarys():
    try:
        pd.DataFrame({"a": [1]})["b"]
    except KeyError as error:
        assert describe(error).startswith("KeyError: 'b' (tests/test_sweep.py:")


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
    """The second sweep is made by a thread, whose end its processes outlive: they are joblib's, for the caller too."""
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


DRIVER = """
    import sys
    from fakes import FakeConfig, fake_block, run_block_in_worker
    from featlearn.sweeps import SweepInterrupted, blocks, pool, sweep, worker

    worker.simulate_block, pool.run_block_in_worker = fake_block, run_block_in_worker
    blocks.lanes = lambda run, device: 1
    try:
        sweep(FakeConfig(tuple(range(100, 160))), sys.argv[1], n_jobs=int(sys.argv[2]), device="cpu")
    except SweepInterrupted as interrupted:
        sys.exit(str(interrupted))
"""


def started(out, n_jobs):
    """A sweep of sixty runs of a tenth of a second, under way: its first result is there."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRIVER), str(out), str(n_jobs)],
        env={**os.environ, "PYTHONPATH": os.path.dirname(__file__), "FAKE_SECONDS": "0.1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "fake: 1 done" in process.stderr.readline()
    return process


@pytest.mark.usefixtures("fake")
def test_a_terminated_sweep_keeps_what_is_done_and_goes_on_from_there(tmp_path):
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


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_workers_die_with_a_killed_parent(tmp_path):
    process = started(tmp_path / "s", 2)
    workers = children(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.communicate()
    for _ in range(100):
        if not any(os.path.exists(f"/proc/{pid}") for pid in workers):
            return
        time.sleep(0.1)
    raise AssertionError("a worker outlives its parent")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


@pytest.mark.usefixtures("fake")
def test_an_interruption_is_a_keyboard_interrupt_with_a_report(tmp_path, monkeypatch):
    """It fails no run, not even that during which it comes."""
    assert issubclass(SweepInterrupted, KeyboardInterrupt)

    def interrupted(runs, *, device):
        if any(run.seed == RAISES for run in runs):
            raise KeyboardInterrupt
        return fakes.fake_block(runs, device=device)

    monkeypatch.setattr(worker, "simulate_block", interrupted)
    with pytest.raises(SweepInterrupted) as interruption:
        quiet(FakeConfig(tuple(range(RAISES - 5, RAISES + 6))), tmp_path / "s")
    assert (interruption.value.report.done, interruption.value.report.failed) == (4, 0)
