"""A rule's step, recorded once as a short list of operations on vectors and numbers, for compiled code to replay.

Rules use only Vector and Objective. TapeVector and TapeLoss implement both and record the operations, as a tape of
automatic differentiation does. An operation that cannot be recorded raises, and the step is then taken without a tape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featlearn.engines.vector import LazyVector, Scalar, Vector

OF_VECTORS = {"gradient": 0, "full gradient": 1, "add": 2, "scale": 3}  # these write a vector
OF_NUMBERS = {"inner": 4, "inverse root": 5, "multiply": 6, "root": 7, "ratio": 8, "exceeds": 9}
CODES = OF_VECTORS | OF_NUMBERS
FITTED, DIVERGED = 1, 2  # how a run ends: indices into loop.state.ENDS


class Operation(NamedTuple):
    """An operation by name, the place of its result, and its operands: vectors, then numbers."""

    name: str
    out: int
    vectors: tuple[int, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """A finished tape.

    operations [s, 5]: code, out, two operands (-1 for none) and a number. kept: the vectors from before the step that
    it reads or changes; they are at places 0, 1, ... results: the places of their successors. n_vectors: all places.
    numbers [b, c]: the constants, and space for the computed ones.
    """

    operations: NDArray[np.int64]
    kept: tuple[int, ...]
    results: NDArray[np.int64]
    n_vectors: int
    numbers: Tensor


class Place(int):
    """The place of a vector: the part of a TapeVector, whose shape has the first axis of all parts, the runs."""

    shape: tuple[int, ...]


class Tape:
    """The operations in their order; ``like`` [b] gives the number of runs and the precision."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._operations: list[Operation] = []
        self._n_starts, self._n_vectors = 0, 0
        self._numbers = [torch.ones_like(like)]

    def start(self) -> TapeVector:
        """Return a vector from before the step; call it for all of them before anything is recorded."""
        self._n_starts = self._n_vectors = self._n_vectors + 1
        return self.at(self._n_vectors - 1)

    def at(self, place: int, factor: Any = None, start: Any = None) -> TapeVector:
        """Return the vector at a place, times ``factor``, plus the one at ``start``."""
        part = Place(place)
        part.shape = tuple(self._like.shape)
        return TapeVector(cast(Any, (part,)), factor, start=start, tape=self)

    def vector(self, name: str, *vectors: int, factor: Any = 1.0) -> int:
        """Record an operation of OF_VECTORS."""
        self._operations.append(Operation(name, self._n_vectors, vectors, (self.number_of(factor),)))
        self._n_vectors += 1
        return self._n_vectors - 1

    def number(self, name: str, *numbers: int, vectors: tuple[int, ...] = ()) -> Number:
        """Record an operation of OF_NUMBERS."""
        self._operations.append(Operation(name, len(self._numbers), vectors, numbers))
        self._numbers.append(torch.zeros_like(self._like))
        return Number(self, len(self._numbers) - 1)

    def number_of(self, scalar: Any) -> int:
        """Return the place of a number of this tape or of a constant; 0 for the constant 1."""
        if isinstance(scalar, Number):
            return scalar.place
        constant = scalar if isinstance(scalar, Tensor) else float(scalar)
        if isinstance(constant, float) and constant == 1:
            return 0
        like = self._like
        self._numbers.append(torch.as_tensor(constant, dtype=like.dtype, device=like.device).expand_as(like))
        return len(self._numbers) - 1

    def show(self, point: Vector, *numbers: Any) -> None:
        """Add a point and numbers that are shown to trackers to the contents."""
        self.vector("scale", cast(TapeVector, point).place)
        for number in numbers:
            self.number_of(number)

    def contents(self) -> tuple[tuple[Operation, ...], Tensor]:
        """Return all recorded operations, and the numbers [b, c]."""
        return tuple(self._operations), torch.stack(self._numbers, 1)

    def finish(self, results: Sequence[Vector]) -> Program:
        """Return the program; ``results`` are the successors of the vectors from before the step."""
        n_starts, ends = self._n_starts, [cast(TapeVector, v).place for v in results]
        if len(ends) != n_starts:
            raise TypeError(f"a step that makes {len(ends)} vectors of {n_starts} cannot be repeated")
        for j, end in enumerate(ends):  # every successor gets its own place
            if end != j and (end < n_starts or end in ends[:j]):
                ends[j] = self.vector("scale", end)
        if ends[0] not in {operation.out for operation in self._operations if operation.name == "add"}:
            ends[0] = self.vector("add", ends[0], ends[0], factor=0.0)  # replay checks sums for being finite
        read = {v for operation in self._operations for v in operation.vectors}
        kept = tuple(j for j in range(n_starts) if j in read or ends[j] != j)
        places = _share_places(self._operations, kept, ends)
        return Program(
            operations=np.array([_encoded(operation, places) for operation in self._operations]).reshape(-1, 5),
            kept=kept,
            results=np.array([places[ends[j]] for j in kept]),
            n_vectors=1 + max(places.values()),
            numbers=torch.stack(self._numbers, 1),
        )


