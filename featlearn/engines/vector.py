"""Points and directions of parameter space, for any representation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import torch
from torch import Tensor

Scalar = float | Tensor  # a number, or one per run: [b]


@dataclass(frozen=True)
class Vector:
    """A point or a direction in parameter space, one per run: tensors with a leading axis b, combined linearly.

    A multiple a * u stores its factor separately (None for 1), so that u + a * v is one pass over memory.
    """

    parts: tuple[Tensor, ...]
    factor: Scalar | None = None

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        """The vector's tensors, multiplied by its factor."""
        return self.parts if self.factor is None else tuple(spread(self.factor, part) * part for part in self.parts)

    def with_leaves(self, leaves: tuple[Tensor, ...]) -> Vector:
        """Return a vector of the same kind made of these tensors."""
        return Vector(leaves)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Let a tensor times a Vector call ``__rmul__`` directly, without torch's failed attempt."""
        left, right = args
        return right.__rmul__(left) if isinstance(right, Vector) else NotImplemented

    def __add__(self, other: Vector) -> Vector:
        """Return self + other."""
        return self._plus(1, other)

    def __sub__(self, other: Vector) -> Vector:
        """Return self - other."""
        return self._plus(-1, other)

    def __rmul__(self, scalar: Scalar) -> Vector:
        """Return scalar * self; a tensor [b] scales every run by its own number."""
        return Vector(self.parts, scalar if self.factor is None else scalar * self.factor)

    def __mul__(self, scalar: Any) -> Vector:
        """Return scalar * self."""
        return NotImplemented if isinstance(scalar, Vector) else scalar * self

    def __neg__(self) -> Vector:
        """Return -self."""
        return self.__rmul__(-1.0)

    def _plus(self, sign: int, other: Vector) -> Vector:
        pairs, factor = zip(self.leaves, other.parts, strict=True), other.factor
        if factor is None:
            return Vector(tuple(torch.add(u, v, alpha=sign) for u, v in pairs))
        return Vector(tuple(torch.addcmul(u, spread(factor, u), v, value=sign) for u, v in pairs))

    def where(self, keep: Tensor, other: Vector) -> Vector:
        """Return self in the runs where ``keep`` [b] is true, other elsewhere."""
        pairs = zip(self.leaves, other.leaves, strict=True)
        return Vector(tuple(torch.where(spread(keep, u), u, v) for u, v in pairs))

    def map(self, function: Callable[..., Tensor], *others: Vector) -> Vector:
        """Return the vector whose leaves are ``function`` of those of self and others, coordinate by coordinate."""
        return Vector(tuple(map(function, self.leaves, *(other.leaves for other in others))))

    def finite(self) -> Tensor:
        """Return [b], whether a run's numbers are finite, and small enough that their squares can be added."""
        squares = [(leaf * leaf).reshape(len(leaf), -1).sum(1) for leaf in self.leaves]
        return torch.stack(squares).isfinite().all(0)


@dataclass(frozen=True, kw_only=True)
class LazyVector(Vector, ABC):
    """A Vector of one part, whose sum u + a * v keeps its terms separate until its numbers are used.

    start: the summand besides factor * part, if any.
    """

    start: Any = None

    @property
    @abstractmethod
    def rows(self) -> Any:
        """All its numbers, in one part."""

    @abstractmethod
    def made(self, rows: Any, factor: Scalar | None = None, start: Any = None) -> Self:
        """Return start + factor * rows, a vector of the same kind."""

    @property
    def terms(self) -> tuple[Any, Any, Scalar]:
        """u, v and a, of which this is u + a * v; v is None for none."""
        if self.start is None or "rows" in vars(self):
            return self.rows, None, 1.0
        return self.start, self.parts[0], 1.0 if self.factor is None else self.factor

    def __rmul__(self, scalar: Scalar) -> Self:
        """Return scalar * self; a tensor [b] scales every run by its own number."""
        one = self._one_term()
        return replace(one, factor=scalar if one.factor is None else scalar * one.factor)

    def _plus(self, sign: int, other: Vector) -> Self:
        other = cast(Self, other)._one_term()
        factor = sign if other.factor is None else other.factor if sign > 0 else -other.factor
        return self.made(other.parts[0], factor, start=self.rows)

    def _one_term(self) -> Self:
        return self if self.start is None else self.made(self.rows)


def spread(x: Scalar, like: Tensor) -> Tensor:
    """Return a number, or one per run [b], as a tensor that broadcasts against ``like`` [b, ...]."""
    if not isinstance(x, Tensor):
        return like.new_full((), x)  # made on the device: a copy from the host synchronises
    return (x.reshape(-1, *[1] * (like.ndim - 1)) if x.ndim else x).to(like.device)
