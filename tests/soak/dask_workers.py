"""Kills workers of a dask scheduler during sweeps, and compares the stores with that of an undisturbed sweep.

``python tests/soak/dask_workers.py 50`` kills 50 times: a random one of two workers, with SIGKILL, and starts another.
A block that loses its worker is computed again elsewhere: every sweep must end with all runs, none of them failed.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from kills import CONFIG, strays

import featlearn as fl


def started(kind: str, *words: str) -> subprocess.Popen[bytes]:
    """Start a scheduler or a worker in the working folder."""
    call = [
        sys.executable,
        "-m",
        f"distributed.cli.dask_{kind}",
        "--scheduler-file",
        "s.json",
        "--no-dashboard",
        *words,
    ]
    return subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def worker() -> subprocess.Popen[bytes]:
    """Start a worker that is one process, and is not started again when it dies."""
    return started("worker", "--nthreads", "1", "--no-nanny")


def address() -> str:
    """Return the scheduler's address once it is known."""
    while not Path("s.json").exists():
        time.sleep(0.1)
    found: str = json.loads(Path("s.json").read_text())["address"]
    return found


def main(n_kills: int, seed: int) -> int:
    """Kill so many times; return the exit code."""
    rng, kills, wrong, n_stores = random.Random(seed), 0, list[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("c.yaml").write_text(CONFIG)
        fl.sweep("c.yaml", "whole", progress=False)
        whole = fl.load("whole")
        scheduler, workers = started("scheduler", "--host", "127.0.0.1", "--port", "0"), [worker(), worker()]
        while kills < n_kills:
            n_stores += 1
            call = [sys.executable, "-m", "featlearn", "sweep", "c.yaml", "--out", f"store{n_stores}", "--quiet"]
            process = subprocess.Popen([*call, "--backend", "dask", "--scheduler", address()], stderr=subprocess.PIPE)
            while process.poll() is None:
                time.sleep(rng.uniform(1.0, 6.0))
                if process.poll() is None:
                    place = rng.randrange(2)
                    workers[place].kill()
                    workers[place].wait()
                    workers[place] = worker()
                    kills += 1
            if process.returncode:
                wrong.append(f"exit code {process.returncode}: {process.stderr and process.stderr.read()[-300:]!r}")
            try:
                pd.testing.assert_frame_equal(fl.load(f"store{n_stores}"), whole, check_exact=True)
            except AssertionError as error:
                wrong.append(f"other rows: {error}")
            if names := strays(Path(f"store{n_stores}")):
                wrong.append(f"stray files: {names}")
            print(f"{kills} killed workers, {n_stores} stores, {len(wrong)} faults", flush=True)
        for each in (*workers, scheduler):
            each.kill()
            each.wait()
        os.chdir("/")
    print(*wrong, sep="\n")
    print(f"{kills} killed workers, {n_stores} stores of {whole['run_id'].nunique()} runs: {len(wrong)} faults")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
