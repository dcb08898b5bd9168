"""The network of one run and its gradient, for the compiled loops (numba)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.engines.cpu.sums import combine, dot, sum_where
from featlearn.engines.problem import Problem
from featlearn.functions.compiled import activation_kind, loss_kind, loss_slopes, loss_values, slopes, values
from featlearn.tiles import multiply, pad_columns

Array = NDArray[Any]


class Network(NamedTuple):
    """Shared by all runs of a block: activation and loss by number, and whether the second layer is trained."""

    activation: int
    loss: int
    trained: bool


class Incidence(NamedTuple):
    """Which patches the samples show: shown [b, s, n] or of one run [s, n]; times [s], including the scale.

    common [s]: how many common patches a slot chooses from, 0 where it shows the sample's own.
    """

    shown: Array
    times: Array
    common: Array


class Data(NamedTuple):
    """Training sets: labels [b, n], G [b, N, width] and an incidence; of one run without the first axis."""

    labels: Array
    gram: Array
    incidence: Incidence


class Buffers(NamedTuple):
    """Scratch buffers of a gradient: z, active, share [f width], sums [C, width], outputs [C, n], losses [n].

    second [f, C] and columns [C, f]: the second layer and its transpose, constant unless trained.
    """

    z: Array
    active: Array
    share: Array
    sums: Array
    outputs: Array
    losses: Array
    second: Array
    columns: Array


def network_of(problem: Problem) -> Network:
    """Return a problem's network in numbers."""
    return Network(activation_kind(problem.activation.name), loss_kind(problem.loss.name), problem.trained)


def incidence_of(problem: Problem, dtype: Any) -> Incidence:
    """Return which patches the samples of a problem show."""
    times = np.array([problem.scale * count for count in problem.times], dtype)
    common = np.array([problem.n_common if slot.common else 0 for slot in problem.slots])
    return Incidence(np.ascontiguousarray(problem.shown.numpy().transpose(0, 2, 1)), times, common)


def data_of(problem: Problem) -> Data:
    """Return the training sets of a problem."""
    gram = pad_columns(problem.gram.numpy())
    return Data(problem.labels.numpy(), gram, incidence_of(problem, gram.dtype))


def buffers_of(problem: Problem, data: Data) -> Buffers:
    """Return the scratch buffers for the gradients of a problem."""
    second = np.ascontiguousarray(problem.head.numpy())
    (f, n_outputs), width, dtype = second.shape, data.gram.shape[2], second.dtype
    shapes: Any = *[(f * width,)] * 3, (n_outputs, width), (n_outputs, problem.n_samples), (problem.n_samples,)
    z, active, share, sums, outputs, losses = (np.empty(shape, dtype) for shape in shapes)
    return Buffers(z, active, share, sums, outputs, losses, second.copy(), second.T.copy())


@njit(error_model="numpy", inline="always")
def of_run(data: Data, lane: int) -> Data:
    """Return the training set of one run."""
    labels, gram, (shown, times, common) = data
    return Data(labels[lane], gram[lane], Incidence(shown[lane], times, common))


@njit(error_model="numpy", inline="always")
def place(start: Array, factor: float, part: Array, shifted: bool, network: Network, buffers: Buffers) -> None:
    """Write the alignments of start + factor part, packed vectors of one run, and a trained second layer."""
    size, (f, n_outputs) = len(buffers.z), buffers.second.shape
    combine(start[size : 2 * size], factor, part[size : 2 * size], shifted, buffers.z)
    if network.trained:
        tail = slice(2 * size + 1, 2 * size + 1 + f * n_outputs)
        combine(start[tail], factor, part[tail], shifted, buffers.second.reshape(-1))
        for c in range(n_outputs):
            for r in range(f):
                buffers.columns[c, r] = buffers.second[r, c]


@njit(error_model="numpy", fastmath={"contract"}, inline="always")
def gradient_of(buffers: Buffers, data: Data, batch: Array, network: Network, out: Array) -> None:
    """Write the gradient of one run into ``out``, packed, at the point that ``place`` has set."""
    size, (f, n_outputs), width = len(buffers.z), buffers.second.shape, buffers.sums.shape[1]
    find_outputs(buffers, data, network)
    loss_slopes(network.loss, buffers.outputs, data.labels, batch, buffers.outputs)
    share_out(buffers.outputs, data.incidence, buffers.sums)
    multiply(buffers.second, buffers.sums, buffers.share.reshape(f, width))
    slopes(network.activation, buffers.share, buffers.z, out[:size])
    multiply(out[:size].reshape(f, width), data.gram, out[size : 2 * size].reshape(f, width))
    out[2 * size :] = 0
    if network.trained:
        for r in range(f):
            for c in range(n_outputs):
                row = buffers.active[r * width : (r + 1) * width]
                out[2 * size + 1 + r * n_outputs + c] = dot(row, buffers.sums[c])


@njit(error_model="numpy", inline="always")
def mean_loss_of(buffers: Buffers, data: Data, network: Network) -> Any:
    """Return the loss of one run on its whole training set, at the point that ``place`` has set."""
    find_outputs(buffers, data, network)
    loss_values(network.loss, buffers.outputs, data.labels, buffers.losses)
    total = buffers.losses.dtype.type(0)
    for x in buffers.losses:
        total += x
    return total / len(buffers.losses)


@njit(error_model="numpy", fastmath={"contract"}, inline="always")
def find_outputs(buffers: Buffers, data: Data, network: Network) -> None:
    """Write activations, their sums over filters and the outputs F into the buffers."""
    f, width = len(buffers.second), buffers.sums.shape[1]
    values(network.activation, buffers.z, buffers.active)
    multiply(buffers.columns, buffers.active.reshape(f, width), buffers.sums)
    gather(buffers.sums, data.incidence, buffers.outputs)


@njit(error_model="numpy", fastmath={"contract"}, inline="always")
def gather(per_patch: Array, incidence: Incidence, out: Array) -> None:
    """Sum over the patches that each sample shows, [C, N] -> [C, n]."""
    shown, times, _ = incidence
    out[:] = 0
    for c in range(len(out)):
        for j in range(len(times)):
            for i in range(shown.shape[1]):
                out[c, i] += times[j] * per_patch[c, shown[j, i]]


@njit(error_model="numpy", fastmath={"contract"}, inline="always")
def share_out(per_sample: Array, incidence: Incidence, out: Array) -> None:
    """Sum over the samples that show each patch, [C, n] -> [C, N], the transpose of ``gather``.

    Many consecutive samples may show one common patch: its sum is kept in registers, not stored at every sample.
    """
    shown, times, common = incidence
    out[:] = 0
    for c in range(len(out)):
        for j in range(len(times)):
            for a in range(common[j]):
                out[c, a] += times[j] * sum_where(per_sample[c], shown[j], a)
            if common[j] == 0:
                for i in range(shown.shape[1]):
                    out[c, shown[j, i]] += times[j] * per_sample[c, i]
