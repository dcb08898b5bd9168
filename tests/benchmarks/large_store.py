"""CPU time and memory of reading a store of synthetic rows: two recorded steps and ten tracked columns a run.

Not collected by the suite: ``PYTHONPATH=tests python tests/benchmarks/large_store.py 1_000_000 100``; the second number
is that of the parts. Each call is measured in a process of its own, after the imports.
"""

import json
import os
import resource
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa

import featlearn as fl
from featlearn.store import Store, status
from featlearn.store.parquet import write_table

TRACKERS = ["train_loss", "train_error", "grad_norm", "test_error", "test_error_true", "test_error_se"]
TRACKERS += ["signal_coef_max", "signal_coef_mean", "noise_coef_pos_max", "noise_coef_pos_mean"]
STEPS = 2
DIMS = 100  # values of data.dim


def settings():
    """The config columns of a run."""
    from helpers import make_run

    return make_run().columns()


def build(path, n_runs, n_parts):
    """Make the store: one plan, and parts of equal size, which no process joins."""
    store, rng = Store.create(path, "scale"), np.random.default_rng(0)
    ids = np.array([f"{i * 11400714819323198485 % 2**64:016x}" for i in range(n_runs)])
    store.add_plan(ids, json.dumps({"seeds": n_runs}))
    base = settings()
    for part, runs in enumerate(np.array_split(np.arange(n_runs), n_parts)):
        n = len(runs)
        columns = {"run_id": ids[runs], "status": ["ok"] * n, "message": [f"completed {i % 7} steps" for i in runs]}
        columns |= {name: pa.array([value] * n) for name, value in base.items()}
        columns |= {
            "stopped_step": np.full(n, 100),
            "seed": runs % 1000,
            "data.dim": 1000 + 100 * (runs // 1000 % DIMS),
        }
        ends = pa.array(np.arange(0, STEPS * (n + 1), STEPS), pa.int32())
        lists = {"step": np.tile(np.arange(STEPS) * 100, n)} | {name: rng.random(n * STEPS) for name in TRACKERS}
        columns |= {name: pa.ListArray.from_arrays(ends, pa.array(values)) for name, values in lists.items()}
        footer = {"config": "{}", "provenance": {"torch": "2"}}
        write_table(path / "parts", str(time.time_ns() + part), pa.table(columns), footer)


CALLS = {
    "status": status,
    "finished_ids": lambda path: Store.open(path).finished_ids(),
    "mend": lambda path: Store.open(path).mend(),
    "summary": fl.summary,
    "load": fl.load,
    "load, three columns": lambda path: fl.load(path, columns=["step", "test_error", "data.dim"]),
    "load, one cell": lambda path: fl.load(path, columns=["step", "test_error"], where={"data.dim": 1000}),
    "compact": lambda path: Store.open(path).compact(),
}


def measure(name, path):
    """Print CPU seconds and the growth of the peak of memory of a call."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    CALLS[name](path)
    seconds = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    parts = len(os.listdir(path / "parts"))
    print(f"{name:20} {seconds:6.2f} s  {grown:5.2f} GiB  ({parts} parts)", flush=True)


def apart(function, *words):
    """Call a function in a process of its own."""
    process = get_context("spawn").Process(target=function, args=words)
    process.start()
    process.join()


def main(n_runs, n_parts):
    """Measure every call, and the reading ones again on the compacted store."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        apart(build, path, n_runs, n_parts)  # a process inherits the peak of its parent's memory
        size = sum(file.stat().st_size for file in path.rglob("*.parquet"))
        print(f"{n_runs:,} runs in {n_parts:,} parts, {size / 1e6:.0f} MB")
        for name in [*CALLS, *list(CALLS)[:-1]]:
            apart(measure, name, path)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]))
