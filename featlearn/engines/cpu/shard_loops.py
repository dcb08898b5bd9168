"""The hot loops of micro-batches on a CPU (numba); engines/span/engine.py has the same in plain batched torch.

A micro-batch has few patches N', and f filters. So its numbers are stored with the filters contiguous, [N', F], F = f
padded with zeros to whole vector registers: every inner loop runs over filters. Each micro-batch is computed separately
and sums its own entries in a fixed order, so that its bits do not depend on the others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.engines.cpu.network import Network
from featlearn.engines.cpu.sums import combine, copy, dot
from featlearn.functions.compiled import loss_seconds, loss_slopes, seconds, slopes, values
from featlearn.tiles import multiply, without_reference_counts

Array = NDArray[Any]


class Parts(NamedTuple):
    """The parts of H at a point; empty where they are not wanted.

    slope, bend [b s, N' F]: second layer times act', and times act'' and the share of the loss's slopes, empty where
    act'' = 0. bent [b s, n']: weight times l''.
    """

    slope: Array
    bend: Array
    bent: Array


@njit(cache=True, error_model="numpy")
def split(rows: Array, patches: Array, f: int, out: Array) -> None:
    """Write the alignments of each micro-batch, [b s, N', F], from the packed rows [b, ., width] of its run.

    patches [b s, N']: which patches it shows.
    """
    count = len(out) // len(rows)
    for lane in range(len(out)):
        run = rows[lane // count]
        for c in range(out.shape[1]):
            patch = patches[lane, c]
            for r in range(f):
                out[lane, c, r] = run[f + r, patch]
            out[lane, c, f:] = 0


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def mean(coef: Array, factors: Array, patches: Array, gram: Array, out: Array, squares: Array) -> None:
    """Write the mean of factors coef over a run's micro-batches, packed, into ``out``, its square into ``squares``.

    coef [b s, N', F]. gram [b, N, width]: G and columns of zeros.
    """
    coef, patches, gram, out = without_reference_counts((coef, patches, gram, out))
    f, count = out.shape[1] // 2, len(coef) // len(out)
    total = np.empty((gram.shape[2], coef.shape[2]), coef.dtype)
    for run in range(len(out)):
        total[:] = 0
        for lane in range(run * count, (run + 1) * count):
            for c in range(coef.shape[1]):
                add_to(total[patches[lane, c]], factors[lane], coef[lane, c])
        for r in range(f):
            for a in range(len(total)):
                out[run, r, a] = total[a, r] / count
        multiply(out[run, :f], gram[run], out[run, f : 2 * f])
        squares[run] = dot(out[run, :f].reshape(-1), out[run, f : 2 * f].reshape(-1))
        out[run, 2 * f] = 0


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def gradient(
    start: Array,
    part: Array,
    factors: Array,
    shifted: bool,
    labels: Array,
    batch: Array,
    whole: tuple[Array, Array, Array, Array, Array],
    network: Network,
    coef: Array,
    align: Array,
    squares: Array,
    parts: Parts,
) -> None:
    """Write the gradient of every micro-batch at start + factor part (at ``start`` unless shifted).

    start, part [b s, N', F]: alignments. whole: the patches [b s, N'], which of them a sample shows [b s, n', s] and
    how often [s], G [b, N, width] of all patches, and the second layer [F]. Written are the gradient's coefficients,
    its alignments G' C and its square; see GramEngine.gradient for the formula. ``parts``: of H there, where wanted.
    """
    start, part, coef, align, parts = without_reference_counts((start, part, coef, align, parts))
    labels, batch, squares = without_reference_counts((labels, batch, squares))
    patches, shown, times, gram, second = without_reference_counts(whole)
    n_lanes, n_patches, width = start.shape
    count, dtype = n_lanes // len(gram), start.dtype
    z, active, share = (
        np.empty(n_patches * width, dtype),
        np.empty(n_patches * width, dtype),
        np.empty(n_patches * width, dtype),
    )
    sums, block = np.empty(n_patches, dtype), np.empty((n_patches, n_patches), dtype)
    outputs, layer = np.empty((1, labels.shape[1]), dtype), np.empty(n_patches * width, dtype)
    for c in range(n_patches):
        copy(second, layer[c * width : (c + 1) * width])
    for lane in range(n_lanes):
        combine(start[lane].reshape(-1), factors[lane], part[lane].reshape(-1), shifted, z)
        values(network.activation, z, active)
        for c in range(n_patches):
            sums[c] = dot(active[c * width : (c + 1) * width], second)
        gather(sums, shown[lane], times, outputs[0])
        if parts.slope.size:
            loss_seconds(network.loss, outputs, labels[lane], parts.bent[lane])
            for i in range(labels.shape[1]):
                parts.bent[lane, i] *= batch[lane, i]
        loss_slopes(network.loss, outputs, labels[lane], batch[lane], outputs)
        share_out(outputs[0], shown[lane], times, sums)
        for c in range(n_patches):
            for r in range(width):
                share[c * width + r] = sums[c] * second[r]
        for wanted in range(1 + (parts.slope.size > 0)):  # one call, which is compiled once
            factor, out = (layer, parts.slope[lane]) if wanted else (share, coef[lane].reshape(-1))
            slopes(network.activation, factor, z, out)
        if parts.bend.size:
            seconds(network.activation, share, z, parts.bend[lane])
        own_block(gram[lane // count], patches[lane], block)
        multiply(block, coef[lane], align[lane])
        squares[lane] = dot(coef[lane].reshape(-1), align[lane].reshape(-1))


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def hessian(parts: Parts, along: Array, factors: Array, shown: Array, times: Array, coef: Array) -> None:
    """Write the coefficients of H v of every micro-batch, v with the alignments factor along [b s, N', F].

    See span/directional.py for the formula.
    """
    along, coef, shown, (slope, bend, bent) = without_reference_counts((along, coef, shown, parts))
    n_lanes, n_patches, width = along.shape
    sums, changed = np.empty(n_patches, along.dtype), np.empty(bent.shape[1], along.dtype)
    for lane in range(n_lanes):
        v, out, factor = along[lane].reshape(-1), coef[lane].reshape(-1), factors[lane]
        for c in range(n_patches):
            row = slice(c * width, (c + 1) * width)
            sums[c] = factor * dot(slope[lane, row], v[row])
        gather(sums, shown[lane], times, changed)
        for i in range(len(changed)):
            changed[i] *= bent[lane, i]
        share_out(changed, shown[lane], times, sums)
        for c in range(n_patches):
            for a in range(c * width, (c + 1) * width):
                out[a] = slope[lane, a] * sums[c]
        if bend.size:
            for a in range(len(out)):
                out[a] += bend[lane, a] * (factor * v[a])


@njit(cache=True, error_model="numpy")
def products(coef: Array, patches: Array, gram: Array, align: Array) -> None:
    """Write the alignments G' C of every micro-batch, [b s, N', F]."""
    coef, patches, gram, align = without_reference_counts((coef, patches, gram, align))
    count, block = len(coef) // len(gram), np.empty((coef.shape[1], coef.shape[1]), coef.dtype)
    for lane in range(len(coef)):
        own_block(gram[lane // count], patches[lane], block)
        multiply(block, coef[lane], align[lane])


@njit(error_model="numpy")
def own_block(gram: Array, patches: Array, out: Array) -> None:
    """Write the inner products of a micro-batch's own patches, [N', N']."""
    for i in range(len(out)):
        for j in range(len(out)):
            out[i, j] = gram[patches[i], patches[j]]


@njit(error_model="numpy", fastmath={"contract"})
def add_to(total: Array, factor: float, x: Array) -> None:
    """Add factor x to ``total``."""
    for i in range(len(total)):
        total[i] += factor * x[i]


@njit(error_model="numpy", fastmath={"contract"})
def gather(per_patch: Array, shown: Array, times: Array, out: Array) -> None:
    """Sum over the patches that each sample shows, [N'] -> [n']."""
    for i in range(len(out)):
        out[i] = 0
        for j in range(len(times)):
            out[i] += times[j] * per_patch[shown[i, j]]


@njit(error_model="numpy", fastmath={"contract"})
def share_out(per_sample: Array, shown: Array, times: Array, out: Array) -> None:
    """Sum over the samples that show each patch, [n'] -> [N'], the transpose of ``gather``."""
    out[:] = 0
    for i in range(len(per_sample)):
        for j in range(len(times)):
            out[shown[i, j]] += times[j] * per_sample[i]
