"""The integral over the noise of fresh samples on a CPU, one pass a run (numba); in torch: integral.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.functions.compiled import values
from featlearn.tiles import multiply, pad_columns, without_reference_counts
from featlearn.trackers.gamma_loops import upper_gammas

Array = NDArray[Any]


@njit(cache=True, error_model="numpy")
def semidefinite_cholesky(gram: Array, lower: Array, rtol: float) -> None:
    """Write lower triangular L with L L' = gram [f, f]; a pivot that counts as zero has a zero column."""
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


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def orthonormalize(rows: Array) -> None:
    """Orthonormalize the rows of every matrix in ``rows`` [b, f, width] by Gram and Schmidt, each twice."""
    rows = without_reference_counts(rows)
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


def workspace(directions: Array, turns: Array, n_patches: int, n_outputs: int) -> tuple[Array, ...]:
    """Return scratch buffers: L, factors of the patches, z, activations, the outputs' part from one patch."""
    f, width = directions.shape[2:]
    shapes = (n_patches, f, turns.shape[3]), (f, width), (f, width), (n_outputs, width)
    return np.empty((f, f)), *(pad_columns(np.empty(shape)) for shape in shapes)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def noise_outputs(
    gram: Array,
    second: Array,
    patches: tuple[Array, Array, Array, Array],
    directions: Array,
    turns: Array,
    lengths: Array,
    kind: int,
    radial: bool,
    work: tuple[Array, ...],
    out: Array,
) -> None:
    """Write the outputs' part from patches with noise, at every point of every run, into ``out`` [b, s, C, width].

    gram [b, f, f]: W Sigma W'. second [b, C, f]: the second layer, times the scale of the network.
    patches: shifts [b, Q, f], the pre-activations without noise; stds [b, Q]; times [Q]; numbers [Q] of the Gaussians.
    directions [s, q, f, width]: of every scramble, on the unit sphere in q f dimensions, the same for every run.
    turns [b, q, f, f]: the run's own rotations of them. Both padded with columns of zeros for ``multiply``.
    lengths [b, s, points]: their factors. radial: leave out lengths and shifts. work: from
    ``workspace``.
    """
    gram, second, patches, directions, turns = without_reference_counts((gram, second, patches, directions, turns))
    lengths, out, work = without_reference_counts((lengths, out, work))
    shifts, stds, times, numbers = patches
    lower, factors, z, active, part = work
    z_flat, active_flat = z.reshape(z.size), active.reshape(z.size)  # separate: a loop in place is not vectorized
    for lane in range(len(gram)):
        semidefinite_cholesky(gram[lane], lower, 1e-12)
        for patch in range(len(times)):
            multiply(lower, turns[lane, numbers[patch]], factors[patch])
            scale(factors[patch], stds[lane, patch])
        for scramble in range(out.shape[1]):
            total = out[lane, scramble]
            total[:] = 0.0
            for patch in range(len(times)):
                multiply(factors[patch], directions[scramble, numbers[patch]], z)
                if not radial:
                    place(z, shifts[lane, patch], lengths[lane, scramble])
                values(kind, z_flat, active_flat)
                multiply(second[lane], active, part)
                for c in range(len(total)):
                    for i in range(total.shape[1]):
                        total[c, i] += times[patch] * part[c, i]


@njit(error_model="numpy")
def scale(matrix: Array, factor: float) -> None:
    """Multiply a matrix by a number, in place; an array expression would take seconds to compile."""
    for r in range(len(matrix)):
        for i in range(matrix.shape[1]):
            matrix[r, i] *= factor


