"""Blocks write their progress to the shared file."""

import os

import numpy as np
import pytest

from featlearn.pace import COMPILING, report_progress
from featlearn.sweeps.progress import compiles, running
from featlearn.sweeps.progress_file import progress_file, progress_path, writing_progress


def test_blocks_under_way_are_noted_by_number_and_wiped_at_their_end():
    with progress_file() as under_way:
        with writing_progress(os.getpid(), 3, 100), writing_progress(os.getpid(), 4, 50):
            report_progress(0.5)
            assert running(under_way) == 25 and not compiles(under_way)
            report_progress(COMPILING)
            assert running(under_way) == 0 and compiles(under_way)
        with writing_progress(os.getpid(), 3, 100):
            report_progress(0.25)
            assert running(under_way) == 25
        with pytest.raises(ZeroDivisionError), writing_progress(os.getpid(), 5, 10):
            report_progress(1.0)
            raise ZeroDivisionError
        assert not np.any(under_way)


def test_without_a_board_nothing_is_noted():
    with writing_progress(os.getpid(), 0, 10):
        report_progress(0.5)
    with progress_file() as under_way:
        assert running(under_way) == 0


def test_the_file_of_a_killed_process_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, live, other = (
        progress_path(2**22 + 1),
        progress_path(os.getppid()),
        tmp_path / "featlearn-elsewhere-1.progress",
    )
    for path in (dead, live, other):
        path.touch()
    with progress_file():
        assert not dead.exists() and live.exists() and other.exists()
