"""Blocks note on the board how far they are."""

import os

import numpy as np
import pytest

from featlearn.pace import COMPILING, tell
from featlearn.sweeps.board import board, noting
from featlearn.sweeps.progress import compiles, running


def test_blocks_under_way_are_noted_by_number_and_wiped_at_their_end():
    with board() as under_way:
        with noting(os.getpid(), 3, 100), noting(os.getpid(), 4, 50):
            tell(0.5)
            assert running(under_way) == 25 and not compiles(under_way)
            tell(COMPILING)
            assert running(under_way) == 0 and compiles(under_way)
        with noting(os.getpid(), 3, 100):
            tell(0.25)
            assert running(under_way) == 25
        with pytest.raises(ZeroDivisionError), noting(os.getpid(), 5, 10):
            tell(1.0)
            raise ZeroDivisionError
        assert not np.any(under_way)


def test_without_a_board_nothing_is_noted():
    with noting(os.getpid(), 0, 10):
        tell(0.5)
    with board() as under_way:
        assert running(under_way) == 0
