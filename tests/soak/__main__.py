"""All soak tests, one after the other: ``python tests/soak [kills [dask workers [fuzzed inputs]]]``, then a summary."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def run(words: list[str], **environment: str) -> tuple[int, str]:
    """Run a command; print what it prints, and return its exit code and last line."""
    last = ""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **environment}
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, text=True, env=variables, cwd=ROOT) as call:
        for line in call.stdout or ():
            print(line, end="", flush=True)
            last = line.strip() or last
    return call.returncode, last


def main(n_kills: str = "300", n_workers: str = "50", n_inputs: str = "10000") -> int:
    """Run them; return the exit code."""
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    began, code, lines = time.monotonic(), 0, list[str]()
    for words, what in (
        ([str(HERE / "kills.py"), n_kills], ""),
        ([str(HERE / "dask_workers.py"), n_workers], ""),
        ([*tests, "tests/config/test_hostile.py"], f"{n_inputs} fuzzed inputs of each kind, "),
        ([*tests, "tests/test_processors.py"], "instruction sets, "),
    ):
        failed, last = run(words, FEATLEARN_FUZZ=n_inputs)
        code = code or failed
        tracebacks = "0 tracebacks: " if what.endswith("kind, ") and not failed else ""
        lines.append(f"{'FAILED' if failed else 'ok'}  {what}{tracebacks}{re.sub('=+', '', last).strip()}")
    print("", f"soak, {(time.monotonic() - began) / 60:.0f} min", *lines, sep="\n")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
