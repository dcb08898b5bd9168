"""Plays a tape (see tape.py) on a CPU, a run at a time: its vectors stay in the first cache for many steps (numba).

An operation is [code, out, u, v, a]: which of the tape's vectors or numbers it writes and reads, v = -1 for none.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit
from numpy.typing import NDArray

from featlearn.engines.cpu.loops import (
    Network,
    Room,
    add,
    combine,
    gradient_of,
    inner_of,
    mean_loss_of,
)
from featlearn.engines.tape import CODES, DIVERGED, FITTED
from featlearn.tiles import uncounted

Array = NDArray[Any]
Run = tuple[Array, Array, Array, Array, float]  # labels, true labels [n], G [k, width], W0 [.], <W0, W0>
Work = tuple[Array, Array, Array, Array]  # vectors of one run; where each of the tape's stands; |sums|^2; 1/n [n]
Data = tuple[Array, Array, Array, Array, Array]  # the same of all runs

_GRADIENT, _FULL_GRADIENT, _ADD, _SCALE, _INNER, _INVERSE_ROOT, _MULTIPLY, _ROOT, _RATIO, _EXCEEDS = CODES.values()


@njit(error_model="numpy", inline="always")
def operate(op: Array, work: Work, numbers: Array, batch: Array, run: Run, network: Network, room: Room) -> None:
    """Do one operation on the numbers and vectors of a run."""
    vectors, places, squares, full = work
    labels, true_labels, gram, initial, square0 = run
    code, out, u, v, a = op[0], op[1], op[2], op[3], op[4]
    size = len(room[0])
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
        numbers[out] = 1 / math.sqrt(numbers[out])  # rounded, and rounded again, as in engines/numbers.py
        numbers[out] = 1 / numbers[out]
    elif code == _RATIO:
        numbers[out] = numbers[u] / numbers[a] if numbers[a] > 0.0 and math.isfinite(numbers[a]) else 0.0
    elif code == _EXCEEDS:
        numbers[out] = 1.0 if numbers[u] > numbers[a] else 0.0
    elif code == _INNER:
        numbers[out] = inner_of(vectors[places[u]], vectors[places[v]], initial, square0, size)
    elif code == _ADD:
        squares[places[out]] = add(vectors[places[u]], numbers[a], vectors[places[v]], vectors[places[out]])
    elif code == _SCALE:
        x, y, factor = vectors[places[u]], vectors[places[out]], numbers[a]
        for i in range(len(x)):
            y[i] = factor * x[i]
    elif code != _GRADIENT and code != _FULL_GRADIENT:
        raise ValueError("an operation that is not compiled")
    else:
        x, y = vectors[places[u], size : 2 * size], vectors[places[max(v, 0)], size : 2 * size]
        combine(x, numbers[a], y, v >= 0, room[0])
        gradient_of(
            room, labels, true_labels, batch if code == _GRADIENT else full, gram, network, vectors[places[out]]
        )


@njit(error_model="numpy")
def copy(x: Array, out: Array) -> None:
    """Write x into ``out``; an assignment of arrays would compile what it says where their sizes differ."""
    for i in range(len(out)):
        out[i] = x[i]


@njit(cache=True, error_model="numpy")
def play(
    tape: tuple[Array, Array, Array],
    starts: Array,
    batches: Array,
    first: int,
    n_steps: int,
    level: float,
    status: tuple[Array, Array],
    data: Data,
    network: Network,
    room: Room,
    work: Work,
    out: Array,
) -> None:
    """Take ``n_steps`` steps from step ``first`` on with the runs that still move.

    tape: operations; results, where a step leaves the successors of the vectors 0, 1, ... that it reads, the first of
    which is w; numbers [b, .], its constants and room for what it computes. starts, out [m, b, .]: these vectors before
    and after. batches [b, T, n]: of every step, the last of them of all that follow. level: of the mean loss at which a
    run has fitted, NaN for none. status: end and stopped [b], see State; both are written. data: of all runs, see Run.
    """
    operations, results, numbers = uncounted(tape)
    labels, true_labels, gram, initial, square0 = uncounted(data)
    (end, stopped), work, room = uncounted(status), uncounted(work), uncounted(room)
    vectors, places, squares, _ = work
    starts, batches, out = uncounted((starts, batches, out))
    half, k, m, last = len(room[0]), gram.shape[1], len(starts), batches.shape[1] - 1
    for lane in range(len(labels)):
        run = labels[lane], true_labels[lane], gram[lane], initial[lane], square0[lane]
        for j in range(m):
            copy(starts[j, lane], vectors[places[j]])
        for t in range(n_steps):
            if end[lane] != 0:
                break
            for i in range(len(operations)):
                operate(operations[i], work, numbers[lane], batches[lane, min(t, last)], run, network, room)
            if not math.isfinite(squares[places[results[0]]]):
                end[lane], stopped[lane] = DIVERGED, first + t
                break
            for j in range(m):
                places[j], places[results[j]] = places[results[j]], places[j]
            if not math.isnan(level):
                copy(vectors[places[0], half : 2 * half], room[0])
                if mean_loss_of(room, labels[lane], true_labels[lane], k, network) <= level:
                    end[lane], stopped[lane] = FITTED, first + t + 1
        for j in range(m):
            copy(vectors[places[j]], out[j, lane])
