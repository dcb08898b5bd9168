"""The hot loops of micro-batches in the Gram engine on a CPU (numba); gram.py holds the same as plain batched torch.

A micro-batch has a few columns, its own data vectors, and as many rows as there are filters. So its numbers are laid
out with the filters side by side, [k', F], F = f and zeros up to whole vector registers: every inner loop runs over
filters. Each micro-batch is treated by itself, its entries in an order of their own: its bits depend on no other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.engines.cpu.loops import dot
from featlearn.functions.compiled import slopes, values
from featlearn.tiles import multiply

Array = NDArray[Any]


@njit(cache=True, error_model="numpy")
def split(rows: Array, vectors: Array, out: Array) -> None:
    """Write the alignments of each micro-batch, [b s, k', F], from the packed rows [b, 2f + 1, width] of its run.

    vectors [b s, k']: which data vectors it shows.
    """
    f, count = rows.shape[1] // 2, len(out) // len(rows)
    for lane in range(len(out)):
        run = rows[lane // count]
        for c in range(out.shape[1]):
            vector = vectors[lane, c]
            for r in range(f):
                out[lane, c, r] = run[f + r, vector]
            out[lane, c, f:] = 0


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def mean(coef: Array, vectors: Array, gram: Array, out: Array, squares: Array) -> None:
    """Write the mean of the directions of a run's micro-batches, packed, into ``out``, its squares [b] beside.

    coef [b s, k', F]. gram [b, k, width]: G and columns of zeros.
    """
    f, count = out.shape[1] // 2, len(coef) // len(out)
    for run in range(len(out)):
        total = out[run, :f]
        total[:] = 0
        for lane in range(run * count, (run + 1) * count):
            for c in range(coef.shape[1]):
                vector = vectors[lane, c]
                for r in range(f):
                    total[r, vector] += coef[lane, c, r]
        total /= count
        multiply(total, gram[run], out[run, f : 2 * f])
        squares[run] = dot(total.reshape(-1), out[run, f : 2 * f].reshape(-1))
        out[run, 2 * f] = 0


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def gradient(
    start: Array,
    part: Array,
    factors: Array,
    shifted: bool,
    labels: Array,
    true_labels: Array,
    batch: Array,
    vectors: Array,
    gram: Array,
    signs: Array,
    kind: int,
    scale: float,
    noise_count: int,
    bias: bool,
    coef: Array,
    align: Array,
    squares: Array,
) -> None:
    """Write the gradient of every micro-batch at start + factor part (at ``start`` unless shifted).

    start, part [b s, k', F]: alignments. signs [F]: of the second layer. Written are its coefficients, its alignments
    G' C and its square; see GramEngine.gradient for the formula.
    """
    n_lanes, k, width = start.shape
    count, n, dtype = n_lanes // len(gram), labels.shape[1], start.dtype
    n_noises = k - 1 - bias
    z, active, share = (
        np.empty((k + 1) * width, dtype),
        np.empty((k + 1) * width, dtype),
        np.empty((k + 1, width), dtype),
    )
    z_rows, sums, block = z.reshape(k + 1, width), np.empty(k + 1, dtype), np.empty((k, k), dtype)
    for lane in range(n_lanes):
        preactivations(start[lane], factors[lane], part[lane], shifted, bias, z_rows)
        values(kind, z, active)
        for c in range(k + 1):
            sums[c] = dot(active[c * width : (c + 1) * width], signs)
        loss_slopes(sums, labels[lane], true_labels[lane], batch[lane], n, n_noises, scale, noise_count)
        for c in range(k + 1):
            for r in range(width):
                share[c, r] = sums[c] * signs[r]
        slopes(kind, share.reshape(-1), z, active)
        fold(active.reshape(k + 1, width), bias, coef[lane])
        whole = gram[lane // count]
        for i in range(k):
            for j in range(k):
                block[i, j] = whole[vectors[lane, i], vectors[lane, j]]
        multiply(block, coef[lane], align[lane])
        squares[lane] = dot(coef[lane].reshape(-1), align[lane].reshape(-1))


@njit(error_model="numpy", fastmath={"contract"})
def preactivations(start: Array, factor: float, part: Array, shifted: bool, bias: bool, z: Array) -> None:
    """Write what the filters have on the patches +signal, noises, and in the last row -signal."""
    k, width = start.shape
    for c in range(k):
        for r in range(width):
            z[c, r] = start[c, r] + factor * part[c, r] if shifted else start[c, r]
    for r in range(width):
        z[k, r] = -z[0, r]
    if bias:
        for c in range(k - 1):
            for r in range(width):
                z[c, r] += z[k - 1, r]
        for r in range(width):
            z[k, r] += z[k - 1, r]


@njit(error_model="numpy")
def loss_slopes(
    sums: Array, labels: Array, true_labels: Array, batch: Array, n: int, n_noises: int, scale: float, noise_count: int
) -> None:
    """Replace the sums of activations over filters by what the slopes of a + filter are multiplied with.

    As in kernels.py: noise_count c_i on the noises of sample i, the sum of c_i over samples of either signal patch.
    """
    number = sums.dtype.type
    plus, minus = sums[0], sums[-1]
    c_plus, c_minus = number(0), number(0)
    for i in range(n):
        hidden = number(0)
        for column in range(1 + i, 1 + n_noises, n):
            hidden += sums[column]
        positive = true_labels[i] > 0
        f_i = number(scale) * ((plus if positive else minus) + number(noise_count) * hidden)
        c = -number(scale) * batch[i] * labels[i] / (number(1) + math.exp(labels[i] * f_i))
        c_plus += c if positive else number(0)
        c_minus += number(0) if positive else c
        for column in range(1 + i, 1 + n_noises, n):
            sums[column] = number(noise_count) * c
    sums[1 + n_noises :] = 0
    sums[0], sums[-1] = c_plus, c_minus


@njit(error_model="numpy", fastmath={"contract"})
def fold(patches: Array, bias: bool, coef: Array) -> None:
    """Add up what falls on one data vector: both signal patches on the signal, every patch on the bias."""
    k, width = coef.shape
    for c in range(1, k):
        for r in range(width):
            coef[c, r] = patches[c, r]
    for r in range(width):
        coef[0, r] = patches[0, r] - patches[k, r]
    if bias:
        for r in range(width):
            coef[k - 1, r] = patches[0, r] + patches[k, r]
        for c in range(1, k - 1):
            for r in range(width):
                coef[k - 1, r] += patches[c, r]
