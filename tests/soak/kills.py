"""Kills sweeps at random moments, resumes them, and compares the stores with that of an undisturbed sweep.

``python tests/soak/kills.py 300`` kills 300 times: SIGINT, SIGTERM or SIGKILL, to the parent, a worker or all of them.
A sweep is resumed until it ends, or after five kills in a row is left to end; its store must then hold the same rows,
bit for bit, each once, and no other file; no process may be left, and what a kill leaves in the store stays in it.
Sweeps have one job or two, mostly in forked processes; a few are started anew, as a user would. Exits with 1 after any
fault.
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
from typing import Any

from common import CONFIG, FORKED, Faults, command, descendants, remaining

from featlearn.store import Store, StoreError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
KILLS_IN_A_ROW = 5
KINDS = {"1 job": 0.7, "2 jobs": 0.25, "anew, 2 jobs": 0.05}  # and how often
COMMIT_SECONDS = 0.1
PATIENCE = 300


class Sweep:
    """A sweep in a process group of its own."""

    def __init__(self, kind: str, folder: Path, store: Path) -> None:
        jobs = "1" if kind == "1 job" else "2"
        words = ["sweep", str(folder / "c.yaml"), "--out", str(store), "--jobs", jobs]
        self._errors = folder / "errors"
        self._process: Any = None
        if kind.startswith("anew"):
            with open(self._errors, "wb") as file:
                call = [sys.executable, "-m", "featlearn", *words]
                self._process = subprocess.Popen(call, start_new_session=True, stdout=file, stderr=file)
        else:
            self._process = FORKED.Process(target=command, args=(words, str(self._errors), COMMIT_SECONDS))
            self._process.start()
        self.pid: int = self._process.pid

    def wait(self) -> int | None:
        """Return the exit code; None if it hangs."""
        if isinstance(self._process, subprocess.Popen):
            try:
                return self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                return None
        self._process.join(PATIENCE)
        code: int | None = self._process.exitcode
        return code

    def errors(self) -> str:
        """Return what it has printed."""
        return self._errors.read_text(errors="replace") if self._errors.exists() else ""


def kill(process: Sweep, rng: random.Random) -> str:
    """Send a random signal to the parent, a child, or the whole group; return which to whom, "" if it was too late."""
    number, whom = rng.choice(SIGNALS), rng.choice(["parent", "worker", "group"])
    try:
        if whom == "group":
            os.killpg(process.pid, number)
        else:
            workers = descendants(process.pid) or [process.pid]
            os.kill(process.pid if whom == "parent" else rng.choice(workers), number)
    except ProcessLookupError:
        return ""
    return f"{number.name} to {whom}"


def finished(store: Path) -> frozenset[str]:
    """Return the runs that a store has."""
    try:
        return Store.open(store).finished()
    except StoreError:
        return frozenset()


def disturbed(kind: str, folder: Path, rng: random.Random, length: float, faults: Faults) -> Counter[str]:
    """Sweep, killed at random moments, until the sweep ends; return the kills."""
    kills, store, before = Counter[str](), folder / "store", frozenset[str]()
    while True:
        process, known = Sweep(kind, folder, store), list[int]()
        if sum(kills.values()) < KILLS_IN_A_ROW:
            time.sleep(rng.uniform(0.0, length))
            known = descendants(process.pid)
            if sent := kill(process, rng):
                kills[sent] += 1
        code = process.wait()
        if code is None:
            os.killpg(process.pid, signal.SIGKILL)
            faults.add("hanging", 1, dict(kills))
            return kills
        faults.add("traceback", int(code >= 0 and "Traceback" in process.errors()), process.errors()[-600:])
        faults.add("wrong exit", int(code not in (0, 130, -2, -9, -15)), (code, process.errors()[-600:]))
        left = remaining(known)
        faults.add("orphan", len(left), left)
        now = finished(store)
        faults.add("lost", len(before - now), "committed before a kill")
        before = now
        if code == 0:
            return kills


def main(n_kills: int, seed: int) -> int:
    """Kill so many times; return the exit code."""
    rng, kills = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        folder, lengths = Path(name), dict[str, float]()
        (folder / "c.yaml").write_text(CONFIG)
        assert Sweep("1 job", folder, folder / "first").wait() == 0  # compiles the loops
        for kind in KINDS:
            began = time.monotonic()
            assert Sweep(kind, folder, folder / f"whole {kind}").wait() == 0
            lengths[kind] = time.monotonic() - began
        print("undisturbed:", *(f"{kind} {seconds:.1f} s;" for kind, seconds in lengths.items()), flush=True)
        faults = Faults(folder / "whole 1 job")
        while sum(kills.values()) < n_kills:
            (kind,) = rng.choices([*KINDS], [*KINDS.values()])
            shutil.rmtree(folder / "store", ignore_errors=True)
            kills += disturbed(kind, folder, rng, lengths[kind], faults)
            faults.compare(folder / "store")
            print(f"{sum(kills.values())} kills, {faults.n_stores} stores", flush=True)
    print(*(f"{n} x {sent}" for sent, n in sorted(kills.items())), sep=", ")
    print(faults.summary("kills", sum(kills.values())))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