@njit(error_model="numpy", fastmath={"contract"})
def place(z: Array, shift: Array, lengths: Array) -> None:
    """Turn directions [f, width] into pre-activations of the given lengths."""
    for r in range(len(z)):
        for i in range(len(lengths)):
            z[r, i] = shift[r] + lengths[i] * z[r, i]


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def errors(fixed: Array, noise: Array, labels: Array, n_points: int, degree: int, half: float, out: Array) -> None:
    """Write the error of every run, kind of sample and scramble into ``out`` [b, K, s], for one or two outputs.

    fixed [b, K, C]: the outputs' part from patches without noise. noise [b, s, C, width]: that from the others. labels
    [K]: +-1 with one output, else classes. degree: of the noise part in the length r ~ chi, with 2 ``half`` degrees of
    freedom, which is integrated; 0: the noise part is used unchanged.
    """
    fixed, noise, labels, out = without_reference_counts((fixed, noise, labels, out))
    n_outputs = noise.shape[2]
    points = np.empty((4, n_points))
    powers = np.empty(n_points, np.int64)
    for lane in range(len(out)):
        for kind in range(out.shape[1]):
            start, label = fixed[lane, kind], int(labels[kind])
            for scramble in range(out.shape[2]):
                part = noise[lane, scramble]
                if n_outputs == 2:
                    lead = points[3]
                    for i in range(n_points):
                        lead[i] = part[label, i] - part[1 - label, i]
                    total = one_lead(start[label] - start[1 - label], lead, 1.0, degree, half, points, powers)
                else:
                    total = one_lead(label * start[0], part[0], float(label), degree, half, points, powers)
                out[lane, kind, scramble] = total / n_points


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def errors_of_classes(
    fixed: Array, noise: Array, labels: Array, n_points: int, degree: int, half: float, out: Array
) -> None:
    """Do as ``errors`` does, for more than two outputs; apart, since most networks have fewer, and it compiles long."""
    fixed, noise, labels, out = without_reference_counts((fixed, noise, labels, out))
    points = np.empty((6, n_points))
    powers = np.empty(n_points, np.int64)
    for lane in range(len(out)):
        for kind in range(out.shape[1]):
            start, label = fixed[lane, kind], int(labels[kind])
            for scramble in range(out.shape[2]):
                total = several_leads(start, noise[lane, scramble], label, degree, half, points, powers)
                out[lane, kind, scramble] = total / n_points


@njit(error_model="numpy", fastmath={"contract"})
def one_lead(signal: float, noise: Array, sign: float, degree: int, half: float, points: Array, powers: Array) -> float:
    """Return the sum over points of P(signal + sign r^degree noise < 0), a tie counting one half."""
    x, above, rest = points[0], points[1], points[2]
    if degree > 0:
        for i in range(len(x)):
            ratio = -signal / (sign * noise[i])
            x[i] = ratio if ratio > 0.0 else 0.0
        half_squares(x, degree)
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


@njit(error_model="numpy", fastmath={"contract"})
def several_leads(
    fixed: Array, noise: Array, label: int, degree: int, half: float, points: Array, powers: Array
) -> float:
    """Return the sum over points of the probability that ``label`` is not the largest output, with 1 - 1/k where k tie.

    The right class is ahead of every other where r^degree is between the largest zero of a rising lead and the smallest
    of a falling one.
    """
    low, high, ties = points[0], points[1], points[2]
    below, above, rest = points[3], points[4], points[5]
    low[:] = 0.0
    high[:] = math.inf
    ties[:] = 0.0
    for other in range(len(fixed)):
        if other != label:
            signal = fixed[label] - fixed[other]
            for i in range(len(low)):
                rise = noise[label, i] - noise[other, i]
                end = signal + rise
                if math.isnan(end):
                    ties[i] = math.nan
                elif degree == 0 or rise == 0.0:
                    high[i] = 0.0 if end < 0.0 else high[i]
                    ties[i] += 1.0 if end == 0.0 else 0.0
                elif rise > 0.0:
                    low[i] = max(low[i], -signal / rise)
                else:
                    high[i] = min(high[i], max(-signal / rise, 0.0))
    for i in range(len(low)):
        if low[i] >= high[i]:
            low[i] = high[i] = math.inf
        below[i] = 1.0 if low[i] == math.inf else 0.0
        above[i] = 0.0
    if degree > 0:
        half_squares(low, degree)
        upper_gammas(half, low, below, rest, powers)
        half_squares(high, degree)
        upper_gammas(half, high, above, rest, powers)
        for i in range(len(low)):
            below[i] = 1.0 - below[i]
    total = 0.0
    for i in range(len(low)):
        total += (below[i] + above[i] + ties[i]) / (1.0 + ties[i])
    return total


@njit(error_model="numpy", fastmath={"contract"})
def half_squares(x: Array, degree: int) -> None:
    """Replace r^degree by r^2 / 2."""
    if degree == 1:
        for i in range(len(x)):
            x[i] = x[i] * x[i] / 2.0
    else:
        for i in range(len(x)):
            x[i] = x[i] ** (2.0 / degree) / 2.0
