"""The hot loops of the Gram engine on a CPU, each one pass over memory (numba).

gram.py holds the same formulas as plain batched torch, and a test holds the two equal. Every loop treats one run at a
time, so that a run's bits do not depend on the others of its block. Vectors are packed (see packed.py): a run has
2f + 1 rows, f of coefficients, f of alignments, and one that starts with alpha. Rows are wider than their k numbers,
zero beyond them, and the loops run over several rows at once: compiled loops are slow on ends and on short rows.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from featlearn.functions.compiled import KINDS, slopes, value, values
from featlearn.tiles import multiply, uncounted

Array = NDArray[Any]
Network = tuple[int, float, int, int, bool]  # number in KINDS; of a Problem: scale, noise_count, n_noises, bias
Room = tuple[Array, Array, Array, Array, Array, Array]  # z, activations and shares [f width], sums, samples [n], signs
_SOFTPLUS = KINDS["softplus"]


def workspace_for(rows: Tensor, n_samples: int) -> Room:
    """Return what ``gradient_of`` works in for vectors like ``rows`` [b, 2f + 1, width]."""
    f, width = rows.shape[1] // 2, rows.shape[2]
    signs = rows.new_ones(1, f)
    signs[:, f // 2 :] = -1
    empty = [rows.new_empty(*shape) for shape in ((f * width,), (f * width,), (f * width,), (1, width), (n_samples,))]
    z, active, share, sums, samples = (x.numpy() for x in empty)
    return z, active, share, sums, samples, signs.numpy()


@njit(cache=True, error_model="numpy")
def add_multiple(start: Array, factors: Array, part: Array, out: Array, finite: Array) -> None:
    """Write start + factor part, [b, 2f + 1, width], into ``out``; is the sum of its squares ``finite``?"""
    start, factors, part, out, finite = uncounted((start, factors, part, out, finite))
    b = len(out)
    starts, parts, outs = start.reshape(b, -1), part.reshape(b, -1), out.reshape(b, -1)
    for lane in range(b):
        finite[lane] = math.isfinite(add(starts[lane], factors[lane], parts[lane], outs[lane]))


@njit(cache=True, error_model="numpy")
def inner(u: Array, v: Array, initial: Array, square0: Array, out: Array) -> None:
    """Write <u, v> of every run into ``out`` [b]; see GramEngine.inner. initial: W0. square0 [b]: <W0, W0>."""
    u, v, initial, square0, out = uncounted((u, v, initial, square0, out))
    b, size = len(out), (u.shape[1] // 2) * u.shape[2]
    us, vs, starts = u.reshape(b, -1), v.reshape(b, -1), initial.reshape(b, -1)
    for lane in range(b):
        out[lane] = inner_of(us[lane], vs[lane], starts[lane], square0[lane], size)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def gradient(
    start: Array,
    factors: Array,
    part: Array,
    shifted: bool,
    labels: Array,
    true_labels: Array,
    batch: Array,
    gram: Array,
    network: Network,
    room: Room,
    out: Array,
    squares: Array,
) -> None:
    """Write the gradient at start + factor part (at ``start`` unless shifted) into ``out``, <g, g> into ``squares``.

    gram [b, k, width]: G and columns of zeros; width > k. room: from ``workspace_for``. See GramEngine.gradient.
    """
    labels, true_labels, batch, gram, room = uncounted((labels, true_labels, batch, gram, room))
    start, factors, part, out, squares = uncounted((start, factors, part, out, squares))
    b, size = len(out), (out.shape[1] // 2) * out.shape[2]
    starts, parts, outs = start.reshape(b, -1), part.reshape(b, -1), out.reshape(b, -1)
    for lane in range(b):
        combine(starts[lane, size : 2 * size], factors[lane], parts[lane, size : 2 * size], shifted, room[0])
        gradient_of(room, labels[lane], true_labels[lane], batch[lane], gram[lane], network, outs[lane])
        squares[lane] = dot(outs[lane, :size], outs[lane, size : 2 * size])


@njit(error_model="numpy", fastmath={"contract", "reassoc"})
def add(u: Array, factor: float, v: Array, out: Array) -> Any:
    """Write u + factor v into ``out`` and return the sum of its squares."""
    total = out.dtype.type(0)
    for i in range(len(out)):
        x = u[i] + factor * v[i]
        out[i] = x
        total += x * x
    return total


@njit(error_model="numpy", fastmath={"contract", "reassoc"})
def dot(u: Array, v: Array) -> Any:
    """Return sum_i u_i v_i."""
    total = u.dtype.type(0)
    for i in range(len(u)):
        total += u[i] * v[i]
    return total


@njit(error_model="numpy")
def inner_of(u: Array, v: Array, initial: Array, square0: float, size: int) -> Any:
    """Return <u, v> of one run, whose coefficients are the first ``size`` numbers and the alignments the next."""
    total = dot(u[:size], v[size : 2 * size])
    alpha = u[2 * size]
    if alpha != 0.0:
        total += alpha * (v[2 * size] * square0 + dot(v[:size], initial[size : 2 * size]))
    return total


@njit(error_model="numpy", fastmath={"contract"})
def gradient_of(
    room: Room,
    labels: Array,
    true_labels: Array,
    batch: Array,
    gram: Array,
    network: Network,
    out: Array,
) -> None:
    """Write the gradient of one run into ``out`` [(2f + 1) width], at the alignments that stand in room[0]."""
    z, _, share, sums, samples, signs = room
    f, k, width = signs.shape[1], len(gram), sums.shape[1]
    rows = out.reshape(2 * f + 1, width)
    outputs(room, true_labels, k, network, samples)
    loss_slopes(labels, true_labels, batch, k, network, samples, sums[0])
    multiply(signs.reshape(f, 1), sums, share.reshape(f, width))
    slopes(network[0], share, z, out[: f * width])
    gather(rows[:f], k, network[4])
    multiply(rows[:f], gram, rows[f : 2 * f])
    rows[2 * f] = 0


@njit(error_model="numpy", fastmath={"contract"})
def mean_loss_of(room: Room, labels: Array, true_labels: Array, k: int, network: Network) -> Any:
    """Return the loss of one run on its whole training set, at the alignments that stand in room[0]."""
    samples = room[4]
    outputs(room, true_labels, k, network, samples)
    total = samples.dtype.type(0)
    for i in range(len(samples)):
        total += value(_SOFTPLUS, -labels[i] * samples[i])
    return total / len(samples)


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


@njit(error_model="numpy", fastmath={"contract"})
def outputs(room: Room, true_labels: Array, k: int, network: Network, out: Array) -> None:
    """Write the outputs f_i into ``out`` [n]; alignments become pre-activations in room[0]."""
    z, active, _, sums, _, signs = room
    kind, scale, noise_count, n_noises, bias = network
    (_, f), width, n, number = signs.shape, sums.shape[1], len(out), out.dtype.type
    to_preactivations(z.reshape(f, width), k, bias)
    values(kind, z, active)
    multiply(signs, active.reshape(f, width), sums)
    columns = sums[0]
    plus, minus = columns[0], columns[k]
    out[:] = 0
    for start in range(1, 1 + n_noises, n):
        for i in range(n):
            out[i] += columns[start + i]
    for i in range(n):
        out[i] = number(scale) * ((plus if true_labels[i] > 0 else minus) + number(noise_count) * out[i])


@njit(error_model="numpy", fastmath={"contract"})
def loss_slopes(
    labels: Array, true_labels: Array, batch: Array, k: int, network: Network, out: Array, columns: Array
) -> None:
    """Write what the slopes of a + filter are multiplied with into ``columns``, from the outputs f_i in ``out`` [n].

    These are noise_count c_i on a noise of sample i, the sum of c_i over the samples that show the patch on +signal and
    -signal, and 0 elsewhere, where c_i is dLoss/df_i times the scale of one activation; ``out`` is left with them.
    """
    _, scale, noise_count, n_noises, _ = network
    n, number = len(out), out.dtype.type
    c_plus, c_minus = number(0), number(0)
    for i in range(n):
        out[i] = math.exp(labels[i] * out[i])
    for i in range(n):
        out[i] = -number(scale) * batch[i] * labels[i] / (number(1) + out[i])
    for i in range(n):
        c_plus += out[i] if true_labels[i] > 0 else number(0)
        c_minus += number(0) if true_labels[i] > 0 else out[i]
    for start in range(1, 1 + n_noises, n):
        for i in range(n):
            columns[start + i] = number(noise_count) * out[i]
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
