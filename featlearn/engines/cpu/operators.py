"""The Hessian as Lanczos' method on a CPU multiplies with it, a run at a time, in one of three forms (numba)."""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import njit
from numpy.typing import NDArray

from featlearn.engines.cpu.hessian import Linear, weigh
from featlearn.engines.cpu.network import Incidence
from featlearn.engines.cpu.sums import dot
from featlearn.tiles import multiply

Array = NDArray[Any]

SPAN, COORDINATES, MATRIX = 0, 1, 2  # coefficients and alignments; coordinates; H as a matrix


class Operator(NamedTuple):
    """H of every run, or of one: its parts; G or the matrix itself [b, N, width]; F' and F [b, N, width].

    kernel [b, q, width]: of G. Arrays that a form does not use may be empty. See WideCoordinates for the factors F.
    """

    linear: Linear
    metric: Array
    rows: Array
    columns: Array
    kernel: Array


class Buffers(NamedTuple):
    """Scratch buffers of a product with H: z [f, width], sums [1, width] and outputs [1, n]."""

    z: Array
    sums: Array
    outputs: Array


@njit(error_model="numpy")
def of_run(operator: Operator, lane: int) -> Operator:
    """Return H of one run."""
    (slopes, seconds, loss, (shown, times, common)), metric, rows, columns, kernel = operator
    linear = Linear(slopes[lane], seconds[lane], loss[lane], Incidence(shown[lane], times, common))
    return Operator(linear, metric[lane], rows[lane], columns[lane], kernel[lane])


@njit(error_model="numpy")
def product(form: int, a: Array, operator: Operator, buffers: Buffers, out: Array) -> None:
    """Write c of H u into ``out`` from a of u."""
    if form == MATRIX:
        multiply(a, operator.metric, out)
    elif form == SPAN:
        out[:] = a
        weigh(out, operator.linear, buffers.sums, buffers.outputs)
        project_out(out, operator.kernel)
    else:
        multiply(a, operator.rows, buffers.z)
        weigh(buffers.z, operator.linear, buffers.sums, buffers.outputs)
        multiply(buffers.z, operator.columns, out)


@njit(error_model="numpy", fastmath={"contract"})
def add_multiple(out: Array, factor: float, v: Array) -> None:
    """Add factor v to ``out``."""
    for i in range(len(out)):
        out[i] += factor * v[i]


@njit(error_model="numpy")
def project_out(c: Array, kernel: Array) -> None:
    """Subtract from coefficients [f, width] their component in the kernel of G."""
    for r in range(len(c)):
        for none in kernel:
            add_multiple(c[r], -dot(c[r], none), none)
