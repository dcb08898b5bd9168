"""Micro-batches of the Gram engine on a CPU: gradients from compiled loops, as in span/engine.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featlearn.engines.cpu import shard_loops
from featlearn.engines.cpu.network import network_of
from featlearn.engines.cpu.packed import Layout, PackedVector
from featlearn.engines.protocol import Scalar, Vector
from featlearn.engines.span.engine import GramEngine
from featlearn.engines.vector import spread
from featlearn.tiles import padded


@dataclass(frozen=True, kw_only=True)
class ShardVector(Vector):
    """A Vector of micro-batches with parts coef and align [b s, N', F], filters contiguous (see shard_loops.py).

    alpha is 0: a micro-batch has no part along W0. A sum u + a * v keeps its terms separate until its numbers are used.

    n_filters: f. start: the numbers that factor * parts is added to, if any. square [b s]: of their norm, where known.
    """

    n_filters: int
    start: tuple[Tensor, Tensor] | None = None
    square: Tensor | None = None

    @cached_property
    def numbers(self) -> tuple[Tensor, Tensor]:
        """The coefficients and the alignments [b s, N', F]."""
        coef, align = self.parts
        if self.start is not None:
            factor = self.factors[:, None, None]
            coef, align = (torch.addcmul(u, factor, v) for u, v in zip(self.start, self.parts, strict=True))
        elif self.factor is not None:
            coef, align = (spread(self.factor, part) * part for part in self.parts)
        return coef, align

    @property
    def factors(self) -> Tensor:
        """The factor of every micro-batch, [b s]."""
        align = self.parts[1]
        if isinstance(self.factor, Tensor):
            return self.factor.expand(len(align)).contiguous()
        return align.new_full((len(align),), 1.0 if self.factor is None else self.factor)

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        """alpha [b s], C [b s, f, N'] and the alignments [b s, f, N'], as views."""
        coef, align = (x[..., : self.n_filters].mT for x in self.numbers)
        return align.new_zeros(len(align)), coef, align

    def with_leaves(self, leaves: tuple[Tensor, ...]) -> ShardVector:
        """Return a vector of the same kind made of these tensors."""
        extra = self.parts[1].shape[2] - self.n_filters
        parts = (torch.nn.functional.pad(x.mT, (0, extra)).contiguous() for x in leaves[1:])
        return ShardVector(tuple(parts), n_filters=self.n_filters)

    def where(self, keep: Tensor, other: Vector) -> ShardVector:
        """Return self in the micro-batches where ``keep`` [b s] is true, other elsewhere."""
        pairs = zip(self.numbers, cast(ShardVector, other).numbers, strict=True)
        return ShardVector(tuple(torch.where(spread(keep, u), u, v) for u, v in pairs), n_filters=self.n_filters)

    def __rmul__(self, scalar: Scalar) -> ShardVector:
        """Return scalar * self; a tensor [b s] scales every micro-batch by its own number."""
        one = self._one_term()
        factor = scalar if one.factor is None else scalar * one.factor
        return ShardVector(one.parts, factor, n_filters=self.n_filters, square=one.square)

    def _plus(self, sign: int, other: Vector) -> ShardVector:
        one = cast(ShardVector, other)._one_term()
        factor = sign if one.factor is None else sign * one.factor
        return ShardVector(one.parts, factor, n_filters=self.n_filters, start=self.numbers)

    def _one_term(self) -> ShardVector:
        return self if self.start is None else ShardVector(self.numbers, n_filters=self.n_filters)


class ShardEngine:
    """The engine of the micro-batches ``samples`` [b, s, n'] of a whole engine, whose G it reads in place.

    gram [b, N, width], times [s]: those of network.Data. ``plain`` serves everything that is not compiled.
    """

    provides = GramEngine.provides

    def __init__(self, whole: GramEngine, samples: Tensor, gram: NDArray[Any], times: NDArray[Any]) -> None:
        self._whole, self._samples = whole, samples
        problem, (b, count, size) = whole.problem, samples.shape
        self._network = network_of(problem)
        self.labels = problem.labels.gather(1, samples.reshape(b, -1)).reshape(-1, size)
        self.seeds, self.n_parameters = (x.repeat_interleave(count) for x in (problem.seeds, problem.n_parameters))
        patches, shown = (x.flatten(0, 1).numpy() for x in problem.patches_of(samples))
        f = len(problem.head)
        second = np.zeros(padded(f, gram.itemsize), gram.dtype)
        second[:f] = problem.head[:, 0].numpy()
        self._shape = patches, shown, times, gram, second

    @cached_property
    def plain(self) -> GramEngine:
        """The Gram engine of the micro-batches' own problems, for vectors as leaves; it copies their blocks of G."""
        return GramEngine(self._whole.problem.part(self._samples))

    def gradient(self, w: Vector, batch: Tensor, labels: Tensor | None = None) -> Vector:
        """Return the gradient of sum_i batch_i loss(F_i, y_i) at w (see GramEngine.gradient)."""
        none = batch.numpy()[:0]
        return self._gradient(cast(ShardVector, w), batch, labels, shard_loops.Parts(none, none, none))

    def linearize(
        self, w: Vector, batch: Tensor, labels: Tensor | None = None
    ) -> tuple[Vector, Callable[[Vector], Vector]]:
        """Return the gradient of sum_i batch_i loss(F_i, y_i) at w, and the function v -> H v of its Hessian."""
        one = batch.numpy()
        slope = np.empty((len(one), cast(ShardVector, w).parts[1][0].numel()), one.dtype)
        bend = slope[:0] if self._whole.problem.activation.second is None else np.empty_like(slope)
        parts = shard_loops.Parts(slope, bend, np.empty_like(one))
        return self._gradient(cast(ShardVector, w), batch, labels, parts), partial(self._hessian, parts)

    def _gradient(self, w: ShardVector, batch: Tensor, labels: Tensor | None, parts: shard_loops.Parts) -> ShardVector:
        start, part = (w.numbers if w.start is None else w.start)[1], w.parts[1]
        coef, align, squares = torch.empty_like(part), torch.empty_like(part), part.new_empty(len(part))
        shard_loops.gradient(
            start.numpy(),
            part.numpy(),
            w.factors.numpy(),
            w.start is not None,
            (self.labels if labels is None else labels).numpy(),
            batch.numpy(),
            self._shape,
            self._network,
            coef.numpy(),
            align.numpy(),
            squares.numpy(),
            parts,
        )
        return ShardVector((coef, align), n_filters=w.n_filters, square=squares)

    def _hessian(self, parts: shard_loops.Parts, v: Vector) -> ShardVector:
        one = cast(ShardVector, v)._one_term()
        along = one.parts[1]
        coef, align = torch.empty_like(along), torch.empty_like(along)
        shard_loops.hessian(parts, along.numpy(), one.factors.numpy(), self._shape, coef.numpy(), align.numpy())
        return ShardVector((coef, align), n_filters=one.n_filters)

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b s] (see GramEngine.inner); <g, g> of a gradient is stored with it."""
        u, v = cast(ShardVector, u), cast(ShardVector, v)
        if u is v and u.square is not None:
            return u.square if u.factor is None else u.factors.square() * u.square
        return (u.leaves[1] * v.leaves[2]).sum((1, 2))

    def losses(self, w: Vector, labels: Tensor | None = None) -> Tensor:
        """Return the loss of every sample at w, [b s, n']."""
        return self.plain.losses(w, labels)

    def flipped(self, labels: Tensor, which: Tensor, draws: Tensor) -> Tensor:
        """Return labels with those in ``which`` [b s, n'] made wrong."""
        return self._whole.flipped(labels, which, draws)


def split(w: PackedVector, patches: Tensor) -> ShardVector:
    """Return w by its alignments with the patches [b s, N'] of its micro-batches."""
    rows, f = w.rows, w.layout.n_filters
    align = rows.new_empty(*patches.shape, padded(f, rows.itemsize))
    shard_loops.split(rows.numpy(), patches.numpy(), f, align.numpy())
    return ShardVector((align.new_zeros(()).expand_as(align), align), n_filters=f)


def mean(u: ShardVector, patches: Tensor, gram: NDArray[Any], layout: Layout) -> PackedVector:
    """Return the mean over a run's micro-batches, packed: coefficients of one patch are summed over those that show it.

    patches [b s, N']. gram [b, N, width]: G and columns of zeros.
    """
    (b, _, width), coef = gram.shape, u.numbers[0]
    rows, squares = coef.new_empty(b, 2 * layout.n_filters + 1, width), coef.new_empty(b)
    shard_loops.mean(coef.numpy(), patches.numpy(), gram, rows.numpy(), squares.numpy())
    return PackedVector((rows,), layout=layout, square=squares)
