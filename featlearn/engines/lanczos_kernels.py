"""Lanczos' method for the Gram engine's Hessian on a CPU, a run at a time: all it touches stays in the cache (numba).

lanczos.py and gram_curvature.py hold the same method as batched torch, and a test holds the two equal. Where a single
eigenvalue is asked for nothing is reorthogonalized: rounding costs orthogonality to eigenvectors that the space has
found, and the search ends with the first that counts (Paige 1980, Linear Algebra Appl. 34). Rows of arrays are padded
with zeros as tiles.py wants them; the products are nearly all of the work.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.engines.tridiagonal import above, end, vector
from featlearn.tiles import multiply

Array = NDArray[Any]

FIRST_CHECK = 16  # size of the Krylov space at which convergence is first tested


@njit(error_model="numpy", fastmath={"contract"})
def weigh(weights: Array, slopes: Array, bends: Array, loss_bend: Array, positive: Array, sums: Array) -> None:
    """Turn a vector's inner products with the patches, [f, N], into the weights on them of its product with H.

    slopes, bends [f, N]; loss_bend, positive [n]; sums [N]: room. See GramCurvature.
    """
    n, q = len(loss_bend), (len(sums) - 2) // len(loss_bend)
    sums[:] = 0.0
    for r in range(len(weights)):
        for i in range(len(sums)):
            sums[i] += slopes[r, i] * weights[r, i]
    plus, minus, back_plus, back_minus = sums[0], sums[1], 0.0, 0.0
    for i in range(n):
        output = plus if positive[i] else minus
        for j in range(2 + i, 2 + q * n, n):
            output += sums[j]
        output *= loss_bend[i]
        back_plus += output if positive[i] else 0.0
        back_minus += 0.0 if positive[i] else output
        for j in range(2 + i, 2 + q * n, n):
            sums[j] = output
    sums[0], sums[1] = back_plus, back_minus
    for r in range(len(weights)):
        for i in range(len(sums)):
            weights[r, i] = slopes[r, i] * sums[i] + bends[r, i] * weights[r, i]


@njit(error_model="numpy", fastmath={"contract", "reassoc"})
def dot(u: Array, v: Array) -> float:
    """Return sum_i u_i v_i."""
    total = 0.0
    for i in range(len(u)):
        total += u[i] * v[i]
    return total


@njit(error_model="numpy", fastmath={"contract"})
def add_multiple(out: Array, factor: float, v: Array) -> None:
    """Add factor v to ``out``."""
    for i in range(len(out)):
        out[i] += factor * v[i]


@njit(error_model="numpy")
def step(basis: Array, size: int, diagonal: Array, squares: Array, several: bool) -> bool:
    """Make basis[size], which holds H q for the last vector q = basis[size - 1], the next vector of the basis.

    Write the new entries of the tridiagonal matrix; its entries beside the diagonal are sqrt(squares). Return False
    where the space is invariant and there is no next vector.
    """
    q, rest = basis[size - 1], basis[size]
    reach = math.sqrt(squares[size - 2]) if size > 1 else 0.0
    if size > 1:
        add_multiple(rest, -reach, basis[size - 2])
    diagonal[size - 1] = dot(q, rest)
    add_multiple(rest, -diagonal[size - 1], q)
    if several:
        across(rest, basis[:size])
    squares[size - 1] = dot(rest, rest)
    norm = math.sqrt(squares[size - 1])
    if norm <= 1e-14 * (abs(diagonal[size - 1]) + reach):
        squares[size - 1] = 0.0
        return False
    rest *= 1.0 / norm
    return True


@njit(error_model="numpy")
def across(x: Array, basis: Array) -> None:
    """Replace x by its part across an orthonormal ``basis`` [s, D]."""
    x -= np.dot(np.dot(basis, x), basis)


@njit(error_model="numpy")
def fresh(x: Array, basis: Array, shape: tuple[int, int], n_columns: int) -> None:
    """Write some unit vector across ``basis`` into x, which has ``n_columns`` columns and padding."""
    x[:] = np.cos(np.arange(x.size) ** 2 * 0.7 + len(basis))
    x.reshape(shape)[:, n_columns:] = 0.0
    for _ in range(2):
        across(x, basis)
    x /= math.sqrt(dot(x, x))


@njit(error_model="numpy")
def extreme(diagonal: Array, squares: Array, guess: float, s: Array) -> float:
    """Return the eigenvalue of largest absolute value of the tridiagonal matrix, and write its unit vector into s."""
    x, sign = end(1.0, diagonal, squares, guess), 1.0
    if math.isnan(above(x, -1.0, diagonal, squares)):
        y = end(-1.0, diagonal, squares, guess)
        if y > x:
            x, sign = y, -1.0
    vector(x, sign, diagonal, squares, s)
    return sign * x


@njit(error_model="numpy")
def settle(diagonal: Array, squares: Array, guess: float, values: Array, s: Array) -> float:
    """Write the len(values) largest eigenvalues by absolute value, and their vectors into the rows of s [.., size].

    Return the largest norm of the residuals of the vectors that they stand for.
    """
    size = len(diagonal)
    beside = np.sqrt(squares[:size])
    if len(values) == 1:
        values[0] = extreme(diagonal, squares, guess, s[0])
    else:
        theta, found = np.linalg.eigh(np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1))
        order = np.argsort(-np.abs(theta))[: len(values)]
        values[:], s[:] = theta[order], found[:, order].T
    return beside[size - 1] * np.abs(s[:, size - 1]).max()


@njit(error_model="numpy")
def next_check(size: int, residual: float, tolerance: float, largest: float) -> int:
    """Return when to look again: most of the way to where the residual will have fallen, at its pace until now."""
    growth = 0.5 * size
    if residual < largest:
        growth = min(growth, 0.8 * size * math.log(residual / (tolerance * largest)) / math.log(largest / residual))
    return size + max(2, int(growth))


@njit(error_model="numpy")
def largest_of_run(
    operator: tuple[Array, ...], basis: Array, shape: tuple[int, int], n_columns: int, tolerance: float, values: Array, vectors: Array
) -> Array:
    """Write the len(values) eigenvalues of largest absolute value, and their vectors [.., f, k] or none of them.

    basis [.., D]: its first row is the unit vector to start from; return it, with more rows where it had too few.
    """
    slopes, bends, loss_bend, positive, rows, columns = operator
    dim, wanted = shape[0] * n_columns, len(values)
    diagonal, squares = np.empty(dim), np.empty(dim)
    room, sums = np.empty(slopes.shape), np.empty(slopes.shape[1])
    check, guess = min(max(FIRST_CHECK, wanted), dim), math.nan
    for size in range(1, dim + 1):
        if size == len(basis):
            longer = np.empty((2 * size, basis.shape[1]))
            longer[:size] = basis
            basis = longer
        multiply(basis[size - 1].reshape(shape), rows, room)
        weigh(room, slopes, bends, loss_bend, positive, sums)
        multiply(room, columns, basis[size].reshape(shape))
        goes_on = step(basis, size, diagonal, squares, wanted > 1)
        if not math.isfinite(squares[size - 1]):
            return basis
        over = size == dim or not (goes_on or wanted > 1)
        if size == check or over:
            found, s = np.empty(wanted), np.empty((wanted, size))
            residual = settle(diagonal[:size], squares, guess, found, s)
            if residual <= tolerance * abs(found[0]) or over:
                values[:] = found
                for i in range(len(vectors)):
                    y = np.dot(s[i], basis[:size])
                    vectors[i] = (y / math.sqrt(dot(y, y))).reshape(shape)[:, :n_columns]
                return basis
            guess = abs(found[0]) + residual
            check = min(next_check(size, residual, tolerance, abs(found[0])), dim)
        if not goes_on:
            fresh(basis[size], basis[:size], shape, n_columns)
    return basis


@njit(cache=True, error_model="numpy")
def largest(
    start: Array,
    slopes: Array,
    bends: Array,
    loss_bend: Array,
    positive: Array,
    rows: Array,
    columns: Array,
    tolerance: float,
    values: Array,
    vectors: Array,
) -> None:
    """Do so for every run of a block, each from the unit vector ``start`` [f, k], in orthonormal coordinates.

    rows [b, k, N] and columns [b, N, k] hold the patches in them. values [b, wanted] and vectors [b, wanted, f, k],
    or [b, 0, f, k], come as NaN, and stay so where products are not finite.
    """
    basis = np.empty((64, start.size))
    for lane in range(len(slopes)):
        basis[0] = start.ravel()
        operator = slopes[lane], bends[lane], loss_bend[lane], positive[lane], rows[lane], columns[lane]
        basis = largest_of_run(operator, basis, start.shape, rows.shape[1], tolerance, values[lane], vectors[lane])
