"""The Gram engine's Hessian in compiled loops, a run at a time (numba); span/curvature.py holds the same in torch.

For networks of one output with a fixed second layer. Rows of patches are padded with zeros.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.engines.cpu.network import Incidence, Network, gather, share_out
from featlearn.functions.compiled import expansion, loss_seconds, loss_slopes
from featlearn.tiles import multiply

Array = NDArray[Any]


class Linear(NamedTuple):
    """The parts of H at one point: H u has the weights slopes share(l'' F) + seconds z, F = gather(slopes z).

    slopes, seconds [b, f, width]: second layer times act', and times act'' and the share of the loss's slopes; seconds
    [b, f, 0] where act'' = 0. loss [b, n]: c_i l''_i. Of one run without the first axis, as is the incidence.
    """

    slopes: Array
    seconds: Array
    loss: Array
    incidence: Incidence


@njit(cache=True, error_model="numpy")
def linearize(align: Array, labels: Array, batch: Array, second: Array, network: Network, found: Linear) -> None:
    """Write the parts of H at the alignments [b, f, N] into ``found``, which is zero except for its incidence.

    batch [b, n]: sample weights. second [f]: the second layer.
    """
    b, f, n_patches = align.shape
    slopes, seconds, loss, (shown, times, common) = found
    width, n = slopes.shape[2], labels.shape[1]
    sums, outputs, curved = np.empty((1, width)), np.empty((1, n)), np.empty((f, width))
    for lane in range(b):
        incidence = Incidence(shown[lane], times, common)
        sums[:] = 0.0
        for r in range(f):
            for a in range(n_patches):
                value, slope, curved[r, a] = expansion(network.activation, align[lane, r, a])
                sums[0, a] += second[r] * value
                slopes[lane, r, a] = second[r] * slope
        gather(sums, incidence, outputs)
        loss_seconds(network.loss, outputs, labels[lane], loss[lane])
        loss[lane] *= batch[lane]
        loss_slopes(network.loss, outputs, labels[lane], batch[lane], outputs)
        share_out(outputs, incidence, sums)
        for r in range(f):
            for a in range(min(n_patches, seconds.shape[2])):
                seconds[lane, r, a] = second[r] * sums[0, a] * curved[r, a]


@njit(error_model="numpy", fastmath={"contract"})
def weigh(z: Array, linear: Linear, sums: Array, outputs: Array) -> None:
    """Replace z = u X' [f, width] for a vector u by the weights of H u on the patches.

    sums [1, width], outputs [1, n]: buffers.
    """
    slopes, seconds, loss, incidence = linear
    sums[:] = 0.0
    for r in range(len(z)):
        for a in range(z.shape[1]):
            sums[0, a] += slopes[r, a] * z[r, a]
    gather(sums, incidence, outputs)
    for i in range(len(loss)):
        outputs[0, i] *= loss[i]
    share_out(outputs, incidence, sums)
    for r in range(len(z)):
        for a in range(z.shape[1]):
            z[r, a] = slopes[r, a] * sums[0, a] + seconds[r, a] * z[r, a]


@njit(cache=True, error_model="numpy")
def sample_matrices(linear: Linear, gram: Array, out: Array) -> None:
    """Write the matrices over samples [b, n, width'] that share the nonzero eigenvalues of H's first part.

    gram [b, N, width]: inner products of the patches.
    """
    slopes, _, loss, (shown, times, common) = linear
    (_, n_patches, width), n = gram.shape, loss.shape[1]
    across, products, half = (
        np.empty((n_patches, slopes.shape[1])),
        np.empty((n_patches, width)),
        np.empty((n_patches, n)),
    )
    for lane in range(len(slopes)):
        for a in range(n_patches):
            for r in range(slopes.shape[1]):
                across[a, r] = slopes[lane, r, a]
        multiply(across, slopes[lane], products)
        for a in range(n_patches):
            for c in range(width):
                products[a, c] *= gram[lane, a, c]
        gather(products, Incidence(shown[lane], times, common), half)
        for i in range(n):
            for k in range(n):
                total = 0.0
                for j in range(len(times)):
                    total += times[j] * half[shown[lane, j, i], k]
                out[lane, i, k] = math.sqrt(loss[lane, i]) * total * math.sqrt(loss[lane, k])
