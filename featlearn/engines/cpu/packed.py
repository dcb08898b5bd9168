"""Vectors of the Gram engine with all numbers of a run contiguous in memory, for compiled loops in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

import torch
from torch import Tensor

from featlearn.engines.cpu import loops
from featlearn.engines.vector import LazyVector, Scalar, Vector
from featlearn.tiles import padded


class Layout(NamedTuple):
    """Filters f, distinct patches N, and trained second-layer weights per filter: C, or 0."""

    n_filters: int
    n_patches: int
    n_outputs: int = 0


def pack(alpha: Tensor, coef: Tensor, align: Tensor, second: Tensor | None = None) -> PackedVector:
    """Return alpha W0 + C X, from alpha [b], C [b, f, N], its alignments [b, f, N] and a second layer [b, f, C]."""
    b, f, n_patches = coef.shape
    width = padded(n_patches, coef.itemsize)
    tail = alpha[:, None] if second is None else torch.cat([alpha[:, None], second.flatten(1)], 1)
    rows = coef.new_zeros(b, 2 * f - (-tail.shape[1] // width), width)
    rows[:, :f, :n_patches], rows[:, f : 2 * f, :n_patches] = coef, align
    rows[:, 2 * f :].flatten(1)[:, : tail.shape[1]] = tail
    return PackedVector((rows,), layout=Layout(f, n_patches, 0 if second is None else second.shape[2]))


@dataclass(frozen=True, kw_only=True)
class PackedVector(LazyVector):
    """A Vector with one part [b, rows, width]: f rows of coefficients, f of alignments, and zeros beyond N numbers.

    The rows after them hold alpha, then the second layer where it is trained. A gradient reads the terms of a sum
    separately. square [b]: the squared norm of the part, where it is known.
    """

    layout: Layout
    square: Tensor | None = None

    @cached_property
    def rows(self) -> Tensor:
        """The numbers, [b, rows, width]."""
        (part,) = self.parts
        if self.start is not None:
            return self._sum[0]
        return part if self.factor is None else self.factors[:, None, None] * part

    @cached_property
    def _sum(self) -> tuple[Tensor, Tensor]:
        """The numbers of start + factor * part, and the result of ``finite`` for them, from one pass."""
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
        """alpha [b], C and the alignments [b, f, N], and a trained second layer [b, f, C], as views."""
        rows, (f, n_patches, n_outputs) = self.rows, self.layout
        tail = rows[:, 2 * f :].flatten(1)
        second = [tail[:, 1 : 1 + f * n_outputs].view(-1, f, n_outputs)] if n_outputs else []
        return tail[:, 0], rows[:, :f, :n_patches], rows[:, f : 2 * f, :n_patches], *second

    def with_leaves(self, leaves: tuple[Tensor, ...]) -> PackedVector:
        """Return a vector of the same kind made of these tensors."""
        return pack(*leaves)

    def made(self, rows: Tensor, factor: Scalar | None = None, start: Tensor | None = None) -> PackedVector:
        """Return start + factor * rows."""
        return PackedVector((rows,), factor, layout=self.layout, start=start)

    def where(self, keep: Tensor, other: Vector) -> PackedVector:
        """Return self in the runs where ``keep`` [b] is true, other elsewhere."""
        return self.made(torch.where(keep[:, None, None], self.rows, cast(PackedVector, other).rows))

    def finite(self) -> Tensor:
        """Return [b], whether a run's numbers are finite, and small enough that their squares can be added."""
        return self.rows.square().sum((1, 2)).isfinite() if self.start is None else self._sum[1]
