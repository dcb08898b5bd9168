"""A config and a simulation without cost, for tests of sweeps; worker processes import this file too."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from featlearn.runs import Trajectory
from featlearn.sweeps import faults, sweep, worker

RAISES, DIVERGES, KILLS, KILLS_ONCE, INTERRUPTS, CLOSES, HANGS = 13, 21, 34, 41, 50, 51, 60  # seeds that go wrong
REAL = worker.run_block_in_worker


@dataclass(frozen=True)
class FakeConfig:
    """A sweep over seeds of one run, in the given order."""

    seeds: tuple[int, ...]
    lr: float = 0.1
    name: str = "fake"

    def runs(self):
        from helpers import make_run  # which workers, that import this file too, do without: it takes them seconds

        base = make_run()
        for seed in self.seeds:
            yield replace(base, seed=seed, optimizer=replace(base.optimizer, lr=self.lr))

    def to_json(self):
        return json.dumps({"seeds": self.seeds, "lr": self.lr})


def fake_block(runs, *, device):
    """Trajectories that depend on the seed only; some seeds raise, diverge, hang, or end their process."""
    errors = {RAISES: ArithmeticError("thirteen"), INTERRUPTS: KeyboardInterrupt("mine"), CLOSES: GeneratorExit()}
    for run in runs:
        if run.seed in errors:
            raise errors[run.seed]
    if any(run.seed == HANGS for run in runs):
        re.match("(a+)+$", "a" * 60 + "b")  # for ages, and without a look at signals
    if any(run.seed == KILLS or (run.seed == KILLS_ONCE and _first_time()) for run in runs):
        os._exit(9)  # as the kernel would when memory is short
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
    return [_trajectory(run) for run in runs]


def _trajectory(run):
    steps = np.array([0, 10, 20])[: 2 if run.seed == DIVERGES else 3]
    values = {"train_loss": run.seed + 1 / (1 + steps), "signal_coef": np.outer(1 + steps, [1.0, run.seed])}
    status = "diverged" if run.seed == DIVERGES else "ok"
    return Trajectory(run, status, f"it ended {status}", int(steps[-1]), steps, values)


def _first_time():
    """Whether the file FAKE_DEATH still has to be written."""
    death = Path(os.environ["FAKE_DEATH"])
    if death.exists():
        return False
    death.touch()
    return True


def run_block_in_worker(*task):
    """The function that worker processes call instead of the real one."""
    worker.simulate_block = fake_block
    faults.START_SECONDS = 0.5  # what is not imported here takes no longer
    return REAL(*task)


def quiet(config, out, **options):
    return sweep(config, out, device="cpu", progress=False, **options)


DRIVER = """
    import sys
    from fakes import FakeConfig, fake_block, run_block_in_worker
    from featlearn.sweeps import SweepInterrupted, blocks, crew, sweep, worker

    worker.simulate_block, crew.run_block_in_worker = fake_block, run_block_in_worker
    blocks.lanes = lambda run, device: 1
    try:
        sweep(FakeConfig(tuple(range(100, 160))), sys.argv[1], n_jobs=int(sys.argv[2]), device="cpu")
    except SweepInterrupted as interrupted:
        sys.exit(str(interrupted))
"""


def started(out, n_jobs, **environment):
    """A sweep of sixty runs of a tenth of a second, started, with its first result stored."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRIVER), str(out), str(n_jobs)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "FAKE_SECONDS": "0.1", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "fake: 1 done" in process.stderr.readline()
    return process
