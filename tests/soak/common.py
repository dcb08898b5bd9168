"""What the soak tests share: a config, sweeps in forked processes, and the comparison with an undisturbed store.

A process forked from one that has imported everything starts in milliseconds instead of seconds.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable
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
sweep: {optimizer.rho: {linspace: [0.01, 0.1, 12]}, seed: {range: [0, 50]}}
"""
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["featlearn.cli", "featlearn.sweeps", "distributed.cli.dask_worker", "scipy.stats"])


def command(words: list[str], errors: str, commit_seconds: float | None = None) -> None:
    """Run featlearn's command line in this process, in a group of its own, with its output in a file."""
    from featlearn import cli
    from featlearn.sweeps import commits, crew

    os.setsid()
    file = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["featlearn", *words]
    if commit_seconds is not None:
        commits.COMMIT_SECONDS = commit_seconds
    code: object = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    crew.end_idle()
    atexit._run_exitfuncs()
    os._exit(code if isinstance(code, int) else 1)


class Faults:
    """What was found wrong, by kind; a store is compared with one that nothing disturbed."""

    def __init__(self, whole: Path) -> None:
        self.whole = fl.load(whole)
        self.n_runs = self.whole["run_id"].nunique()
        self.n_stores = 0
        self.began = time.monotonic()
        self._found = Counter[str]()

    def add(self, kind: str, n: int, what: object) -> None:
        """Count n faults of a kind, and print them."""
        if n:
            self._found[kind] += n
            print(f"FAULT: {n} {kind}: {what}", flush=True)

    def compare(self, store: Path) -> None:
        """Compare a store that should be whole."""
        self.n_stores += 1
        rows = sum(pq.read_metadata(part).num_rows for part in store.glob("parts/*.parquet"))
        found = fl.load(store)
        missing = set(self.whole["run_id"]) - set(found["run_id"])
        self.add("lost", len(missing), sorted(missing)[:5])
        self.add("doubled", max(rows - self.n_runs, 0), f"{rows} rows on disk")
        try:
            pd.testing.assert_frame_equal(found, self.whole, check_exact=True)
        except AssertionError as error:
            self.add("differing", 1, error)
        self.add("stray files", len(strays(store)), strays(store))

    def summary(self, what: str, n: int) -> str:
        """Return the result in a line."""
        first = ", ".join(f"{self._found[kind]} {kind}" for kind in ("lost", "doubled", "differing"))
        others = ("traceback", "orphan", "wrong exit", "stray files", "hanging")
        rest = ", ".join(f"{self._found[kind]} {kind}" for kind in others)
        each = (time.monotonic() - self.began) / max(n, 1)
        return f"{n} {what}, {self.n_stores} stores of {self.n_runs} runs: {first}; {rest}; {each:.1f} s each"

    def __bool__(self) -> bool:
        return bool(self._found)


def strays(store: Path) -> list[str]:
    """Return the files of a store that do not belong to it."""
    files = [path.relative_to(store) for path in store.rglob("*") if path.is_file()]
    ours = [path for path in files if path.suffix == ".parquet" and path.parts[0] in ("parts", "plans")]
    return [str(path) for path in files if path not in ours and path.name != "featlearn.json"]


def descendants(pid: int) -> list[int]:
    """Return the processes that descend from one, itself excluded."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(entry.name))
    found, left = list[int](), [pid]
    while left:
        found += (new := children.get(left.pop(), []))
        left += new
    return found


def remaining(pids: Iterable[int], seconds: float = 10.0) -> list[int]:
    """Wait for processes to end; return those that do not."""
    late = time.monotonic() + seconds
    left = list(pids)
    while (left := [pid for pid in left if _lives(pid)]) and time.monotonic() < late:
        time.sleep(0.05)
    return left


def _lives(pid: int) -> bool:
    try:
        return (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]) != "Z"
    except OSError:
        return False
