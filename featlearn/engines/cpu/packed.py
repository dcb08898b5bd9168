"""Vectors of the Gram engine with all numbers of a run side by side, for compiled loops to take in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from featlearn.engines.cpu import loops
from featlearn.engines.vector import LazyVector, Scalar, Vector
from featlearn.tiles import padded


def pack(alpha: Tensor, coef: Tensor, align: Tensor) -> PackedVector:
    """Return alpha W0 + C V, from alpha [b], C [b, f, k] and its alignments [b, f, k]."""
    b, f, k = coef.shape
    rows = coef.new_zeros(b, 2 * f + 1, padded(k + 1, coef.itemsize))
    rows[:, :f, :k], rows[:, f : 2 * f, :k], rows[:, 2 * f, 0] = coef, align, alpha
    return PackedVector((rows,), n_vectors=k)


@dataclass(frozen=True, kw_only=True)
class PackedVector(LazyVector):
    """A Vector with one part [b, 2f + 1, width]: f rows of coefficients, f of alignments, alpha; zeros beyond.

    A gradient takes the terms of a sum as they are.

    n_vectors: k, how many columns hold numbers. square [b]: of the norm of the part, where it is known.
    """

    n_vectors: int
    square: Tensor | None = None

    @cached_property
    def rows(self) -> Tensor:
        """The numbers, [b, 2f + 1, width]."""
        (part,) = self.parts
        if self.start is not None:
            return self._sum[0]
        return part if self.factor is None else self.factors[:, None, None] * part

    @cached_property
    def _sum(self) -> tuple[Tensor, Tensor]:
        """The numbers of start + factor * part, and what ``finite`` says of them, from one pass."""
        (part,), start = self.parts, cast(Tensor, self.start)
        rows, finite = torch.empty_like(part), torch.empty(len(part), dtype=torch.bool)
        loops.add_multiple(*(x.numpy() for x in (start, self.factors, part, rows, finite)))
        return rows, finite

    @property
    def factors(self) -> Tensor:
        """The factor of every run, [b]."""
        (part,) = self.parts
        if isinstance(self.factor, Tensor):
            return self.factor.expand(len(part)).contiguous()
        return part.new_full((len(part),), 1.0 if self.factor is None else self.factor)

    @property
    def own_square(self) -> Tensor | None:
        """<u, u> [b], where it is known."""
        if self.square is None or self.start is not None:
            return None
        return self.square if self.factor is None else self.factors.square() * self.square

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        """alpha [b], C [b, f, k] and the alignments [b, f, k], as views."""
        rows, f, k = self.rows, self.parts[0].shape[1] // 2, self.n_vectors
        return rows[:, 2 * f, 0], rows[:, :f, :k], rows[:, f : 2 * f, :k]

    def with_leaves(self, leaves: tuple[Tensor, ...]) -> PackedVector:
        """Return a vector of the same kind made of these tensors."""
        return pack(*leaves)

    def made(self, rows: Tensor, factor: Scalar | None = None, start: Tensor | None = None) -> PackedVector:
        """Return start + factor * rows."""
        return PackedVector((rows,), factor, n_vectors=self.n_vectors, start=start)

    def where(self, keep: Tensor, other: Vector) -> PackedVector:
        """Return self in the runs where ``keep`` [b] is true, other elsewhere."""
        rows = torch.where(keep[:, None, None], self.rows, cast(PackedVector, other).rows)
        return PackedVector((rows,), n_vectors=self.n_vectors)

    def finite(self) -> Tensor:
        """Return [b], whether a run's numbers are finite, and small enough that their squares can be added."""
        return self.rows.square().sum((1, 2)).isfinite() if self.start is None else self._sum[1]
