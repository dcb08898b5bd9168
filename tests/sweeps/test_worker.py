"""A block returns rows, whatever error occurs in it; a worker ends with its parent."""

import os
import sys
import time

import pandas as pd
import pytest
from fakes import RAISES, FakeConfig, quiet, started

from featlearn.store import summary
from featlearn.sweeps.worker import describe


@pytest.mark.usefixtures("fake")
def test_a_run_that_raises_is_recorded_and_takes_no_neighbour_along(tmp_path):
    seeds = tuple(range(RAISES - 5, RAISES + 6))
    report = quiet(FakeConfig(seeds), tmp_path / "s")
    assert (report.done, report.failed) == (10, 1)
    last = summary(tmp_path / "s").set_index("seed")
    assert last.index[last["status"] == "failed"].tolist() == [RAISES]
    assert last.loc[RAISES, "message"].startswith("ArithmeticError: thirteen (tests/fakes.py:")


def test_an_error_is_described_by_the_users_line_not_the_librarys():
    try:
        pd.DataFrame({"a": [1]})["b"]
    except KeyError as error:
        assert describe(error).startswith("KeyError: 'b' (tests/sweeps/test_worker.py:")


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_workers_die_with_a_killed_parent(tmp_path):
    process = started(tmp_path / "s", 2)
    workers = children(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.communicate()
    for _ in range(100):
        if not any(os.path.exists(f"/proc/{pid}") for pid in workers):
            return
        time.sleep(0.1)
    raise AssertionError("a worker outlives its parent")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()
