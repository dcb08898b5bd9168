"""Kills workers of a dask scheduler during sweeps, and compares the stores with that of an undisturbed sweep.

``python tests/soak/dask_workers.py 50`` kills 50 times: a random one of two workers, with SIGKILL, and starts another;
now and then both, so that the sweep has to wait for one. A block that loses its worker is computed again elsewhere:
every sweep must end with all runs, none of them failed. Exits with 1 after any fault.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import CONFIG, FORKED, Faults, command, descendants, remaining

import featlearn as fl

BOTH = 0.1  # how often all workers are killed


def started(kind: str, words: list[str]) -> Any:
    """Start a scheduler or a worker in the working folder, as its command line would."""
    process = FORKED.Process(target=serve, args=(kind, words, os.getcwd()))
    process.start()
    return process


def serve(kind: str, words: list[str], folder: str) -> None:
    """Be a scheduler or a worker."""
    import importlib

    os.chdir(folder)
    os.setsid()
    log = os.open(f"{kind}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = [kind, "--scheduler-file", "s.json", "--no-dashboard", *words]
    importlib.import_module(f"distributed.cli.dask_{kind}").main()


def worker() -> Any:
    """Start a worker that is one process, and is not started again when it dies."""
    return started("worker", ["--nthreads", "1", "--no-nanny"])


def address() -> str:
    """Return the scheduler's address once it is known."""
    while True:
        try:
            found: str = json.loads(Path("s.json").read_text())["address"]
        except (OSError, ValueError):
            time.sleep(0.1)
        else:
            return found


def main(n_kills: int, seed: int) -> int:
    """Kill so many times; return the exit code."""
    rng, kills, orphans = random.Random(seed), 0, list[int]()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("c.yaml").write_text(CONFIG)
        fl.sweep("c.yaml", "whole", progress=False)
        faults = Faults(Path("whole"))
        scheduler, workers = started("scheduler", ["--host", "127.0.0.1", "--port", "0"]), [worker(), worker()]
        where = address()
        while kills < n_kills:
            store = Path(f"store{faults.n_stores}")
            words = ["sweep", "c.yaml", "--out", str(store), "--quiet", "--backend", "dask", "--scheduler", where]
            process = FORKED.Process(target=command, args=(words, "errors", 0.1))
            process.start()
            while process.exitcode is None:
                process.join(rng.uniform(0.2, 4.0))
                if process.exitcode is None:
                    for place in (0, 1) if rng.random() < BOTH else (rng.randrange(2),):
                        orphans += descendants(workers[place].pid)
                        workers[place].kill()
                        workers[place].join()
                        workers[place] = worker()
                        kills += 1
            said = Path("errors").read_text(errors="replace")
            faults.add("wrong exit", int(process.exitcode != 0), (process.exitcode, said[-600:]))
            faults.add("traceback", int("Traceback" in said), said[-600:])
            faults.compare(store)
            print(f"{kills} killed workers, {faults.n_stores} stores", flush=True)
        left = remaining(orphans)
        faults.add("orphan", len(left), left)
        for each in (*workers, scheduler):
            each.kill()
            each.join()
        os.chdir("/")
    print(faults.summary("killed workers", kills))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
