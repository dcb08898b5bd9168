"""Tails of the gamma law at many points, for half the degrees of freedom of a chi-square: compiled loops (numba)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

_HORNER = 64  # up to this half dimension the partial sum of the exponential series cannot overflow below x = 700
_STEPS = np.arange(66.0)[None] + np.array([[0.0], [0.5]])
_RECIPROCALS = 1 / np.where(_STEPS > 0, _STEPS, np.inf)  # 1 / k and 1 / (k + 1/2) at index k
_ROOT_FACTOR = 2 / math.sqrt(math.pi)  # 1 / Gamma(3/2)

_INVERSE_FACTORIALS = np.array([1 / math.factorial(k) for k in range(14)])
_PER_LOG2, _LOG2_HIGH = 1 / math.log(2), float(np.float32(math.log(2)))  # n times the high part is exact
_LOG2_LOW = 2.319046813846299616e-17 + (math.log(2) - _LOG2_HIGH)  # log(2) in two parts, beyond the last bit of one


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def upper_gamma(a: float, x: float) -> float:
    """Return Q(a, x), the regularized upper incomplete gamma function, for a = 1/2, 1, 3/2, ...

    For an integer a it is the sum of x^k e^-x / k! over k < a, P(Poisson(x) < a); for others k is shifted by 1/2, and
    erfc(sqrt(x)) is added.
    """
    if x <= 0.0:
        return 1.0
    n = int(a)
    half = a - n  # 0 or 1/2
    odd = 1 if half > 0 else 0
    tail = math.erfc(math.sqrt(x)) if odd else 0.0
    if n == 0:
        return tail
    if n <= _HORNER:
        x = min(x, 700.0)
        total = 1.0
        for k in range(n - 1, 0, -1):
            total = 1.0 + total * (x * _RECIPROCALS[odd, k])
        return math.exp(-x) * total * (_ROOT_FACTOR * math.sqrt(x) if odd else 1.0) + tail
    if x > 10.0 * a + 700.0:
        return 0.0
    top = min(n - 1, int(x))
    peak = math.exp((top + half) * math.log(x) - x - math.lgamma(top + half + 1.0))
    total, term = peak, peak
    for k in range(top, 0, -1):
        term *= (k + half) / x
        total += term
    term = peak
    for k in range(top + 1, n):
        term *= x / (k + half)
        total += term
    return min(total + tail, 1.0)


@njit(error_model="numpy", fastmath={"contract"})
def decay(x: Array, rest: Array, powers: Array) -> None:
    """Replace 0 <= x <= 700 by exp(-x), to a bit or two; ``rest`` and ``powers`` (integers) are scratch.

    exp(-x) = 2^n exp(r) with |r| <= log(2) / 2, the series of exp(r) to the 13th term; numba does not
    vectorize a loop over calls of the library's exponential.
    """
    for i in range(len(x)):
        n = math.floor(0.5 - x[i] * _PER_LOG2)
        rest[i] = (-x[i] - n * _LOG2_HIGH) - n * _LOG2_LOW
        powers[i] = (np.int64(n) + 1023) << 52
        x[i] = _INVERSE_FACTORIALS[13]
    for k in range(12, 1, -2):
        one, two = _INVERSE_FACTORIALS[k], _INVERSE_FACTORIALS[k - 1]
        for i in range(len(x)):
            x[i] = two + rest[i] * (one + rest[i] * x[i])
    scales = powers.view(np.float64)
    for i in range(len(x)):
        x[i] = scales[i] * (1.0 + rest[i] * x[i])


@njit(error_model="numpy", fastmath={"contract"})
def upper_gammas(a: float, x: Array, out: Array, rest: Array, powers: Array) -> None:
    """Write Q(a, x) of every x >= 0 into ``out``, all at once for moderate integers a; x is overwritten."""
    if a > _HORNER or a != int(a):
        for i in range(len(x)):
            out[i] = upper_gamma(a, x[i])
        return
    for i in range(len(x)):
        x[i] = min(x[i], 700.0)
        out[i] = 1.0
    for k in range(int(a) - 1, 1, -2):
        one, two = _RECIPROCALS[0, k], _RECIPROCALS[0, k - 1]
        for i in range(len(x)):
            out[i] = 1.0 + (1.0 + out[i] * (x[i] * one)) * (x[i] * two)
    if int(a) % 2 == 0:
        for i in range(len(x)):
            out[i] = 1.0 + out[i] * x[i]
    decay(x, rest, powers)
    for i in range(len(x)):
        out[i] *= x[i]