def _share_places(operations: Sequence[Operation], kept: Sequence[int], ends: Sequence[int]) -> dict[int, int]:
    """Return a place for every vector; that of a vector no longer read is reused, unless it is a start or an end."""
    places = {j: i for i, j in enumerate(kept)}
    last = {v: i for i, operation in enumerate(operations) for v in operation.vectors}
    free: list[int] = []
    for i, operation in enumerate(operations):
        if operation.name in OF_VECTORS:
            places[operation.out] = free.pop() if free else 1 + max(places.values())
        done = {v for v in operation.vectors if last[v] == i and v not in kept and v not in ends}
        free += [places[v] for v in sorted(done)]
    return places


def _encoded(operation: Operation, places: dict[int, int]) -> tuple[int, ...]:
    name, out, vectors, numbers = operation
    operands = [*(places[v] for v in vectors), *numbers[:-1], -1, -1][:2]
    return CODES[name], places[out] if name in OF_VECTORS else out, *operands, numbers[-1] if numbers else 0


@dataclass(frozen=True, eq=False)
class Number:
    """A number per run that a step computes; it can be multiplied with a number, a tensor [b] or a Vector.

    It has no value while recording: reading its value, or comparing it, raises TypeError.
    """

    tape: Tape
    place: int

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Let a tensor times a Number call ``__rmul__``."""
        return args[1].__rmul__(args[0]) if function is torch.Tensor.mul else NotImplemented

    def __mul__(self, other: Any) -> Any:
        """Return self * other."""
        return NotImplemented if isinstance(other, Vector) else self.__rmul__(other)

    def __rmul__(self, other: Scalar | Number) -> Number:
        """Return other * self."""
        return self.tape.number("multiply", self.tape.number_of(other), self.place)

    def __neg__(self) -> Number:
        """Return -self."""
        return -1.0 * self

    def __bool__(self) -> bool:
        """Refuse: a step that branches on its numbers differs between runs."""
        raise TypeError("a step that branches on a number that it computes cannot be recorded")

    def __eq__(self, other: object) -> bool:
        """Refuse to compare."""
        raise TypeError("a step that compares a number that it computes cannot be recorded")

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class TapeVector(LazyVector):
    """A Vector of a tape: its part is a place."""

    tape: Tape

    @cached_property
    def rows(self) -> int:
        """The place of its numbers; a sum gets one on first use."""
        (part,) = cast(Any, self.parts)
        if self.start is not None:
            return self.tape.vector("add", self.start, part, factor=self.factor)
        return part if self.factor is None else self.tape.vector("scale", part, factor=self.factor)

    @property
    def place(self) -> int:
        """The place of its numbers."""
        return self.rows

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        """Refuse: there are no tensors while recording."""
        raise TypeError("a step that reads the numbers of its vectors cannot be recorded")

    def made(self, rows: Any, factor: Any = None, start: Any = None) -> TapeVector:
        """Return start + factor * rows."""
        return self.tape.at(rows, factor, start)


@dataclass(frozen=True)
class TapeLoss:
    """An Objective that records: the mini-batch gradient, the full one, inner products; nothing else."""

    tape: Tape
    name: str = "gradient"

    @property
    def full(self) -> TapeLoss:
        """The loss on the whole training set."""
        return TapeLoss(self.tape, "full gradient")

    def gradient(self, w: Vector) -> Vector:
        """Return the gradient at w."""
        start, part, factor = cast(TapeVector, w).terms
        vectors = (start,) if part is None else (start, part)
        return self.tape.at(self.tape.vector(self.name, *vectors, factor=factor))

    def inner(self, u: Vector, v: Vector) -> Number:
        """Return <u, v>."""
        return self.tape.number("inner", vectors=(cast(TapeVector, u).place, cast(TapeVector, v).place))

    def unit(self, u: Vector) -> Vector:
        """Return u / |u|, zero for zero."""
        return cast(Vector, self._number("inverse root", self.inner(u, u)) * u)

    def root(self, x: Number) -> Number:
        """Return the square root of x, 0 where x < 0."""
        return self._number("root", x)

    def ratio(self, a: Scalar | Number, b: Number) -> Number:
        """Return a / b; 0 where b is not a positive number."""
        return self._number("ratio", a, b)

    def exceeds(self, a: Number, b: Number) -> Number:
        """Return 1 where a > b, 0 elsewhere."""
        return self._number("exceeds", a, b)

    def _number(self, name: str, *numbers: Scalar | Number) -> Number:
        return self.tape.number(name, *map(self.tape.number_of, numbers))
