"""The activations as scalar functions that numba compiles into the hot loops; activations.py is their plain twin."""

from __future__ import annotations

import math

from numba import njit

KINDS = {"relu": 0, "relu2": 1, "relu3": 2, "softplus": 3}
_RELU, _RELU2, _RELU3, _SOFTPLUS = KINDS.values()


@njit(inline="always")
def value(kind: int, z: float) -> float:
    """Return the activation; ``kind`` is its number in KINDS."""
    if kind == _SOFTPLUS:
        return max(z, 0.0) + math.log1p(math.exp(-abs(z)))
    r = 0.0 if z <= 0.0 else z  # NaN stays
    if kind == _RELU:
        return r
    return r * r if kind == _RELU2 else r * r * r


@njit(inline="always")
def slope(kind: int, z: float) -> float:
    """Return the activation's derivative."""
    if kind == _SOFTPLUS:
        return 1.0 / (1.0 + math.exp(-z))
    r = 0.0 if z <= 0.0 else z  # NaN stays
    if kind == _RELU:
        return 1.0 if z > 0.0 else 0.0
    return 2.0 * r if kind == _RELU2 else 3.0 * r * r
