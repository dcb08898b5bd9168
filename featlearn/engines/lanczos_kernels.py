"""Lanczos' method for the Gram engine's Hessian on a CPU, a run at a time: its basis stays in the cache (numba).

lanczos.py and gram_curvature.py hold the same method as batched torch, and a test holds the two equal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, error_model="numpy")
def product(
    x: Array, slopes: Array, bends: Array, loss_bend: Array, positive: Array, rows: Array, columns: Array
) -> Array:
    """Return H x for one run, in orthonormal coordinates x [f, k] of the span (see GramCurvature).

    slopes, bends [f, N]; loss_bend, positive [n]; rows [k, N] and columns [N, k] hold the patches.
    """
    n, n_patches = len(loss_bend), rows.shape[1]
    weights = np.dot(x, rows)
    total = np.zeros(n_patches)
    for r in range(len(x)):
        for i in range(n_patches):
            total[i] += slopes[r, i] * weights[r, i]
    back = np.zeros(n_patches)
    for i in range(n):
        signal = 0 if positive[i] else 1
        output = total[signal]
        for j in range(2 + i, n_patches, n):
            output += total[j]
        output *= loss_bend[i]
        back[signal] += output
        for j in range(2 + i, n_patches, n):
            back[j] = output
    for r in range(len(x)):
        for i in range(n_patches):
            weights[r, i] = slopes[r, i] * back[i] + bends[r, i] * weights[r, i]
    found: Array = np.dot(weights, columns)
    return found


@njit(cache=True, error_model="numpy")
def largest_of_run(
    start: Array,
    slopes: Array,
    bends: Array,
    loss_bend: Array,
    positive: Array,
    rows: Array,
    columns: Array,
    first_check: int,
    growth: float,
    tolerance: float,
    values: Array,
    vectors: Array,
) -> None:
    """Write the len(values) eigenvalues of largest absolute value, and their vectors [.., f, k], from start [f, k]."""
    dim, wanted = start.size, len(values)
    basis, diagonal, beside = np.empty((min(dim, 64), dim)), np.zeros(dim), np.zeros(dim)
    q = start.ravel() / np.linalg.norm(start)
    check = min(max(first_check, wanted), dim)
    for size in range(1, dim + 1):
        if size > len(basis):
            longer = np.empty((min(2 * len(basis), dim), dim))
            longer[: len(basis)] = basis
            basis = longer
        basis[size - 1] = q
        rest = product(q.reshape(start.shape), slopes, bends, loss_bend, positive, rows, columns).ravel()
        scale = np.linalg.norm(rest)
        if not math.isfinite(scale):
            return
        diagonal[size - 1] = np.dot(q, rest)
        rest -= diagonal[size - 1] * q
        rest -= np.dot(np.dot(basis[:size], rest), basis[:size])
        beside[size - 1] = np.linalg.norm(rest)
        if beside[size - 1] <= 1e-14 * scale:  # the space is invariant: go on from any vector across it
            beside[size - 1] = 0.0
            rest = np.cos(np.arange(dim) ** 2 * 0.7 + size)
            for _ in range(2):
                rest -= np.dot(np.dot(basis[:size], rest), basis[:size])
        q = rest / max(np.linalg.norm(rest), 1e-300)
        if size == check:
            if settled(diagonal[:size], beside[:size], basis[:size], tolerance, values, vectors) or size == dim:
                return
            check = min(math.ceil(growth * size), dim)


@njit(cache=True, error_model="numpy")
def settled(diagonal: Array, beside: Array, basis: Array, tolerance: float, values: Array, vectors: Array) -> bool:
    """Write what the Krylov space knows of the eigenvalues; return whether that is final."""
    size = len(diagonal)
    theta, s = np.linalg.eigh(np.diag(diagonal) + np.diag(beside[: size - 1], 1) + np.diag(beside[: size - 1], -1))
    order = np.argsort(-np.abs(theta))
    residual = 0.0
    for i in range(len(values)):
        values[i] = theta[order[i]]
        residual = max(residual, abs(beside[size - 1] * s[size - 1, order[i]]))
        vectors[i] = np.dot(np.ascontiguousarray(s[:, order[i]]), basis).reshape(vectors[i].shape)
    return bool(residual <= tolerance * abs(values[0]))


@njit(cache=True, error_model="numpy")
def largest(
    start: Array,
    slopes: Array,
    bends: Array,
    loss_bend: Array,
    positive: Array,
    rows: Array,
    columns: Array,
    first_check: int,
    growth: float,
    tolerance: float,
    values: Array,
    vectors: Array,
) -> None:
    """Do so for every run of a block; values [b, wanted] and vectors [b, wanted, f, k] come as NaN, and may stay so."""
    for lane in range(len(start)):
        largest_of_run(
            start[lane],
            slopes[lane],
            bends[lane],
            loss_bend[lane],
            positive[lane],
            rows[lane],
            columns[lane],
            first_check,
            growth,
            tolerance,
            values[lane],
            vectors[lane],
        )
