"""One end of the spectrum of a symmetric tridiagonal matrix T, as Lanczos' method needs it repeatedly (numba).

Where all pivots of x - T are positive, x lies above the spectrum. From there Newton's method on the characteristic
polynomial, whose logarithmic derivative is the sum of d'_i / d_i over the pivots d_i, decreases to the largest
eigenvalue (Parlett 1998, ch. 3 and 7). Its vector combines the pivots of the factorizations from the top and from the
bottom (Parlett & Dhillon 1997, Linear Algebra Appl. 267): the last entry, from which Lanczos' method computes its
residual, has a small relative error however small it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, error_model="numpy")
def above(x: float, sign: float, diagonal: Array, squares: Array) -> float:
    """Return p'(x) / p(x) of the characteristic polynomial p of sign T; NaN where x is not above its spectrum.

    diagonal: that of T, [s]. squares: of the off-diagonal entries, [s - 1] or more.
    """
    pivot, slope, total = x - sign * diagonal[0], 1.0, 0.0
    for i in range(1, len(diagonal)):
        if not pivot > 0:
            return math.nan
        total += slope / pivot
        ratio = squares[i - 1] / pivot
        pivot, slope = x - sign * diagonal[i] - ratio, 1.0 + ratio * slope / pivot
    return total + slope / pivot if pivot > 0 else math.nan


@njit(cache=True, error_model="numpy")
def end(sign: float, diagonal: Array, squares: Array, guess: float) -> float:
    """Return the largest eigenvalue of sign T, fastest from a ``guess`` a little above it."""
    low, high = -math.inf, -math.inf
    for i in range(len(diagonal)):
        reach = math.sqrt(squares[i - 1]) if i else 0.0
        reach += math.sqrt(squares[i]) if i + 1 < len(diagonal) else 0.0
        high, low = max(high, sign * diagonal[i] + reach), max(low, sign * diagonal[i])
    high += 1e-15 * abs(high)
    x = guess if low < guess < high else high
    while high - low > 4e-16 * max(abs(low), abs(high)):
        steepness = above(x, sign, diagonal, squares)
        if math.isnan(steepness):
            low, following = x, (x + high) / 2
        else:
            high, following = x, x - 1 / steepness
            if x - following <= 2e-16 * abs(x):
                break
            if following <= low:
                following = (low + x) / 2
        if following in (low, high):
            break
        x = following
    return high


@njit(cache=True, error_model="numpy")
def vector(x: float, sign: float, diagonal: Array, squares: Array, out: Array) -> None:
    """Write the unit eigenvector of T [s] at the eigenvalue ``x`` of sign T into ``out``, where it is simple.

    T has the positive off-diagonal entries sqrt(squares).
    """
    size = len(diagonal)
    down, up = np.empty(size), np.empty(size)
    tiny = 1e-300 + 1e-20 * abs(x)
    for i in range(size):
        d = x - sign * diagonal[i] - (squares[i - 1] / down[i - 1] if i else 0.0)
        down[i] = d if abs(d) > tiny else tiny
    for i in range(size - 1, -1, -1):
        d = x - sign * diagonal[i] - (squares[i] / up[i + 1] if i + 1 < size else 0.0)
        up[i] = d if abs(d) > tiny else tiny
    twist, least = 0, math.inf
    for i in range(size):
        mismatch = abs(down[i] + up[i] - (x - sign * diagonal[i]))
        if mismatch < least:
            twist, least = i, mismatch
    out[twist] = 1.0
    for i in range(twist - 1, -1, -1):
        out[i] = sign * math.sqrt(squares[i]) / down[i] * out[i + 1]
    for i in range(twist + 1, size):
        out[i] = sign * math.sqrt(squares[i - 1]) / up[i] * out[i - 1]
    norm = 0.0
    for i in range(size):
        norm += out[i] * out[i]
    for i in range(size):
        out[i] /= math.sqrt(norm)
