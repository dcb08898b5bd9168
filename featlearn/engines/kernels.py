"""The hot loops of the Gram engine on a CPU, each one pass over memory (numba).

gram.py holds the same formulas as plain batched torch, and a test holds the two equal. Every loop treats one run at a
time, so that a run's bits do not depend on the others of its block. Vectors are packed (see packed.py): a run has
2f + 1 rows, f of coefficients, f of alignments, and one that starts with alpha. Rows are wider than their k numbers,
zero beyond them, and the loops run over several rows at once: compiled loops are slow on ends and on short rows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.models.kernels import slopes, values
from featlearn.tiles import multiply

Array = NDArray[Any]


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def add_multiple(start: Array, factors: Array, part: Array, out: Array, finite: Array) -> None:
    """Write start + factor part, [b, 2f + 1, width], into ``out``; is the sum of its squares ``finite``?"""
    b, size = len(out), out[0].size
    starts, parts, outs = start.reshape(b, size), part.reshape(b, size), out.reshape(b, size)
    for lane in range(b):
        u, v, w = starts[lane], parts[lane], outs[lane]
        factor, total = factors[lane], out.dtype.type(0)
        for i in range(size):
            x = u[i] + factor * v[i]
            w[i] = x
            total += x * x
        finite[lane] = math.isfinite(total)


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def dot(u: Array, v: Array) -> Any:
    """Return sum_i u_i v_i."""
    total = u.dtype.type(0)
    for i in range(len(u)):
        total += u[i] * v[i]
    return total


@njit(cache=True, error_model="numpy")
def inner(u: Array, v: Array, initial: Array, square0: Array, out: Array) -> None:
    """Write <u, v> of every run into ``out`` [b]; see GramEngine.inner. initial: W0. square0 [b]: <W0, W0>."""
    b, size = len(out), (u.shape[1] // 2) * u.shape[2]
    us, vs, starts = u.reshape(b, -1), v.reshape(b, -1), initial.reshape(b, -1)
    for lane in range(b):
        total = dot(us[lane, :size], vs[lane, size : 2 * size])
        alpha = us[lane, 2 * size]
        if alpha != 0.0:
            with_init = dot(vs[lane, :size], starts[lane, size : 2 * size])
            total += alpha * (vs[lane, 2 * size] * square0[lane] + with_init)
        out[lane] = total


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def gradient(
    start: Array,
    part: Array,
    factors: Array,
    shifted: bool,
    labels: Array,
    true_labels: Array,
    batch: Array,
    gram: Array,
    out: Array,
    squares: Array,
    kind: int,
    scale: float,
    noise_count: int,
    n_noises: int,
    bias: bool,
) -> None:
    """Write the gradient at start + factor part (at ``start`` unless shifted) into ``out``, <g, g> into ``squares``.

    gram [b, k, width]: G and columns of zeros; width > k. kind: the activation's number in KINDS. See
    GramEngine.gradient for the formula.
    """
    b, f, k, width = len(start), start.shape[1] // 2, gram.shape[1], start.shape[2]
    half, size, dtype = f // 2 * width, f * width, start.dtype
    starts, parts, outs = start.reshape(b, -1), part.reshape(b, -1), out.reshape(b, -1)
    z, active, share = np.empty(size, dtype), np.empty(size, dtype), np.empty(half, dtype)
    signs, sums = np.ones((1, f), dtype), np.empty((1, width), dtype)
    signs[0, f // 2 :] = -1
    ones, minus_ones = np.ones((f // 2, 1), dtype), np.full((f // 2, 1), -1, dtype)
    z_rows, active_rows, share_rows = z.reshape(f, width), active.reshape(f, width), share.reshape(f // 2, width)
    for lane in range(b):
        coef, product = outs[lane, :size], outs[lane, size : 2 * size]
        combine(starts[lane, size : 2 * size], factors[lane], parts[lane, size : 2 * size], shifted, z)
        to_preactivations(z_rows, k, bias)
        values(kind, z, active)
        multiply(signs, active_rows, sums)
        loss_slopes(sums[0], labels[lane], true_labels[lane], batch[lane], k, scale, noise_count, n_noises)
        multiply(ones, sums, share_rows)
        slopes(kind, share, z[:half], coef[:half])
        multiply(minus_ones, sums, share_rows)
        slopes(kind, share, z[half:], coef[half:])
        gather(out[lane, :f], k, bias)
        multiply(out[lane, :f], gram[lane], out[lane, f : 2 * f])
        squares[lane] = dot(coef, product)
        out[lane, 2 * f] = 0


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
def to_preactivations(z: Array, k: int, bias: bool) -> None:
    """Turn alignments [f, width] into pre-activations: +signal in column 0, noises, and -signal in column k."""
    for row in z:
        minus = -row[0]
        if bias:
            shift = row[k - 1]
            minus += shift
            for i in range(k):
                row[i] += shift
        row[k] = minus


@njit(error_model="numpy")
def loss_slopes(
    columns: Array,
    labels: Array,
    true_labels: Array,
    batch: Array,
    k: int,
    scale: float,
    noise_count: int,
    n_noises: int,
) -> None:
    """Replace the sums of activations over filters, [width], by what the slopes of a + filter are multiplied with.

    These are noise_count c_i on a noise of sample i, the sum of c_i over the samples that show the patch on +signal and
    -signal, and 0 elsewhere, where c_i is dLoss/df_i times the scale of one activation.
    """
    n, number = len(labels), columns.dtype.type
    plus, minus = columns[0], columns[k]
    c_plus, c_minus = number(0), number(0)
    for i in range(n):
        hidden = number(0)
        for column in range(1 + i, 1 + n_noises, n):
            hidden += columns[column]
        positive = true_labels[i] > 0
        f_i = number(scale) * ((plus if positive else minus) + number(noise_count) * hidden)
        y = labels[i]
        c = -number(scale) * batch[i] * y / (number(1) + math.exp(y * f_i))
        c_plus += c if positive else number(0)
        c_minus += number(0) if positive else c
        for column in range(1 + i, 1 + n_noises, n):
            columns[column] = number(noise_count) * c
    columns[1 + n_noises :] = 0
    columns[0], columns[k] = c_plus, c_minus


@njit(error_model="numpy")
def gather(coef: Array, k: int, bias: bool) -> None:
    """Add up what falls on one data vector: both signal patches on the signal, every patch on the bias."""
    for row in coef:
        on_plus, on_minus = row[0], row[k]
        row[0] = on_plus - on_minus
        row[k] = 0
        if bias:
            total = on_plus + on_minus
            for i in range(1, k - 1):
                total += row[i]
            row[k - 1] = total
