"""Replays a tape (see tape.py) on a CPU, a run at a time: its vectors stay in the L1 cache for many steps (numba).

An operation is [code, out, u, v, a]: its code, then the places of the vectors or numbers that it writes and reads,
v = -1 for none.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numba import njit
from numpy.typing import NDArray

from featlearn.engines.cpu.loops import inner_of
from featlearn.engines.cpu.network import Buffers, Data, Network, gradient_of, mean_loss_of, of_run, place
from featlearn.engines.cpu.sums import add, copy
from featlearn.engines.tape import CODES, DIVERGED, FITTED
from featlearn.tiles import without_reference_counts

Array = NDArray[Any]
Start = tuple[Array, Array]  # W0 and <W0, W0>, of all runs or of one

_GRADIENT, _FULL_GRADIENT, _ADD, _SCALE, _INNER, _INVERSE_ROOT, _MULTIPLY, _ROOT, _RATIO, _EXCEEDS = CODES.values()


class Work(NamedTuple):
    """Scratch of one run: vectors [v, .], the row of each vector of the tape, squared norms of sums, and 1/n [n]."""

    vectors: Array
    places: Array
    squares: Array
    full: Array


@njit(error_model="numpy", inline="always")
def operate(
    op: Array, work: Work, numbers: Array, batch: Array, data: Data, initial: Start, network: Network, buffers: Buffers
) -> None:
    """Do one operation on the numbers and vectors of a run."""
    vectors, places = work.vectors, work.places
    code, out, u, v, a = op[0], op[1], op[2], op[3], op[4]
    if code == _INVERSE_ROOT:
        numbers[out] = 1 / math.sqrt(numbers[a])
        if not (numbers[a] > 0.0 and math.isfinite(numbers[out])):
            numbers[out] = 0.0
    elif code == _MULTIPLY:
        numbers[out] = numbers[u] * numbers[a]
    elif code == _ROOT:
        numbers[out] = numbers[a]
        if numbers[a] < 0.0:
            numbers[out] = 0.0
        numbers[out] = 1 / math.sqrt(numbers[out])  # rounded twice, as in engines/algebra.py
        numbers[out] = 1 / numbers[out]
    elif code == _RATIO:
        numbers[out] = numbers[u] / numbers[a] if numbers[a] > 0.0 and math.isfinite(numbers[a]) else 0.0
    elif code == _EXCEEDS:
        numbers[out] = 1.0 if numbers[u] > numbers[a] else 0.0
    elif code == _INNER:
        numbers[out] = inner_of(vectors[places[u]], vectors[places[v]], initial[0], initial[1], len(buffers.z))
    elif code == _ADD:
        work.squares[places[out]] = add(vectors[places[u]], numbers[a], vectors[places[v]], vectors[places[out]])
    elif code == _SCALE:
        x, y, factor = vectors[places[u]], vectors[places[out]], numbers[a]
        for i in range(len(x)):
            y[i] = factor * x[i]
    elif code != _GRADIENT and code != _FULL_GRADIENT:
        raise ValueError("an operation that is not compiled")
    else:
        place(vectors[places[u]], numbers[a], vectors[places[max(v, 0)]], v >= 0, network, buffers)
        gradient_of(buffers, data, batch if code == _GRADIENT else work.full, network, vectors[places[out]])


@njit(cache=True, error_model="numpy")
def replay(
    tape: tuple[Array, Array, Array],
    starts: Array,
    batches: Array,
    first: int,
    n_steps: int,
    level: float,
    status: tuple[Array, Array],
    data: Data,
    initial: Start,
    network: Network,
    buffers: Buffers,
    work: Work,
    out: Array,
) -> None:
    """Take ``n_steps`` steps from step ``first`` on in the runs that have not ended.

    tape: operations; results, the places of the successors of the vectors 0, 1, ..., the first of which is w; numbers
    [b, .], its constants and space for computed ones. starts, out [m, b, .]: these vectors before
    and after. batches [b, T, n]: of every step, the last of them of all that follow. level: of the mean loss at which a
    run has fitted, NaN for none. status: end and stopped [b], see loop.state.State; both are written.
    """
    operations, results, numbers = without_reference_counts(tape)
    (end, stopped), (weights, square0) = without_reference_counts(status), without_reference_counts(initial)
    data, work, buffers = (
        without_reference_counts(data),
        without_reference_counts(work),
        without_reference_counts(buffers),
    )
    vectors, places, squares, _ = work
    starts, batches, out = without_reference_counts((starts, batches, out))
    m, last = len(starts), batches.shape[1] - 1
    for lane in range(len(end)):
        run, start = of_run(data, lane), (weights[lane], square0[lane])
        for j in range(m):
            copy(starts[j, lane], vectors[places[j]])
        for t in range(n_steps):
            if end[lane] != 0:
                break
            batch = batches[lane, min(t, last)]
            for i in range(len(operations)):
                operate(operations[i], work, numbers[lane], batch, run, start, network, buffers)
            if not math.isfinite(squares[places[results[0]]]):
                end[lane], stopped[lane] = DIVERGED, first + t
                break
            for j in range(m):
                places[j], places[results[j]] = places[results[j]], places[j]
            if not math.isnan(level):
                w = vectors[places[0]]
                place(w, w[0], w, False, network, buffers)
                if mean_loss_of(buffers, run, network) <= level:
                    end[lane], stopped[lane] = FITTED, first + t + 1
        for j in range(m):
            copy(vectors[places[j]], out[j, lane])
