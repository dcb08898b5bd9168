"""The hot loops of the Gram engine on a CPU, each one pass over memory (numba).

engines/span/engine.py has the same formulas in plain batched torch, and a test compares the two. Every loop handles one
run at a time, so that a run's bits do not depend on the others of its block. Vectors are packed (see packed.py): rows
are padded with zeros beyond their N numbers, and loops run over several rows at once, since compiled loops are slow on
short rows and on the remainder of a row.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit
from numpy.typing import NDArray

from featlearn.engines.cpu.network import Buffers, Data, Network, gradient_of, of_run, place
from featlearn.engines.cpu.sums import add, dot
from featlearn.tiles import without_reference_counts

Array = NDArray[Any]


@njit(cache=True, error_model="numpy")
def add_multiple(start: Array, factors: Array, part: Array, out: Array, finite: Array) -> None:
    """Write start + factor part, [b, rows, width], into ``out``; ``finite``: is the sum of its squares?"""
    start, factors, part, out, finite = without_reference_counts((start, factors, part, out, finite))
    b = len(out)
    starts, parts, outs = start.reshape(b, -1), part.reshape(b, -1), out.reshape(b, -1)
    for lane in range(b):
        finite[lane] = math.isfinite(add(starts[lane], factors[lane], parts[lane], outs[lane]))


@njit(cache=True, error_model="numpy")
def inner(u: Array, v: Array, initial: Array, square0: Array, size: int, out: Array) -> None:
    """Write <u, v> of every run into ``out`` [b]; see GramEngine.inner and ``inner_of``.

    initial: W0. square0 [b]: <W0, W0>. size: f width.
    """
    u, v, initial, square0, out = without_reference_counts((u, v, initial, square0, out))
    b = len(out)
    us, vs, starts = u.reshape(b, -1), v.reshape(b, -1), initial.reshape(b, -1)
    for lane in range(b):
        out[lane] = inner_of(us[lane], vs[lane], starts[lane], square0[lane], size)


@njit(cache=True, error_model="numpy")
def gradient(
    start: Array,
    factors: Array,
    part: Array,
    shifted: bool,
    data: Data,
    batch: Array,
    network: Network,
    buffers: Buffers,
    out: Array,
    squares: Array,
) -> None:
    """Write the gradient at start + factor part (at ``start`` unless shifted) into ``out``, <g, g> into ``squares``.

    batch [b, n]: sample weights. See GramEngine.gradient.
    """
    start, factors, part, out, squares = without_reference_counts((start, factors, part, out, squares))
    data, batch, buffers = (
        without_reference_counts(data),
        without_reference_counts(batch),
        without_reference_counts(buffers),
    )
    b, size = len(out), len(buffers.z)
    starts, parts, outs = start.reshape(b, -1), part.reshape(b, -1), out.reshape(b, -1)
    for lane in range(b):
        place(starts[lane], factors[lane], parts[lane], shifted, network, buffers)
        gradient_of(buffers, of_run(data, lane), batch[lane], network, outs[lane])
        g, tail = outs[lane], outs[lane, 2 * size :]
        squares[lane] = dot(g[:size], g[size : 2 * size]) + dot(tail, tail)


@njit(error_model="numpy")
def inner_of(u: Array, v: Array, initial: Array, square0: float, size: int) -> Any:
    """Return <u, v> of one run: ``size`` coefficients, as many alignments, alpha, and a trained second layer."""
    total = dot(u[:size], v[size : 2 * size]) + dot(u[2 * size + 1 :], v[2 * size + 1 :])
    alpha = u[2 * size]
    if alpha != 0.0:
        total += alpha * (v[2 * size] * square0 + dot(v[:size], initial[size : 2 * size]))
    return total
