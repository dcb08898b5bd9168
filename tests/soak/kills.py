"""Kills sweeps at random moments, resumes them, and compares the stores with that of an undisturbed sweep.

``python tests/soak/kills.py 300`` kills 300 times: SIGINT, SIGTERM or SIGKILL, to the parent, a worker or all of them.
A sweep is resumed until it ends, or after five kills in a row is left to end; its store must then hold the same rows,
bit for bit, each once, and no other file; and no process may be left. Exits with 1 if one does not.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

import featlearn as fl

CONFIG = """
data: {n_samples: 20, dim: 1000, signal_norm: 2.0}
network: {n_filters: 10, init_std: 0.01}
optimizer: {name: sam, lr: 0.1, rho: 0.03}
train: {n_steps: 400}
record: {every: 100}
sweep: {optimizer.rho: {linspace: [0.01, 0.1, 24]}, seed: {range: [0, 100]}}
"""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
KILLS_IN_A_ROW = 5


def sweep(config: Path, store: Path) -> subprocess.Popen[bytes]:
    """Start a sweep in a process group of its own."""
    call = [sys.executable, "-m", "featlearn", "sweep", str(config), "--out", str(store), "--jobs", "2"]
    return subprocess.Popen(call, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def children(pid: int) -> list[int]:
    """Return the processes that descend from one, itself excluded."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found += [int(entry.name), *children(int(entry.name))]
    return found


def kill(process: subprocess.Popen[bytes], rng: random.Random) -> str:
    """Send a random signal to the parent, a child, or the whole group; return which to whom."""
    number, whom = rng.choice(SIGNALS), rng.choice(["parent", "worker", "group"])
    try:
        if whom == "group":
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid if whom == "parent" else rng.choice(children(process.pid) or [process.pid]), number)
    except ProcessLookupError:
        return "too late"
    return f"{number.name} to {whom}"


def disturbed(config: Path, store: Path, rng: random.Random, length: float) -> tuple[Counter[str], list[str]]:
    """Sweep, killed at random moments, until the sweep ends; return the kills, and what was wrong."""
    kills, wrong = Counter[str](), list[str]()
    while True:
        process = sweep(config, store)
        if sum(kills.values()) < KILLS_IN_A_ROW:
            time.sleep(rng.uniform(0.0, length))
            known = children(process.pid)
            kills[kill(process, rng)] += 1
        else:
            known = []
        try:
            _, errors = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return kills, ["it hangs"]
        if process.returncode >= 0 and b"Traceback" in errors:
            wrong.append(f"a traceback: {errors[-400:].decode(errors='replace')}")
        late = time.monotonic() + 10
        while (left := [pid for pid in known if Path(f"/proc/{pid}").exists()]) and time.monotonic() < late:
            time.sleep(0.1)
        if left:
            wrong.append(f"processes are left: {left}")
        if process.returncode == 0:
            return kills, wrong


def strays(store: Path) -> list[str]:
    """Return the files of a store that do not belong to it."""
    files = [path.relative_to(store) for path in store.rglob("*") if path.is_file()]
    ours = [path for path in files if path.suffix == ".parquet" and path.parts[0] in ("parts", "plans")]
    return [str(path) for path in files if path not in ours and path.name != "featlearn.json"]


def main(n_kills: int, seed: int) -> int:
    """Kill so many times; return the exit code."""
    rng, kills, wrong, n_stores = random.Random(seed), Counter[str](), list[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "c.yaml"
        config.write_text(CONFIG)
        began = time.monotonic()
        assert sweep(config, Path(folder) / "whole").wait() == 0
        length, whole = time.monotonic() - began, fl.load(Path(folder) / "whole")
        while sum(kills.values()) < n_kills:
            store = Path(folder) / "store"
            shutil.rmtree(store, ignore_errors=True)
            found, faults = disturbed(config, store, rng, length)
            kills, n_stores = kills + found, n_stores + 1
            try:
                pd.testing.assert_frame_equal(fl.load(store), whole, check_exact=True)
            except AssertionError as error:
                faults.append(f"other rows: {error}")
            faults += [f"stray files: {names}" for names in [strays(store)] if names]
            rows = sum(pq.read_metadata(part).num_rows for part in store.glob("parts/*.parquet"))
            faults += [f"{rows} rows on disk"] if rows != whole["run_id"].nunique() else []
            wrong += [f"after {dict(found)}: {fault}" for fault in faults]
            print(*wrong[len(wrong) - len(faults) :], sep="\n", end="\n" * bool(faults))
            print(f"{sum(kills.values())} kills, {n_stores} stores, {len(wrong)} faults", flush=True)
    runs = f"{n_stores} stores of {whole['run_id'].nunique()} runs"
    print(f"{sum(kills.values())} kills ({dict(kills)}), {runs}: {len(wrong)} faults")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
