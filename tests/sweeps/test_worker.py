"""A block returns rows, whatever error occurs in it."""

from pathlib import Path

import pandas as pd
import pytest
from fakes import RAISES, FakeConfig, quiet

from featlearn.store import summary
from featlearn.sweeps.worker import LONGEST, bounded, describe, traceback_text


@pytest.mark.usefixtures("fake")
def test_a_run_that_raises_is_recorded_and_takes_no_neighbour_along(tmp_path):
    seeds = tuple(range(RAISES - 5, RAISES + 6))
    report = quiet(FakeConfig(seeds), tmp_path / "s")
    assert (report.done, report.failed) == (10, 1)
    last = summary(tmp_path / "s").set_index("seed")
    assert last.index[last["status"] == "failed"].tolist() == [RAISES]
    assert last.loc[RAISES, "message"].startswith("ArithmeticError: thirteen (tests/fakes.py:")
    trace = last.loc[RAISES, "traceback"]
    assert trace.startswith('Traceback (most recent call last):\n  File "tests/fakes.py", line ')
    assert trace.endswith("in fake_block\n    raise errors[run.seed]\nArithmeticError: thirteen\n")


def test_an_error_is_described_by_the_users_line_not_the_librarys():
    try:
        pd.DataFrame({"a": [1]})["b"]
    except KeyError as error:
        assert describe(error).startswith("KeyError: 'b' (tests/sweeps/test_worker.py:")


def test_a_traceback_has_its_causes_and_no_path_outside_the_project(monkeypatch, tmp_path):
    own = tmp_path / "home" / "rules.py"
    monkeypatch.setattr("featlearn.sweeps.worker.is_own_file", lambda name: name == str(own))
    names = {}
    exec(compile("def fail():\n    raise ValueError('own')", str(own), "exec"), names)
    try:
        try:
            names["fail"]()
        except ValueError as error:
            raise RuntimeError("mine") from error
    except RuntimeError as error:
        text = traceback_text(error)
    assert 'File "rules.py", line 2, in fail' in text and 'File "tests/sweeps/test_worker.py"' in text
    assert "direct cause" in text and str(Path.cwd()) not in text and str(tmp_path) not in text


def test_of_a_long_traceback_the_end_is_kept():
    assert bounded("short") == "short"
    assert bounded("x" * LONGEST + "end") == "..." + "x" * (LONGEST - 6) + "end"
