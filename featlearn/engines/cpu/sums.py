"""Sums over the numbers of one run (numba)."""

from __future__ import annotations

from typing import Any

from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(error_model="numpy", fastmath={"contract", "reassoc"})
def add(u: Array, factor: float, v: Array, out: Array) -> Any:
    """Write u + factor v into ``out`` and return the sum of its squares."""
    total = out.dtype.type(0)
    for i in range(len(out)):
        x = u[i] + factor * v[i]
        out[i] = x
        total += x * x
    return total


@njit(error_model="numpy", fastmath={"contract"})
def combine(u: Array, factor: float, v: Array, shifted: bool, out: Array) -> None:
    """Write u + factor v into ``out``; u alone unless ``shifted``."""
    if shifted:
        for i in range(len(out)):
            out[i] = u[i] + factor * v[i]
    else:
        for i in range(len(out)):
            out[i] = u[i]


@njit(error_model="numpy")
def copy(x: Array, out: Array) -> None:
    """Write x into ``out``. An array assignment would take two seconds to compile: its error for other sizes."""
    for i in range(len(out)):
        out[i] = x[i]


@njit(error_model="numpy", fastmath={"contract", "reassoc"})
def dot(u: Array, v: Array) -> Any:
    """Return sum_i u_i v_i."""
    total = u.dtype.type(0)
    for i in range(len(u)):
        total += u[i] * v[i]
    return total


@njit(error_model="numpy", fastmath={"reassoc"})
def sum_where(x: Array, keys: Array, key: int) -> Any:
    """Return the sum of the x_i with keys_i = key; its terms stay in registers."""
    total = x.dtype.type(0)
    for i in range(len(x)):
        total += x[i] if keys[i] == key else x.dtype.type(0)
    return total
