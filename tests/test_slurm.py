"""The example of a SLURM array, its tasks run as processes at the same time."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

import featlearn as fl

SCRIPT = Path(__file__).parents[1] / "configs" / "slurm_array.sh"
CONFIG = """
data: {n_samples: 4, dim: 100, signal_norm: 2.0}
network: {n_filters: 2, init_std: 0.1}
optimizer: {name: sam, lr: 0.1, rho: 0.03}
train: {n_steps: 5}
sweep: {optimizer.rho: [0.03, 0.1], seed: {range: [0, 4]}}
"""


def test_the_tasks_of_an_array_leave_the_store_of_one_sweep(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG)
    fl.sweep(config, tmp_path / "whole", progress=False)
    bin = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    tasks = []
    for task in (1, 2, 3):
        slurm = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "3", "PATH": bin}
        call = ["bash", str(SCRIPT), str(config), str(tmp_path / "store")]
        tasks.append(subprocess.Popen(call, env=os.environ | slurm, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    ended = [task.communicate() for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0, 0], ended
    pd.testing.assert_frame_equal(fl.load(tmp_path / "store"), fl.load(tmp_path / "whole"), check_exact=True)
