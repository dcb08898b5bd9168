"""A sweep on a scheduler and workers, started as a user would: it loses and doubles nothing, whatever dies."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest

import featlearn as fl
from featlearn.store import Store
from featlearn.store.contents import read_part
from featlearn.store.listing import PARTS, entries
from featlearn.sweeps import SweepError, SweepInterrupted, sweep
from featlearn.sweeps.cluster import dask_setup

distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")

RULES = '''
import os, signal
from dataclasses import dataclass
from pathlib import Path
from featlearn.optim import Perturbed
from featlearn.types import NonNegative

@dataclass(frozen=True, kw_only=True)
class Mine(Perturbed):
    """SAM; ends what the files say: the worker that started its process, once, or the scheduler.

    odd: ends its process where it is above 1.
    """

    odd: NonNegative = 0.0

    def perturbation(self, loss, w, memory, t):
        if (loss.inner(w, w) * 0 + self.odd > 1).any():
            os._exit(7)
        once, scheduler = Path("FOLDER/once"), Path("FOLDER/kill")
        if once.exists():
            once.unlink()
            os.kill(os.getppid(), signal.SIGKILL)
        if scheduler.exists() and list(Path("FOLDER/lost/parts").glob("*")):
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture
def lab(folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("my_rules.py").write_text(RULES.replace("FOLDER", str(folder)))
    Path("own.yaml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def start(folder):
    """Start a scheduler or a worker on the command line."""
    processes = []

    def command(kind, *words, **environment):
        words = ["--scheduler-file", "scheduler.json", "--no-dashboard", *words]
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", *words],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        processes.append(process)
        return process

    yield command
    for process in reversed(processes):
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def scheduler(start, folder):
    """The scheduler's process and address."""
    process = start("scheduler", "--host", "127.0.0.1", "--port", "0")
    late = time.monotonic() + 30
    while not (folder / "scheduler.json").exists() and time.monotonic() < late:
        time.sleep(0.05)
    return process, json.loads((folder / "scheduler.json").read_text())["address"]


def worker(start, name, claims=""):
    """Start a worker; one that claims version 9.9 of a package."""
    path = Path(f"{name}-packages")
    (path / f"{claims}-9.9.dist-info").mkdir(parents=True)
    (path / f"{claims}-9.9.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {claims}\nVersion: 9.9\n")
    words = ("--nthreads", "1", "--no-nanny", "--local-directory", name)
    return start("worker", *words, PYTHONPATH=os.pathsep.join([str(path.absolute()), *sys.path]))


def swept(out, **options):
    return sweep("own.yaml", out, device="cpu", progress=False, **options)


def provenances(store):
    return [piece.footer["provenance"] for entry in entries(store, PARTS)[0] for piece in read_part(entry).pieces]


def test_a_killed_worker_and_a_late_one_change_no_bit_and_one_with_other_versions_is_refused(
    lab, start, scheduler, monkeypatch, capfd
):
    where = {"backend": "dask", "scheduler": scheduler[1]}
    odd_one = worker(start, "odd", claims="scipy")
    with distributed.Client(scheduler[1], set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)
    with monkeypatch.context() as patch, pytest.raises(SweepError) as refused:
        patch.setattr("featlearn.sweeps.cluster.CONNECT_SECONDS", 0.5)
        swept("s", **where)
    text = f"no worker of {scheduler[1]} can be used: it has scipy 9.9 in place of {version('scipy')}"
    assert str(refused.value) == text and not Path("s").exists()
    monkeypatch.setattr("featlearn.sweeps.cluster.CONNECT_SECONDS", 60)
    only = worker(start, "only")
    Path("once").touch()  # it will be killed by its first block

    def replace():
        only.wait(120)
        time.sleep(1.5)
        worker(start, "late", claims="joblib")

    thread = threading.Thread(target=replace)
    thread.start()
    report = swept("s", **where)
    thread.join()
    assert (report.done, report.failed, Path("once").exists(), odd_one.poll()) == (12, 0, False, None)
    said = capfd.readouterr().err
    assert "has no worker left: waiting for one to join" in said and "has a worker again: going on" in said
    assert "refused the dask worker tcp://" in said and said.count("refused") == 1
    assert {found["joblib"] for found in provenances(Path("s"))} == {"9.9"}
    assert {found["own"][0]["name"] for found in provenances(Path("s"))} == {"my_rules.py:Mine"}
    assert swept("t").done == 12
    pd.testing.assert_frame_equal(fl.load("s"), fl.load("t"), check_exact=True)


def test_a_run_that_ends_its_process_fails_alone_and_ends_no_worker(lab, start, scheduler, monkeypatch):
    monkeypatch.setattr("featlearn.sweeps.cluster.CONNECT_SECONDS", 60)
    with distributed.Client(scheduler[1], set_as_default=False) as client:
        workers = set(client.nthreads())
        if len(workers) < 2:
            worker(start, "another")
        odd = {"sweep": {"optimizer.odd": [0.0, 0.5, 2.0]}, "data.n_samples": 4}
        report = swept("odd_one", backend="dask", scheduler=scheduler[1], set=odd)
        assert (report.done, report.failed) == (2, 1)
        why = fl.summary("odd_one", where={"status": "failed"})["message"].tolist()
        assert why == ["the process computing it ended with exit code 7"] and workers <= set(client.nthreads())


def test_a_lost_scheduler_ends_the_sweep_with_what_is_done_and_the_same_call_resumes(
    lab, start, scheduler, monkeypatch
):
    monkeypatch.setattr("featlearn.sweeps.cluster.CONNECT_SECONDS", 60)
    process, address = scheduler
    with distributed.Client(address, set_as_default=False) as client:
        if len(client.nthreads()) < 2:
            worker(start, "a third")
    Path("kill").write_text(str(process.pid))
    with pytest.raises(SweepInterrupted, match=f"the dask scheduler at {address} is lost: .* the same call resumes"):
        swept("lost", backend="dask", scheduler=address)
    Path("kill").unlink()
    done = len(fl.summary("lost"))
    assert 0 < done < 12
    assert swept("lost").done == 12 - done
    assert len(provenances(Path("lost"))) > 1 and len(Store.open("lost").finished()) == 12


def test_without_an_address_a_cluster_of_this_machine_is_started_and_said(lab, capfd):
    assert swept("here", backend="dask").done == 12
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
        swept("nowhere", backend="dask", scheduler="tcp://127.0.0.1:9")
    assert not Path("nowhere").exists()
