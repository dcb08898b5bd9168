"""The population test error of many runs on a CPU, one pass a run (numba); test_error.py is its plain twin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.models.kernels import values
from featlearn.tiles import multiply

Array = NDArray[Any]

_RECIPROCALS = 1.0 / np.arange(1, 66)[np.r_[0, 0:65]]  # 1/k at index k
_HORNER = 64  # up to this half dimension the partial sum of the exponential series cannot overflow below x = 700


@njit(cache=True, error_model="numpy")
def semidefinite_cholesky(gram: Array, lower: Array, rtol: float) -> None:
    """Write lower triangular L with L L' = gram [f, f]; the column of a pivot that is rounding of zero is zero."""
    f = len(gram)
    largest = 0.0
    for i in range(f):
        largest = max(largest, gram[i, i])
    for j in range(f):
        for i in range(f):
            lower[i, j] = 0.0
        pivot = gram[j, j]
        for k in range(j):
            pivot -= lower[j, k] * lower[j, k]
        if not math.isfinite(pivot):
            lower[j:, j] = math.nan
        elif pivot > rtol * largest:
            root = math.sqrt(pivot)
            for i in range(j, f):
                entry = gram[i, j]
                for k in range(j):
                    entry -= lower[i, k] * lower[j, k]
                lower[i, j] = entry / root


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def upper_gamma(a: int, x: float) -> float:
    """Return Q(a, x) = P(Poisson(x) < a), the regularized upper incomplete gamma function, for an integer a >= 1."""
    if x <= 0.0:
        return 1.0
    if a <= _HORNER:
        x = min(x, 700.0)
        total = 1.0
        for k in range(a - 1, 0, -1):
            total = 1.0 + total * (x * _RECIPROCALS[k])
        return math.exp(-x) * total
    if x > 10.0 * a + 700.0:
        return 0.0
    top = min(a - 1, int(x))
    peak = math.exp(top * math.log(x) - x - math.lgamma(top + 1.0))
    total, term = peak, peak
    for k in range(top, 0, -1):
        term *= k / x
        total += term
    term = peak
    for k in range(top + 1, a):
        term *= x / k
        total += term
    return min(total, 1.0)


@njit(cache=True, error_model="numpy")
def chance(signal: float, noise: float, degree: int, half: int) -> float:
    """Return P(signal + r^degree noise < 0) for r ~ chi with 2 ``half`` degrees of freedom, a tie counting one half.

    degree 0: r is 1, the noise being drawn with its length.
    """
    total = signal + noise
    if math.isnan(total):
        return total
    if degree == 0 or noise == 0.0:
        return 1.0 if total < 0.0 else 0.5 if total == 0.0 else 0.0
    ratio = -signal / noise
    if ratio <= 0.0:
        return 1.0 if noise < 0.0 else 0.0
    above: float = upper_gamma(half, (ratio * ratio if degree == 1 else ratio ** (2.0 / degree)) / 2.0)
    return above if noise < 0.0 else 1.0 - above


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def error_by_scramble(
    gram: Array,
    signal: Array,
    bias: Array,
    directions: Array,
    turns: Array,
    lengths: Array,
    kind: int,
    scale: float,
    degree: int,
    out: Array,
) -> None:
    """Write the error against true labels of every run and scramble into ``out`` [b, s].

    gram [b, f, f]: covariance of the filters' pre-activations on a noise patch. signal [b, 2]: the output's part from
    +signal and -signal. bias [b, f]. directions [s, q, f, points]: of every scramble, on the unit sphere in q f
    dimensions, the same for every run. turns [b, q, f, f]: the run's own rotations of them. Both with columns of zeros
    as ``multiply`` wants them. lengths [b, s, points]: what the run multiplies them with. scale: what an activation on
    noise is multiplied with. degree: of the noise part of the output in the lengths, to integrate over them; 0 takes
    them as they are.
    """
    _, q, f, width = directions.shape
    n_scrambles, n_points = lengths.shape[1:]
    lower, factors = np.empty((f, f)), np.empty((q, f, turns.shape[3]))
    z, noise, part = np.empty((f, width)), np.empty((1, width)), np.empty((1, width))
    z_flat, weights = z.reshape(f * width), np.full((1, f), scale)
    weights[0, f // 2 :] = -scale
    for lane in range(len(gram)):
        semidefinite_cholesky(gram[lane], lower, 1e-12)
        for patch in range(q):
            multiply(lower, turns[lane, patch], factors[patch])
        plus, minus = signal[lane, 0], signal[lane, 1]
        for scramble in range(n_scrambles):
            noise[:] = 0.0
            for patch in range(q):
                multiply(factors[patch], directions[scramble, patch], z)
                if degree == 0:
                    place(z, bias[lane], lengths[lane, scramble])
                values(kind, z_flat, z_flat)
                multiply(weights, z, part)
                noise += part
            total = 0.0
            for i in range(n_points):
                total += chance(plus, noise[0, i], degree, q * f // 2)
                total += chance(-minus, -noise[0, i], degree, q * f // 2)
            out[lane, scramble] = total / (2 * n_points)


@njit(error_model="numpy", fastmath={"contract"})
def place(z: Array, bias: Array, lengths: Array) -> None:
    """Turn directions [f, width] into pre-activations of the given lengths."""
    for r in range(len(z)):
        for i in range(len(lengths)):
            z[r, i] = bias[r] + lengths[i] * z[r, i]
