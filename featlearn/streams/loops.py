"""Philox4x32-10 on a CPU in one pass over memory (numba); a test compares the bits with philox.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_MASK = np.uint64(2**32 - 1)
_HALF = np.uint64(32)
_LEFT, _RIGHT = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_LEFT, _WEYL_RIGHT = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@njit(cache=True, error_model="numpy")
def fractions(seeds: NDArray[Any], name: int, attempt: int, first: NDArray[Any], second: NDArray[Any]) -> None:
    """Write two uniform numbers in (0, 1] for each counter (number, attempt, name, 0), [b, count] each."""
    for lane in range(len(seeds)):
        seed = np.uint64(seeds[lane])
        for number in range(first.shape[1]):
            c0, c1, c2, c3 = np.uint64(number), np.uint64(attempt), np.uint64(name), np.uint64(0)
            k0, k1 = seed & _MASK, seed >> _HALF
            for _ in range(10):
                left, right = _LEFT * c0, _RIGHT * c2
                c0 = (right >> _HALF) ^ c1 ^ k0
                c2 = (left >> _HALF) ^ c3 ^ k1
                c1, c3 = right & _MASK, left & _MASK
                k0, k1 = (k0 + _WEYL_LEFT) & _MASK, (k1 + _WEYL_RIGHT) & _MASK
            first[lane, number] = _fraction(c0, c1)
            second[lane, number] = _fraction(c2, c3)


@njit(cache=True, error_model="numpy")
def _fraction(high: Any, low: Any) -> Any:
    return np.float64(np.int64((high << np.uint64(21)) + (low >> np.uint64(11)) + np.uint64(1))) * 2.0**-53
