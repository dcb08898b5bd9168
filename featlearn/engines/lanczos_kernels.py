"""Lanczos' method for the Gram engine's Hessian on a CPU, a run at a time: all it touches stays in the cache (numba).

lanczos.py and gram_curvature.py hold the same method as batched torch, and a test holds the two equal. A vector u is a
pair of arrays: c, by which it is added up, and a, with <u, v> = c_u a_v. In the span of the data these are coefficients
and alignments, and a product with H costs a single product with G; where G is close to singular, and for a matrix,
both are coordinates.

Where a single eigenvalue is asked for nothing is reorthogonalized at first: rounding costs orthogonality to
eigenvectors that the space has found, and the search ends with the first that counts (Paige 1980, Linear Algebra Appl.
34). Should as many steps as there are dimensions not do, as where eigenvalues crowd together, it begins anew, with
reorthogonalization. Rows are padded with zeros as tiles.py wants them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.engines.curvature_kernels import weigh
from featlearn.engines.kernels import gather, to_preactivations
from featlearn.engines.tridiagonal import above, end, vector
from featlearn.tiles import multiply

Array = NDArray[Any]

FIRST_CHECK = 16  # size of the Krylov space at which convergence is first tested
SPAN, COORDINATES, MATRIX = 0, 1, 2  # what c and a are, and what is known of H


@njit(error_model="numpy")
def product(
    form: int, a: Array, operator: tuple[Array, ...], numbers: tuple[int, int, bool], sums: Array, out: Array
) -> None:
    """Write c of H u into ``out`` from a of u."""
    slopes, bends, loss_bend, true_labels, metric, rows, columns = operator
    k, n_noises, bias = numbers
    if form == MATRIX:
        multiply(a, metric, out)
    elif form == SPAN:
        out[:] = a
        to_preactivations(out, k, bias)
        weigh(out, slopes, bends, loss_bend, true_labels, k, n_noises, sums)
        gather(out, k, bias)
    else:
        z = np.empty(slopes.shape)
        multiply(a, rows, z)
        weigh(z, slopes, bends, loss_bend, true_labels, k, n_noises, sums)
        multiply(z, columns, out)


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
def across(x: Array, coef: Array, align: Array) -> None:
    """Replace c of a vector by that of its part across an orthonormal basis, coef and align [s, D]."""
    x -= np.dot(np.dot(align, x), coef)


@njit(error_model="numpy")
def measure(form: int, metric: Array, c: Array, a: Array) -> Any:
    """Write a of a vector from its c, both [f, k]; return its squared norm."""
    if form == SPAN:
        multiply(c, metric, a)
    else:
        a[:] = c
    return dot(c.reshape(-1), a.reshape(-1))


@njit(error_model="numpy")
def remainder(coef: Array, align: Array, size: int, beside: float, several: bool) -> Any:
    """Take from H q, q the last of ``size`` vectors, its part in the space; return <q, H q>.

    coef[size] is c of H q on entry, and of what is left on return. ``beside`` is <H q, the vector before q>.
    """
    rest = coef[size]
    if size > 1:
        add_multiple(rest, -beside, coef[size - 2])
    along = dot(align[size - 1], rest)
    add_multiple(rest, -along, coef[size - 1])
    if several:
        across(rest, coef[:size], align[:size])
    return along


@njit(error_model="numpy")
def fresh(form: int, metric: Array, coef: Array, align: Array, size: int, shape: tuple[int, int], width: int) -> None:
    """Make some unit vector across the first ``size`` the next one; ``width`` of its columns are not padding."""
    c, a = coef[size], align[size]
    c[:] = np.cos(np.arange(c.size) ** 2 * 0.7 + size)
    c.reshape(shape)[:, width:] = 0.0
    for _ in range(2):
        across(c, coef[:size], align[:size])
    scale = 1 / math.sqrt(max(measure(form, metric, c.reshape(shape), a.reshape(shape)), 1e-300))
    c *= scale
    a *= scale


@njit(error_model="numpy")
def extreme(diagonal: Array, squares: Array, guess: float, s: Array) -> Any:
    """Return the eigenvalue of largest absolute value of the tridiagonal matrix, and write its unit vector into s."""
    x, sign = end(1.0, diagonal, squares, guess), 1.0
    if math.isnan(above(x, -1.0, diagonal, squares)):
        y = end(-1.0, diagonal, squares, guess)
        if y > x:
            x, sign = y, -1.0
    vector(x, sign, diagonal, squares, s)
    return sign * x


@njit(error_model="numpy")
def settle(diagonal: Array, squares: Array, guess: float, values: Array, s: Array) -> Any:
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
def next_check(size: int, residual: float, tolerance: float, before: tuple[int, float]) -> int:
    """Return when to look again: part of the way to where a relative residual will be small, at its pace since before.

    The pace grows, and a look costs as much as two or three steps.
    """
    growth, pace = 0.5 * size, math.log(before[1] / residual) / (size - before[0])
    if pace > 0:
        growth = min(growth, 0.6 * math.log(residual / tolerance) / pace)
    return size + max(2, math.ceil(growth))


@njit(error_model="numpy")
def largest_of_run(
    form: int,
    operator: tuple[Array, ...],
    numbers: tuple[int, int, bool],
    coef: Array,
    align: Array,
    shape: tuple[int, int],
    orthogonal: bool,
    tolerance: float,
    values: Array,
    vectors: Array,
) -> tuple[Array, Array, bool]:
    """Write the len(values) eigenvalues of largest absolute value, and c of their vectors [.., f, k] or none of them.

    coef, align [.., f k]: c and a of the basis, which starts from a unit vector and is ``orthogonal`` to rounding. They
    are returned, with more rows where they had too few; and is the search over?
    """
    metric, wanted = operator[4], len(values)
    width = metric.shape[0]
    dim = shape[0] * width
    diagonal, squares, sums = np.empty(dim), np.empty(dim), np.empty(operator[0].shape[-1])
    check, before = min(max(FIRST_CHECK, wanted), dim), (0, 1.0)
    guess, beside = math.nan, 0.0
    for size in range(1, dim + 1):
        if size == len(coef):
            coef, align = longer(coef), longer(align)
        c, a = coef[size], align[size]
        product(form, align[size - 1].reshape(shape), operator, numbers, sums, c.reshape(shape))
        diagonal[size - 1] = remainder(coef, align, size, beside, orthogonal)
        square = measure(form, metric, c.reshape(shape), a.reshape(shape))
        if not math.isfinite(square):
            return coef, align, True
        reach, beside = abs(diagonal[size - 1]) + beside, math.sqrt(max(square, 0.0))
        ended = beside <= 1e-13 * reach  # what is left is rounding
        beside = 0.0 if ended else beside
        squares[size - 1] = beside * beside
        over = (size == dim and orthogonal) or (ended and wanted == 1)
        if size == check or over:
            found, s = np.empty(wanted), np.empty((wanted, size))
            residual = settle(diagonal[:size], squares, guess, found, s)
            if residual <= tolerance * abs(found[0]) or over:
                values[:] = found
                for i in range(len(vectors)):
                    vectors[i] = combined(s[i], coef[:size], align[:size]).reshape(shape)[:, :width]
                return coef, align, True
            guess, residual = abs(found[0]) + residual, residual / abs(found[0])
            check, before = min(next_check(size, residual, tolerance, before), dim), (size, residual)
        if ended:
            fresh(form, metric, coef, align, size, shape, width)
        else:
            c *= 1.0 / beside
            a *= 1.0 / beside
    return coef, align, False


@njit(error_model="numpy")
def longer(rows: Array) -> Array:
    """Return twice as many rows, which begin with those given."""
    found = np.empty((2 * len(rows), rows.shape[1]))
    found[: len(rows)] = rows
    return found


@njit(error_model="numpy")
def combined(s: Array, coef: Array, align: Array) -> Any:
    """Return c of the unit vector along the combination of a basis with the coefficients s."""
    c = np.dot(s, coef)
    return c / math.sqrt(dot(c, np.dot(s, align)))


@njit(cache=True, error_model="numpy")
def largest(
    forms: Array,
    start: Array,
    operators: tuple[Array, ...],
    numbers: tuple[int, int, bool],
    tolerance: float,
    values: Array,
    vectors: Array,
) -> None:
    """Do so for every run of a block, each from ``start`` [f, k].

    forms [b]: SPAN, COORDINATES or MATRIX. Operators: slopes, bends [b, f, width]; loss_bend, true_labels [b, n]; G or
    the matrix itself [b, k, width]; the patches in coordinates, [b, k, width], and transposed. What a form does not
    need may be empty.
    values [b, wanted] and vectors [b, wanted or 0, f, k] come as NaN, and stay so where products are not finite.
    """
    coef, align = np.empty((64, start.size)), np.empty((64, start.size))
    slopes, bends, loss_bend, true_labels, metric, rows, columns = operators
    for lane in range(len(forms)):
        operator = (
            slopes[lane],
            bends[lane],
            loss_bend[lane],
            true_labels[lane],
            metric[lane],
            rows[lane],
            columns[lane],
        )
        coef[0] = start.reshape(-1)
        square = measure(forms[lane], metric[lane], coef[0].reshape(start.shape), align[0].reshape(start.shape))
        coef[0] /= math.sqrt(square)
        align[0] /= math.sqrt(square)
        orthogonal, over = len(values[lane]) > 1, False
        while not over:
            coef, align, over = largest_of_run(
                forms[lane],
                operator,
                numbers,
                coef,
                align,
                start.shape,
                orthogonal,
                tolerance,
                values[lane],
                vectors[lane],
            )
            orthogonal = True
