"""Micro-batches of the Gram engine on a CPU: gradients from compiled loops, as in span/engine.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import cast

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.cpu import shard_loops
from featlearn.engines.cpu.network import Data, network_of
from featlearn.engines.cpu.packed import Layout, PackedVector
from featlearn.engines.protocol import Scalar, Vector
from featlearn.engines.span.engine import GramEngine
from featlearn.engines.vector import spread
from featlearn.tiles import padded


@dataclass(frozen=True, kw_only=True)
class ShardVector(Vector):
    """A Vector of micro-batches with parts coef and align [b s, N', F], filters contiguous (see shard_loops.py).

    alpha is 0: a micro-batch has no part along W0. Nothing is computed before it is used; so the mean of a sum takes no
    alignments.

    n_filters: f. start: the vector that factor * parts is added to, if any. square [b s]: of the norm of the parts,
    where known. products: makes alignments of coefficients; needed where the parts are coefficients alone.
    """

    n_filters: int
    start: ShardVector | None = None
    square: Tensor | None = None
    products: Callable[[Tensor], Tensor] | None = None

    @cached_property
    def coef(self) -> Tensor:
        """The coefficients [b s, N', F]."""
        return self._sum(self.parts[0], None if self.start is None else self.start.coef)

    @cached_property
    def align(self) -> Tensor:
        """The alignments [b s, N', F]."""
        return self._sum(self.own_align, None if self.start is None else self.start.align)

    @cached_property
    def own_align(self) -> Tensor:
        """The alignments of the parts."""
        coef, *known = self.parts
        return known[0] if self.products is None else self.products(coef)

    def _sum(self, part: Tensor, start: Tensor | None) -> Tensor:
        if start is not None:
            return torch.addcmul(start, self.factors[:, None, None], part)
        return part if self.factor is None else spread(self.factor, part) * part

    @property
    def factors(self) -> Tensor:
        """The factor of every micro-batch, [b s]."""
        coef = self.parts[0]
        if isinstance(self.factor, Tensor):
            return self.factor.expand(len(coef)).contiguous()
        return coef.new_full((len(coef),), 1.0 if self.factor is None else self.factor)

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        """alpha [b s], C [b s, f, N'] and the alignments [b s, f, N'], as views."""
        coef, align = (x[..., : self.n_filters].mT for x in (self.coef, self.align))
        return align.new_zeros(len(align)), coef, align

    def with_leaves(self, leaves: tuple[Tensor, ...]) -> ShardVector:
        """Return a vector of the same kind made of these tensors."""
        extra = self.parts[0].shape[2] - self.n_filters
        parts = (torch.nn.functional.pad(x.mT, (0, extra)).contiguous() for x in leaves[1:])
        return ShardVector(tuple(parts), n_filters=self.n_filters)

    def where(self, keep: Tensor, other: Vector) -> ShardVector:
        """Return self in the micro-batches where ``keep`` [b] is true, other elsewhere."""
        other = cast(ShardVector, other)
        pairs = (self.coef, other.coef), (self.align, other.align)
        return ShardVector(tuple(torch.where(spread(keep, u), u, v) for u, v in pairs), n_filters=self.n_filters)

    def __rmul__(self, scalar: Scalar) -> ShardVector:
        """Return scalar * self; a tensor [b s] scales every micro-batch by its own number."""
        one = self.one_term()
        return replace(one, factor=scalar if one.factor is None else scalar * one.factor)

    def _plus(self, sign: int, other: Vector) -> ShardVector:
        one = cast(ShardVector, other).one_term()
        return replace(one, factor=sign if one.factor is None else sign * one.factor, start=self)

    def one_term(self) -> ShardVector:
        """Return the same vector without ``start``."""
        if self.start is None:
            return self
        return ShardVector((self.coef,), n_filters=self.n_filters, products=lambda coef: self.align)


class ShardEngine:
    """The engine of the micro-batches ``samples`` [b, s, n'] of a whole engine, whose G it reads in place.

    data: of the whole engine. layout: of its vectors. ``plain`` serves everything that is not compiled.
    """

    provides = GramEngine.provides

    def __init__(self, whole: GramEngine, samples: Tensor, data: Data, layout: Layout) -> None:
        self._whole, self._samples, self._layout = whole, samples, layout
        gram, times = data.gram, data.incidence.times
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
        slope = np.empty((len(one), cast(ShardVector, w).parts[0][0].numel()), one.dtype)
        bend = slope[:0] if self._whole.problem.activation.second is None else np.empty_like(slope)
        parts = shard_loops.Parts(slope, bend, np.empty_like(one))
        return self._gradient(cast(ShardVector, w), batch, labels, parts), partial(self._hessian, parts)

    def _gradient(self, w: ShardVector, batch: Tensor, labels: Tensor | None, parts: shard_loops.Parts) -> ShardVector:
        start, part = w.align if w.start is None else w.start.align, w.own_align
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
        v, (_, shown, times, _, _) = cast(ShardVector, v).one_term(), self._shape
        along = v.own_align
        coef = torch.empty_like(along)
        shard_loops.hessian(parts, along.numpy(), v.factors.numpy(), shown, times, coef.numpy())
        return ShardVector((coef,), n_filters=v.n_filters, products=self._products)

    def _products(self, coef: Tensor) -> Tensor:
        """Return the alignments of coefficients."""
        patches, _, _, gram, _ = self._shape
        align = torch.empty_like(coef)
        shard_loops.products(coef.numpy(), patches, gram, align.numpy())
        return align

    def split(self, w: Vector) -> ShardVector:
        """Return w by its alignments with the patches of the micro-batches."""
        rows, f = cast(PackedVector, w).rows, self._layout.n_filters
        patches = self._shape[0]
        align = rows.new_empty(*patches.shape, padded(f, rows.itemsize))
        shard_loops.split(rows.numpy(), patches, f, align.numpy())
        return ShardVector((align.new_zeros(()).expand_as(align), align), n_filters=f)

    def mean(self, u: Vector) -> PackedVector:
        """Return the mean over a run's micro-batches: coefficients of a patch are summed over those that show it."""
        u, (patches, _, _, gram, _) = cast(ShardVector, u).one_term(), self._shape
        (b, _, width), coef = gram.shape, u.parts[0]
        rows, squares = coef.new_empty(b, 2 * self._layout.n_filters + 1, width), coef.new_empty(b)
        shard_loops.mean(coef.numpy(), u.factors.numpy(), patches, gram, rows.numpy(), squares.numpy())
        return PackedVector((rows,), layout=self._layout, square=squares)

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b s] (see GramEngine.inner); <g, g> of a gradient is stored with it."""
        u, v = cast(ShardVector, u), cast(ShardVector, v)
        if u is v and u.square is not None and u.start is None:
            return u.square if u.factor is None else u.factors.square() * u.square
        return (u.leaves[1] * v.leaves[2]).sum((1, 2))

    def losses(self, w: Vector, labels: Tensor | None = None) -> Tensor:
        """Return the loss of every sample at w, [b s, n']."""
        return self.plain.losses(w, labels)

    def flipped(self, labels: Tensor, which: Tensor, draws: Tensor) -> Tensor:
        """Return labels with those in ``which`` [b s, n'] made wrong."""
        return self._whole.flipped(labels, which, draws)
