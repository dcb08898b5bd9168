"""The Gram engine's Hessian in compiled loops, a run at a time (numba); gram_curvature.py holds the same in torch.

Patches have the columns of kernels.py: +signal, the noises, nothing on the bias direction, -signal in column k, zeros.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.engines.cpu.loops import to_preactivations
from featlearn.functions.compiled import expansion
from featlearn.tiles import multiply

Array = NDArray[Any]


@njit(cache=True, error_model="numpy")
def linearize(
    align: Array,
    labels: Array,
    true_labels: Array,
    batch: Array,
    kind: int,
    scale: float,
    noise_count: int,
    n_noises: int,
    bias: bool,
    slopes: Array,
    bends: Array,
    loss_bend: Array,
) -> None:
    """Write what H is made of at the alignments [b, f, k] (see GramCurvature): slopes, bends [b, f, width], zeros
    elsewhere; loss_bend [b, n]. kind: the activation's number in KINDS. bends [b, f, 0] are left out.
    """
    b, f, k = align.shape
    width, n = slopes.shape[2], labels.shape[1]
    signs, sums = np.ones((1, f)), np.empty((1, width))
    signs[0, f // 2 :] = -1
    z, active, curved = np.zeros((f, width)), np.zeros((f, width)), np.empty((f, width))
    back, counts = np.zeros(width), np.zeros(width)
    counts[0] = counts[k] = scale
    counts[1 : 1 + n_noises] = scale * noise_count
    for lane in range(b):
        z[:, :k] = align[lane]
        to_preactivations(z, k, bias)
        for r in range(f):
            for i in range(k + 1):
                active[r, i], slopes[lane, r, i], curved[r, i] = expansion(kind, z[r, i])
        multiply(signs, active, sums)
        sums[0] *= counts
        to_samples(sums[0], true_labels[lane], k, n_noises)
        back[:] = 0.0
        for i in range(n):
            y = labels[lane, i]
            wrong = 1.0 / (1.0 + math.exp(y * sums[0, 1 + i]))
            loss_bend[lane, i] = batch[lane, i] * wrong / (1.0 + math.exp(-y * sums[0, 1 + i]))
            back[1 + i] = -batch[lane, i] * y * wrong
        to_patches(back, true_labels[lane], k, n_noises)
        for r in range(f):
            for i in range(k + 1):
                slopes[lane, r, i] *= signs[0, r] * counts[i]
            for i in range(min(k + 1, bends.shape[2])):
                bends[lane, r, i] = signs[0, r] * counts[i] * back[i] * curved[r, i]


@njit(error_model="numpy")
def to_samples(columns: Array, true_labels: Array, k: int, n_noises: int) -> None:
    """Put the sum over the patches of sample i into column 1 + i."""
    n = len(true_labels)
    for start in range(1 + n, 1 + n_noises, n):
        for i in range(n):
            columns[1 + i] += columns[start + i]
    plus, minus = columns[0], columns[k]
    for i in range(n):
        columns[1 + i] += plus if true_labels[i] > 0 else minus


@njit(error_model="numpy", fastmath={"reassoc"})
def to_patches(columns: Array, true_labels: Array, k: int, n_noises: int) -> None:
    """Put the sum over the samples that show a patch, given in the columns 1 + i, on every patch."""
    n, plus, minus = len(true_labels), 0.0, 0.0
    for i in range(n):
        plus += columns[1 + i] if true_labels[i] > 0 else 0.0
        minus += 0.0 if true_labels[i] > 0 else columns[1 + i]
    for start in range(1 + n, 1 + n_noises, n):
        for i in range(n):
            columns[start + i] = columns[1 + i]
    columns[0], columns[k] = plus, minus


@njit(error_model="numpy", fastmath={"contract"})
def weigh(
    z: Array, slopes: Array, bends: Array, loss_bend: Array, true_labels: Array, k: int, n_noises: int, sums: Array
) -> None:
    """Turn a vector's inner products with the patches, [f, width], into the weights on them of its product with H.

    sums [width]: room.
    """
    sums[:] = 0.0
    for r in range(len(z)):
        for i in range(len(sums)):
            sums[i] += slopes[r, i] * z[r, i]
    to_samples(sums, true_labels, k, n_noises)
    for i in range(len(loss_bend)):
        sums[1 + i] *= loss_bend[i]
    to_patches(sums, true_labels, k, n_noises)
    for r in range(len(z)):
        for i in range(len(sums)):
            z[r, i] = slopes[r, i] * sums[i] + bends[r, i] * z[r, i]


@njit(cache=True, error_model="numpy")
def sample_matrices(
    slopes: Array, loss_bend: Array, true_labels: Array, gram: Array, k: int, n_noises: int, out: Array
) -> None:
    """Write the matrices over samples [b, n, width'] that share the nonzero eigenvalues of H's first part.

    gram [b, width, width]: inner products of the patches.
    """
    n, width = len(loss_bend[0]), slopes.shape[2]
    products = np.empty((width, width))
    for lane in range(len(slopes)):
        multiply(np.ascontiguousarray(slopes[lane].T), slopes[lane], products)
        for i in range(width):
            for j in range(width):
                products[i, j] *= gram[lane, i, j]
            to_samples(products[i], true_labels[lane], k, n_noises)
        for i in range(n):
            root = math.sqrt(loss_bend[lane, i])
            for j in range(n):
                total = products[0, 1 + j] if true_labels[lane, i] > 0 else products[k, 1 + j]
                for row in range(1 + i, 1 + n_noises, n):
                    total += products[row, 1 + j]
                out[lane, i, j] = root * total * math.sqrt(loss_bend[lane, j])
