"""Lanczos' method for the Gram engine's Hessian on a CPU, a run at a time: its data stay in the cache (numba).

engines/lanczos.py and span/curvature.py are the same method in batched torch, and a test compares the two. A vector u
is a pair of arrays: c, its coefficients, and a, with <u, v> = c_u a_v. In the span of the data these are coefficients
and alignments, and a product with H costs a single product with G. Where G is singular, c is kept orthogonal to its
kernel: a component there would grow, and rounding errors with it. Where nonzero eigenvalues of G differ by orders of
magnitude, and for a matrix, both are coordinates.

The eigenvalues are found one by one, each as the largest of H deflated by those before it (see engines/lanczos.py). A
search does not reorthogonalize at first: rounding destroys orthogonality only to eigenvectors that have converged, and
the search ends with the first that does (Paige 1980, Linear Algebra Appl. 34). If it has not converged after as many
steps as there are dimensions, as where eigenvalues are clustered, it starts again with reorthogonalization. Rows are
padded with zeros as tiles.py requires.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from featlearn.engines.cpu.operators import SPAN, Buffers, Operator, add_multiple, of_run, product, project_out
from featlearn.engines.cpu.sums import copy, dot
from featlearn.engines.cpu.tridiagonal import above, end, vector
from featlearn.engines.lanczos import TIE
from featlearn.tiles import multiply

Array = NDArray[Any]

FIRST_CHECK = 16  # size of the Krylov space at which convergence is first tested
CAUTION = 10.0  # multiple of the residual by which the other end of the spectrum may still move


@njit(error_model="numpy")
def orthogonalize(x: Array, coef: Array, align: Array) -> None:
    """Replace c of a vector by that of its component orthogonal to an orthonormal basis, coef and align [s, D]."""
    along = np.empty(len(align))
    for i in range(len(align)):
        along[i] = dot(align[i], x)
    for i in range(len(coef)):
        add_multiple(x, -along[i], coef[i])


@njit(error_model="numpy")
def measure(form: int, metric: Array, c: Array, a: Array) -> Any:
    """Write a of a vector from its c, both [f, k]; return its squared norm."""
    if form == SPAN:
        multiply(c, metric, a)
    else:
        a[:] = c
    return dot(c.reshape(-1), a.reshape(-1))


@njit(error_model="numpy")
def deflate(a: Array, values: Array, vectors: Array, out: Array) -> None:
    """Subtract sum_i values_i v_i <v_i, u> from c of H u in ``out``; the rows of ``vectors`` are c of the unit v_i."""
    for i in range(len(values)):
        add_multiple(out, -values[i] * dot(vectors[i], a), vectors[i])


@njit(error_model="numpy")
def begin(form: int, operator: Operator, start: Array, known: int, vectors: Array, c: Array, a: Array) -> None:
    """Write the unit vector along the component of ``start`` orthogonal to the first ``known`` unit eigenvectors."""
    metric = operator.metric
    copy(start.reshape(-1), c)
    if form == SPAN:
        project_out(c.reshape(start.shape), operator.kernel)
    measure(form, metric, c.reshape(start.shape), a.reshape(start.shape))
    for _ in range(2 if known else 0):
        for i in range(known):
            add_multiple(c, -dot(vectors[i], a), vectors[i])
        measure(form, metric, c.reshape(start.shape), a.reshape(start.shape))
    norm = math.sqrt(dot(c, a))
    c /= norm
    a /= norm


@njit(error_model="numpy")
def remainder(coef: Array, align: Array, size: int, beta: float, orthogonal: bool) -> Any:
    """Subtract from H q, q the last of ``size`` vectors, its component in the Krylov space; return <q, H q>.

    coef[size] is c of H q on entry, and of the remainder on return. ``beta`` is <H q, the vector before q>.
    """
    rest = coef[size]
    if size > 1:
        add_multiple(rest, -beta, coef[size - 2])
    along = dot(align[size - 1], rest)
    add_multiple(rest, -along, coef[size - 1])
    if orthogonal:
        orthogonalize(rest, coef[:size], align[:size])
    return along


@njit(error_model="numpy")
def extreme(diagonal: Array, squares: Array, guess: float, s: Array) -> Any:
    """Return the eigenvalue of largest absolute value of the tridiagonal matrix, and write its unit vector into s.

    The positive one where the two ends tie.
    """
    x, sign = end(1.0, diagonal, squares, guess), 1.0
    if math.isnan(above(x, -1.0, diagonal, squares)):
        y = end(-1.0, diagonal, squares, guess)
        if y > x * (1 + TIE):
            x, sign = y, -1.0
    vector(x, sign, diagonal, squares, s)
    return sign * x


@njit(error_model="numpy")
def overtaken(found: float, margin: float, diagonal: Array, squares: Array) -> bool:
    """Return whether the unconverged other end of the spectrum may still exceed the one ``found`` by a ``margin``.

    It moves by about the residual of its vector, sometimes by a few times that where eigenvalues are clustered, and by
    less than a tenth of ``found`` once that is exact.
    """
    sign, reach, size = -math.copysign(1.0, found), abs(found) + margin, len(diagonal)
    if not math.isnan(above(0.9 * reach, sign, diagonal, squares)):
        return False
    other, s = end(sign, diagonal, squares, math.nan), np.empty(size)
    vector(other, sign, diagonal, squares, s)
    passes: bool = other + CAUTION * math.sqrt(squares[size - 1]) * abs(s[size - 1]) > reach
    return passes


@njit(error_model="numpy")
def next_check(size: int, residual: float, tolerance: float, before: tuple[int, float]) -> int:
    """Return the size of the next check: part of the way to where the relative residual falls below the tolerance.

    The rate of decrease is that since the last check; it grows, and a check costs as much as two or three steps.
    """
    growth, pace = 0.5 * size, math.log(before[1] / residual) / (size - before[0])
    if pace > 0:
        growth = min(growth, 0.6 * math.log(residual / tolerance) / pace)
    return size + max(2, math.ceil(growth))


@njit(error_model="numpy")
def next_of_run(
    form: int,
    operator: Operator,
    buffers: Buffers,
    coef: Array,
    align: Array,
    shape: tuple[int, int],
    orthogonal: bool,
    tolerance: float,
    known: int,
    values: Array,
    vectors: Array,
) -> tuple[Array, Array, bool]:
    """Write eigenvalue number ``known`` from 0, given those before it, and c of its vector if ``vectors`` has a row.

    coef, align [.., f k]: c and a of the basis, which starts from a unit vector and is ``orthogonal`` to rounding. They
    are returned, with more rows where needed, and whether the search is over.
    """
    metric = operator.metric
    dim = shape[0] * metric.shape[0]
    diagonal, squares = np.empty(dim), np.empty(dim)
    check, before = min(FIRST_CHECK, dim), (0, 1.0)
    guess, beta = math.nan, 0.0
    first = abs(values[0]) if known else 0.0
    for size in range(1, dim + 1):
        if size == len(coef):
            coef, align = longer(coef), longer(align)
        c, a = coef[size], align[size]
        product(form, align[size - 1].reshape(shape), operator, buffers, c.reshape(shape))
        deflate(align[size - 1], values[:known], vectors[:known], c)
        diagonal[size - 1] = remainder(coef, align, size, beta, orthogonal)
        square = measure(form, metric, c.reshape(shape), a.reshape(shape))
        if not math.isfinite(square):
            return coef, align, True
        reach, beta = max(abs(diagonal[size - 1]) + beta, first), math.sqrt(max(square, 0.0))
        ended = beta <= 1e-13 * reach  # the remainder is rounding
        beta = 0.0 if ended else beta
        squares[size - 1] = beta * beta
        over = (size == dim and orthogonal) or ended
        if size == check or over:
            s = np.empty(size)
            found = extreme(diagonal[:size], squares, guess, s)
            residual, scale = beta * abs(s[size - 1]), max(abs(found), first)
            small = residual <= tolerance * scale
            if over or (small and not overtaken(found, tolerance * scale, diagonal[:size], squares)):
                values[known] = found
                if known < len(vectors):
                    vectors[known] = combined(s, coef[:size], align[:size])
                return coef, align, True
            guess, residual = abs(found) + residual, max(residual / scale, tolerance)
            check, before = min(next_check(size, residual, tolerance, before), dim), (size, residual)
        c *= 1.0 / beta
        a *= 1.0 / beta
    return coef, align, False


@njit(error_model="numpy")
def longer(rows: Array) -> Array:
    """Return twice as many rows, which begin with those given."""
    found = np.empty((2 * len(rows), rows.shape[1]))
    copy(rows.reshape(-1), found.reshape(-1)[: rows.size])
    return found


@njit(error_model="numpy")
def combined(s: Array, coef: Array, align: Array) -> Any:
    """Return c of the unit vector along the combination of a basis with the coefficients s."""
    c, a = np.zeros(coef.shape[1]), np.zeros(coef.shape[1])
    for i in range(len(s)):
        add_multiple(c, s[i], coef[i])
        add_multiple(a, s[i], align[i])
    return c / math.sqrt(dot(c, a))


@njit(cache=True, error_model="numpy")
def largest(forms: Array, starts: Array, operator: Operator, tolerance: float, values: Array, vectors: Array) -> None:
    """Write the eigenvalues of largest absolute value of every run of a block, in decreasing order up to the tolerance.

    forms [b]: SPAN, COORDINATES or MATRIX. starts [wanted, f, width]: the start vectors of the searches.
    values [b, wanted] and vectors [b, wanted or one less, f width] are NaN on entry, and stay NaN where products are
    not finite. vectors: c of the unit eigenvectors, of which the last may be left out.
    """
    wanted, shape = len(starts), starts.shape[1:]
    coef, align = np.empty((64, starts[0].size)), np.empty((64, starts[0].size))
    linear = operator.linear
    buffers = Buffers(np.empty(linear.slopes.shape[1:]), np.empty((1, shape[1])), np.empty((1, linear.loss.shape[1])))
    for lane in range(len(forms)):
        one = of_run(operator, lane)
        for known in range(wanted):
            begin(forms[lane], one, starts[known], known, vectors[lane], coef[0], align[0])
            orthogonal, over = False, False
            while not over:
                coef, align, over = next_of_run(
                    forms[lane],
                    one,
                    buffers,
                    coef,
                    align,
                    shape,
                    orthogonal,
                    tolerance,
                    known,
                    values[lane],
                    vectors[lane],
                )
                orthogonal = True
