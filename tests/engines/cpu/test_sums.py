"""Compiled sums by hand."""

import numpy as np
import pytest

from featlearn.engines.cpu.sums import add, combine, dot, sum_where

U, V = np.array([1.0, -2.0, 3.0, 0.0, 5.0]), np.array([2.0, 1.0, -1.0, 4.0, 0.5])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sums_by_hand(dtype):
    u, v, out = U.astype(dtype), V.astype(dtype), np.empty(5, dtype)
    assert add(u, 2.0, v, out) == 25 + 0 + 1 + 64 + 36
    assert out.tolist() == [5, 0, 1, 8, 6]
    assert dot(u, v) == 2 - 2 - 3 + 0 + 2.5
    combine(u, -1.0, v, True, out)
    assert out.tolist() == [-1, -3, 4, -4, 4.5]
    combine(u, np.nan, v, False, out)
    assert out.tolist() == u.tolist()


def test_a_sum_of_those_with_one_key():
    keys = np.array([0, 2, 0, 1, 2])
    assert [sum_where(U, keys, key) for key in range(4)] == [4.0, 0.0, 3.0, 0.0]


def test_an_infinite_term_of_another_key_is_left_out():
    assert sum_where(np.array([np.inf, 1.0, np.nan, 2.0]), np.array([0, 1, 0, 1]), 1) == 3.0
