"""The population test error of many runs on a CPU, one pass a run (numba); test_error.py is its plain twin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.functions.compiled import values
from featlearn.tiles import multiply, pad_columns, uncounted

Array = NDArray[Any]
Points = tuple[Array, Array, Array, Array]  # room for numbers of each point: three real ones and an integer

_RECIPROCALS = 1.0 / np.arange(1, 66)[np.r_[0, 0:65]]  # 1/k at index k
_HORNER = 64  # up to this half dimension the partial sum of the exponential series cannot overflow below x = 700

_INVERSE_FACTORIALS = np.array([1 / math.factorial(k) for k in range(14)])
_PER_LOG2, _LOG2_HIGH = 1 / math.log(2), float(np.float32(math.log(2)))  # n times the high part is exact
_LOG2_LOW = 2.319046813846299616e-17 + (math.log(2) - _LOG2_HIGH)  # log(2) in two parts, beyond the last bit of one


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


@njit(error_model="numpy", fastmath={"contract"})
def decay(x: Array, rest: Array, powers: Array) -> None:
    """Replace 0 <= x <= 700 by exp(-x), to a bit or two; ``rest`` and ``powers``, integers, are used on the way.

    exp(-x) = 2^n exp(r) with |r| <= log(2) / 2, the series of exp(r) to the 13th term; a loop over calls of the
    library's exponential would stay scalar.
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
def upper_gammas(a: int, x: Array, out: Array, rest: Array, powers: Array) -> None:
    """Write Q(a, x) of every x >= 0 into ``out``, all at once for moderate a; x is written over."""
    if a > _HORNER:
        for i in range(len(x)):
            out[i] = upper_gamma(a, x[i])
        return
    for i in range(len(x)):
        x[i] = min(x[i], 700.0)
        out[i] = 1.0
    for k in range(a - 1, 1, -2):
        one, two = _RECIPROCALS[k], _RECIPROCALS[k - 1]
        for i in range(len(x)):
            out[i] = 1.0 + (1.0 + out[i] * (x[i] * one)) * (x[i] * two)
    if a % 2 == 0:
        for i in range(len(x)):
            out[i] = 1.0 + out[i] * x[i]
    decay(x, rest, powers)
    for i in range(len(x)):
        out[i] *= x[i]


@njit(error_model="numpy", fastmath={"contract"})
def total_chance(signal: float, noise: Array, sign: float, degree: int, half: int, points: Points) -> Any:
    """Return the sum over points of P(signal + sign r^degree noise < 0), a tie counting one half.

    r ~ chi with 2 ``half`` degrees of freedom; degree 0: r is 1, the noise being drawn with its length.
    """
    x, above, rest, powers = points
    if degree > 0:
        for i in range(len(x)):
            ratio = -signal / (sign * noise[i])
            x[i] = ratio if ratio > 0.0 else 0.0
        if degree == 1:
            for i in range(len(x)):
                x[i] = x[i] * x[i] / 2.0
        else:
            for i in range(len(x)):
                x[i] = x[i] ** (2.0 / degree) / 2.0
        upper_gammas(half, x, above, rest, powers)
    for i in range(len(x)):
        step = sign * noise[i]
        end = signal + step
        x[i] = 1.0 if end < 0.0 else 0.5 if end == 0.0 else 0.0
        if degree > 0:
            x[i] = above[i] if step < 0.0 else 1.0 - above[i] if step > 0.0 else x[i]
        x[i] += 0.0 * end if math.isnan(end) else 0.0
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    return total


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def orthonormalize(rows: Array) -> None:
    """Orthonormalize the rows of every matrix in ``rows`` [b, f, width] by Gram and Schmidt, each twice."""
    rows = uncounted(rows)
    f, width = rows.shape[1:]
    for matrix in rows:
        for i in range(f):
            row = matrix[i]
            for _ in range(2):
                for j in range(i):
                    other, along = matrix[j], 0.0
                    for c in range(width):
                        along += other[c] * row[c]
                    for c in range(width):
                        row[c] -= along * other[c]
            square = 0.0
            for c in range(width):
                square += row[c] * row[c]
            length = math.sqrt(square)
            for c in range(width):
                row[c] /= length


def workspace(directions: Array, turns: Array, n_points: int, scale: float) -> tuple[tuple[Array, ...], Points]:
    """Return L, factors, z, activations, the output's part from noise, one patch's share of it, second layer; Points.

    scale: what an activation on noise is multiplied with.
    """
    q, f, width = directions.shape[1:]
    weights = np.full((1, f), scale)
    weights[0, f // 2 :] = -scale
    shapes = (q, f, turns.shape[3]), (f, width), (f, width), (1, width), (1, width)
    empty = [pad_columns(np.empty(shape)) for shape in shapes]
    points = np.empty(n_points), np.empty(n_points), np.empty(n_points), np.empty(n_points, np.int64)
    return (np.empty((f, f)), *empty, weights), points


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def error_by_scramble(
    gram: Array,
    signal: Array,
    bias: Array,
    directions: Array,
    turns: Array,
    lengths: Array,
    kind: int,
    degree: int,
    work: tuple[tuple[Array, ...], Points],
    out: Array,
) -> None:
    """Write the error against true labels of every run and scramble into ``out`` [b, s].

    gram [b, f, f]: covariance of the filters' pre-activations on a noise patch. signal [b, 2]: the output's part from
    +signal and -signal. bias [b, f]. directions [s, q, f, points]: of every scramble, on the unit sphere in q f
    dimensions, the same for every run. turns [b, q, f, f]: the run's own rotations of them. Both with columns of zeros
    as ``multiply`` wants them. lengths [b, s, points]: what the run multiplies them with. degree: of the noise part
    of the output in the lengths, to integrate over them; 0 takes them as they are. work: from ``workspace``.
    """
    gram, signal, bias, directions, turns = uncounted((gram, signal, bias, directions, turns))
    lengths, out, work = uncounted((lengths, out, work))
    (lower, factors, z, active, noise, part, weights), points = work
    q, f = turns.shape[1:3]
    n_scrambles, n_points = lengths.shape[1:]
    z_flat, active_flat = z.reshape(z.size), active.reshape(z.size)  # apart: a loop onto itself stays scalar
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
                values(kind, z_flat, active_flat)
                multiply(weights, active, part)
                for i in range(n_points):
                    noise[0, i] += part[0, i]
            total = total_chance(plus, noise[0], 1.0, degree, q * f // 2, points)
            total += total_chance(-minus, noise[0], -1.0, degree, q * f // 2, points)
            out[lane, scramble] = total / (2 * n_points)


@njit(error_model="numpy", fastmath={"contract"})
def place(z: Array, bias: Array, lengths: Array) -> None:
    """Turn directions [f, width] into pre-activations of the given lengths."""
    for r in range(len(z)):
        for i in range(len(lengths)):
            z[r, i] = bias[r] + lengths[i] * z[r, i]
