"""A sweep on a scheduler and two workers, started as a user would: it loses and doubles nothing, whatever dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import featlearn as fl
from featlearn.store import Store
from featlearn.sweeps import SweepError, SweepInterrupted, sweep
from featlearn.sweeps.cluster import dask_setup
from featlearn.sweeps.ends import Ends, part_files

pytest.importorskip("distributed", reason="the extra dask is not installed")

RULES = '''
import os, signal
from dataclasses import dataclass
from pathlib import Path
from featlearn.optim import Perturbed
from featlearn.types import NonNegative

@dataclass(frozen=True, kw_only=True)
class Mine(Perturbed):
    """SAM; ends what the files say: its own process, once or always, or the scheduler.

    odd: ends its process where it is above 1.
    """

    odd: NonNegative = 0.0

    def perturbation(self, loss, w, memory, t):
        if (loss.inner(w, w) * 0 + self.odd > 1).any():
            os._exit(7)
        once, scheduler = Path("FOLDER/once"), Path("FOLDER/kill")
        if once.exists():
            once.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if scheduler.exists() and list(Path("FOLDER/s/parts").glob("*")):
            os.kill(int(scheduler.read_text()), signal.SIGKILL)
        return self.radius(t) * loss.unit(loss.gradient(w)), memory.own
'''
CONFIG = """
name: own
data: {dim: 50, signal_norm: 2.0}
network: {n_filters: 2, init_std: 0.05}
optimizer: {name: "my_rules.py:Mine", lr: 0.1, rho: 0.1}
train: {n_steps: 6}
record: {every: 3, trackers: [loss]}
sweep: {data.n_samples: [3, 4, 5, 6, 7, 8], seed: [0, 1]}
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my_rules.py").write_text(RULES.replace("FOLDER", str(tmp_path)))
    Path("own.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def start(lab):
    """Start a scheduler or a worker on the command line."""
    processes = []

    def command(kind, *words, **environment):
        words = ["--scheduler-file", "scheduler.json", "--no-dashboard", *words]
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", *words],
            env={**os.environ, **environment, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        processes.append(process)
        return process

    yield command
    for process in reversed(processes):
        process.terminate()
        process.wait(20)


@pytest.fixture
def scheduler(start):
    """The scheduler's process and address, with a worker."""
    process = start("scheduler", "--host", "127.0.0.1", "--port", "0")
    late = time.monotonic() + 30
    while not Path("scheduler.json").exists() and time.monotonic() < late:
        time.sleep(0.05)
    start("worker", "--nthreads", "1", "--local-directory", "one")
    return process, json.loads(Path("scheduler.json").read_text())["address"]


def swept(out, **options):
    return sweep("own.yaml", out, device="cpu", progress=False, **options)


def test_a_killed_worker_and_a_late_one_change_no_bit_and_a_run_that_ends_workers_fails_alone(start, scheduler):
    Path("once").touch()
    start("worker", "--nthreads", "1", "--local-directory", "two")  # still starting when the sweep begins
    report = swept("s", backend="dask", scheduler=scheduler[1])
    assert (report.done, report.failed, Path("once").exists()) == (12, 0, False)
    assert swept("t").done == 12
    pd.testing.assert_frame_equal(fl.load("s"), fl.load("t"), check_exact=True)
    odd = {"sweep": {"optimizer.odd": [0.0, 0.5, 2.0]}, "data.n_samples": 4}
    report = swept("odd", backend="dask", scheduler=scheduler[1], set=odd)
    assert (report.done, report.failed) == (2, 1)
    assert fl.summary("odd", where={"status": "failed"})["message"].tolist() == ["every worker computing it ended"]


def test_a_lost_scheduler_ends_the_sweep_with_what_is_done_and_the_same_call_resumes(scheduler):
    process, address = scheduler
    Path("kill").write_text(str(process.pid))
    with pytest.raises(SweepInterrupted, match=f"the dask scheduler at {address} is lost: .* the same call resumes"):
        swept("s", backend="dask", scheduler=address)
    Path("kill").unlink()
    done = len(fl.summary("s"))
    assert 0 < done < 12
    assert swept("s").done == 12 - done
    assert Ends(Path("s"), part_files(Path("s"))).failures() == {} and len(Store.open("s").finished()) == 12


def test_without_an_address_a_cluster_of_this_machine_is_started_and_said(lab, capfd):
    assert swept("s", backend="dask", n_jobs=2).done == 12
    assert "started a dask cluster on this machine: tcp://127.0.0.1:" in capfd.readouterr().err


def test_workers_started_here_leave_ctrl_c_to_their_parent():
    before = signal.getsignal(signal.SIGINT)
    try:
        dask_setup(None)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_where_no_scheduler_answers_the_call_is_wrong(lab, monkeypatch):
    monkeypatch.setattr("featlearn.sweeps.cluster.CONNECT_SECONDS", 0.2)
    with pytest.raises(SweepError, match=r"no scheduler answers at tcp://127.0.0.1:9"):
        swept("s", backend="dask", scheduler="tcp://127.0.0.1:9")
