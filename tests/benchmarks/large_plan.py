"""CPU time and memory of planning a million runs, and of resuming a sweep that has all but a thousand of them.

Not collected by the suite: ``python tests/benchmarks/large_plan.py 1_000_000``. 100 dimensions, the rest seeds; the
store of the resumed sweep has 100 parts. Each is measured in a process of its own, after the imports.
"""

import resource
import sys
import tempfile
import time
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa

import featlearn as fl
from featlearn.store import Store
from featlearn.store.parquet import write_table
from featlearn.sweeps.blocks import Plan, Shard

MISSING, PARTS, DIMS = 1000, 100, 100


def config(n_runs):
    """A sweep of so many runs."""
    return {
        "data": {"n_samples": 20, "dim": 1000, "signal_norm": 5.0},
        "network": {"n_filters": 10, "init_std": 0.001},
        "optimizer": {"name": "sam", "lr": 0.01, "rho": 0.03},
        "train": {"n_steps": 100},
        "sweep": {"data.dim": {"range": [1000, 1000 + DIMS]}, "seed": {"range": [0, n_runs // DIMS]}},
    }


def build(path, n_runs):
    """Make the store of a sweep that was interrupted shortly before its end."""
    loaded = fl.load_config(config(n_runs))
    ids = np.array([run.run_id for run in loaded.runs()])
    store = Store.create(path, "scale")
    store.add_plan(ids.tolist(), loaded.to_json())
    for number, part in enumerate(np.array_split(ids[:-MISSING], PARTS)):
        n = len(part)
        columns = {"run_id": part, "status": ["ok"] * n, "message": ["done"] * n, "stopped_step": np.full(n, 100)}
        table = pa.table(columns | {"step": pa.array([[0, 100]] * n)})
        write_table(path / "parts", str(time.time_ns() + number), table, {"config": "{}"})


def measure(name, path, n_runs):
    """Print the CPU seconds of the parts of a plan, and the peak of memory in the whole process."""
    sweep = import_module("featlearn.sweeps.sweep")
    times = [time.process_time()]
    loaded = fl.load_config(config(n_runs))
    times.append(time.process_time())
    _, before = sweep._earlier(path, None)
    times.append(time.process_time())
    plan = Plan.of(loaded.runs(), Shard(), before.finished | before.left)
    Store.create(path, "scale").add_plan(plan.run_ids.tolist(), loaded.to_json(), plan.given)
    times.append(time.process_time())
    n_blocks = sum(1 for _ in plan.blocks(loaded.runs(), "cpu", 2))
    times.append(time.process_time())
    parts = zip(("config", "store", "plan", "blocks"), np.diff(times), strict=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    words = ", ".join(f"{part} {seconds:.1f}" for part, seconds in parts)
    print(
        f"{name}: {times[-1] - times[0]:.1f} s ({words}), {peak:.2f} GiB, {plan.todo.sum():,} runs in {n_blocks} blocks"
    )


def apart(function, *words):
    """Call a function in a process of its own."""
    process = get_context("spawn").Process(target=function, args=words)
    process.start()
    process.join()


def main(n_runs):
    """Measure both."""
    with tempfile.TemporaryDirectory() as folder:
        apart(build, Path(folder) / "store", n_runs)
        apart(measure, "plan", Path(folder) / "new", n_runs)
        apart(measure, "resume", Path(folder) / "store", n_runs)


if __name__ == "__main__":
    main(int(sys.argv[1]))
