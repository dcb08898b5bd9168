"""The activations as numba compiles them into the hot loops; activations.py is their plain twin.

Loops know an activation by its number in KINDS. Every choice among the numbers ends by raising: what has no formula
here is trained nowhere as something else.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

KINDS = {"relu": 0, "relu2": 1, "relu3": 2, "softplus": 3}
_RELU, _RELU2, _RELU3, _SOFTPLUS = KINDS.values()
_UNKNOWN = "no formula is compiled for this activation"


def kind_of(activation: str) -> int:
    """Return the number of an activation. Raises ValueError for one that the compiled loops do not know."""
    if activation not in KINDS:
        raise ValueError(f"activation {activation}: the compiled loops know {', '.join(KINDS)}")
    return KINDS[activation]


@njit(inline="always")
def value(kind: int, z: float) -> Any:
    """Return the activation, in the precision of z; ``kind`` is its number in KINDS."""
    zero = type(z)(0)
    r = zero if z <= zero else z  # NaN stays
    if kind == _RELU:
        return r
    if kind == _RELU2:
        return r * r
    if kind == _RELU3:
        return r * r * r
    if kind == _SOFTPLUS:
        return r + math.log1p(math.exp(-abs(z)))
    raise ValueError(_UNKNOWN)


@njit(inline="always")
def slope(kind: int, z: float) -> Any:
    """Return the activation's derivative, in the precision of z."""
    zero, one = type(z)(0), type(z)(1)
    r = zero if z <= zero else z  # NaN stays
    if kind == _RELU:
        return one if z > zero else zero
    if kind == _RELU2:
        return r + r
    if kind == _RELU3:
        return type(z)(3) * r * r
    if kind == _SOFTPLUS:
        return one / (one + math.exp(-z))
    raise ValueError(_UNKNOWN)


@njit(inline="always")
def expansion(kind: int, z: float) -> Any:
    """Return the activation with its first and second derivative, in the precision of z, for a single exponential."""
    zero, one = type(z)(0), type(z)(1)
    if kind != _SOFTPLUS:
        r = zero if z <= zero else z  # NaN stays
        bend = zero if kind == _RELU else (type(z)(2) if z > zero else zero) if kind == _RELU2 else type(z)(6) * r
        return value(kind, z), slope(kind, z), bend
    e = math.exp(-abs(z))
    part = one / (one + e)
    return (zero if z <= zero else z) + math.log1p(e), part if z > zero else e * part, e * part * part


@njit(error_model="numpy", fastmath={"contract"})
def values(kind: int, z: Array, out: Array) -> None:
    """Write the activation of every entry of z into ``out``; one loop a kind, as a loop that chooses stays scalar."""
    if kind == _RELU:
        for i in range(len(z)):
            out[i] = value(_RELU, z[i])
    elif kind == _RELU2:
        for i in range(len(z)):
            out[i] = value(_RELU2, z[i])
    elif kind == _RELU3:
        for i in range(len(z)):
            out[i] = value(_RELU3, z[i])
    elif kind == _SOFTPLUS:
        for i in range(len(z)):
            out[i] = value(_SOFTPLUS, z[i])
    else:
        raise ValueError(_UNKNOWN)


@njit(error_model="numpy", fastmath={"contract"})
def slopes(kind: int, factor: Array, z: Array, out: Array) -> None:
    """Write ``factor`` times the activation's derivative at every entry of z into ``out``."""
    if kind == _RELU:
        for i in range(len(z)):
            out[i] = factor[i] * slope(_RELU, z[i])
    elif kind == _RELU2:
        for i in range(len(z)):
            out[i] = factor[i] * slope(_RELU2, z[i])
    elif kind == _RELU3:
        for i in range(len(z)):
            out[i] = factor[i] * slope(_RELU3, z[i])
    elif kind == _SOFTPLUS:
        for i in range(len(z)):
            out[i] = factor[i] * slope(_SOFTPLUS, z[i])
    else:
        raise ValueError(_UNKNOWN)
