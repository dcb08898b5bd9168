"""Micro-batches of the Gram engine on a CPU: gradients from compiled loops, the numbers of gram.py."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featlearn.engines.cpu import shard_loops
from featlearn.engines.cpu.packed import PackedVector
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Scalar, Vector
from featlearn.engines.span.engine import GramEngine
from featlearn.engines.vector import spread
from featlearn.functions.compiled import kind_of
from featlearn.tiles import padded


@dataclass(frozen=True, kw_only=True)
class ShardVector(Vector):
    """A Vector of micro-batches with parts coef and align [b s, k', F], filters side by side (see shard_loops.py).

    alpha is 0: W0 is of no micro-batch. A sum u + a * v keeps its terms apart until its numbers are asked for.

    n_filters: f. start: the numbers that factor * parts is added to, if any. square [b s]: of the parts, where known.
    """

    n_filters: int
    start: tuple[Tensor, Tensor] | None = None
    square: Tensor | None = None

    @cached_property
    def numbers(self) -> tuple[Tensor, Tensor]:
        """The coefficients and the alignments [b s, k', F]."""
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
        """alpha [b s], C [b s, f, k'] and the alignments [b s, f, k'], as views."""
        coef, align = (x[..., : self.n_filters].mT for x in self.numbers)
        return align.new_zeros(len(align)), coef, align

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


class ShardEngine(GramEngine):
    """The engine of the micro-batches ``samples`` [b, s, n'] of a whole problem, whose G it reads where it stands."""

    def __init__(self, whole: Problem, samples: Tensor, gram: NDArray[Any]) -> None:
        self._whole, self._samples, self._gram = whole, samples, gram
        b, count, size = samples.shape
        self.labels, self._true_labels = (
            x.gather(1, samples.reshape(b, -1)).reshape(-1, size) for x in (whole.labels, whole.true_labels)
        )
        self.seeds, self.n_parameters = (x.repeat_interleave(count) for x in (whole.seeds, whole.n_parameters))
        self.vectors = whole.vectors_of(samples).flatten(0, 1)
        f = len(whole.signs)
        self._signs = np.zeros(padded(f, whole.gram.itemsize), gram.dtype)
        self._signs[:f] = whole.signs[:, 0].numpy()

    @cached_property
    def problem(self) -> Problem:  # type: ignore[override]  # made for those who ask: it copies the blocks of G
        """The problem of every micro-batch by itself."""
        return self._whole.part(self._samples)

    @cached_property
    def _init_square(self) -> Tensor:  # type: ignore[override]  # see ``problem``
        return self.n_parameters.new_zeros(len(self.n_parameters))

    def vector(self, alpha: Tensor, coef: Tensor, align: Tensor) -> Vector:
        """Return the direction C V, whose alignments are ``align``."""
        extra = len(self._signs) - coef.shape[1]
        parts = (torch.nn.functional.pad(x.mT, (0, extra)).contiguous() for x in (coef, align))
        return ShardVector(tuple(parts), n_filters=coef.shape[1])

    def gradient(self, w: Vector, batch: Tensor, labels: Tensor | None = None) -> Vector:
        """Return the gradient of sum_i batch_i log(1 + exp(-y_i f_i)) at w (see GramEngine.gradient)."""
        w, p = cast(ShardVector, w), self._whole
        start, part = (w.numbers if w.start is None else w.start)[1], w.parts[1]
        coef, align, squares = torch.empty_like(part), torch.empty_like(part), part.new_empty(len(part))
        shard_loops.gradient(
            start.numpy(),
            part.numpy(),
            w.factors.numpy(),
            w.start is not None,
            (self.labels if labels is None else labels).numpy(),
            self._true_labels.numpy(),
            batch.numpy(),
            self.vectors.numpy(),
            self._gram,
            self._signs,
            kind_of(p.activation.name),
            p.scale,
            p.noise_count,
            p.bias,
            coef.numpy(),
            align.numpy(),
            squares.numpy(),
        )
        return ShardVector((coef, align), n_filters=w.n_filters, square=squares)

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b s] (see GramEngine.inner); of a gradient with itself it is known."""
        one = cast(ShardVector, u)
        if u is v and one.square is not None:
            return one.square if one.factor is None else one.factors.square() * one.square
        return super().inner(u, v)


class ShardedGramEngine(GramEngine):
    """GramEngine for tensors on a CPU, as far as it is about micro-batches; its Vectors are packed."""

    _gram: NDArray[Any]  # [b, k, width]: G and columns of zeros

    def part(self, samples: Tensor) -> ShardEngine:
        """Return the engine of micro-batches [b, s, n'], as b s lanes."""
        return ShardEngine(self.problem, samples, self._gram)

    def split(self, samples: Tensor, w: Vector) -> Vector:
        """Return w by its alignments with the micro-batches' own vectors."""
        rows, vectors = cast(PackedVector, w).rows, self.problem.vectors_of(samples).flatten(0, 1)
        f = rows.shape[1] // 2
        align = rows.new_empty(*vectors.shape, padded(f, rows.itemsize))
        shard_loops.split(rows.numpy(), vectors.numpy(), align.numpy())
        return ShardVector((align.new_zeros(()).expand_as(align), align), n_filters=f)

    def mean(self, samples: Tensor, u: Vector) -> Vector:
        """Return the mean of directions: every noise is one micro-batch's own, signal and bias are of all."""
        coef, vectors = cast(ShardVector, u).numbers[0], self.problem.vectors_of(samples).flatten(0, 1)
        b, k, width = self._gram.shape
        rows, squares = coef.new_empty(b, 2 * len(self.problem.signs) + 1, width), coef.new_empty(b)
        shard_loops.mean(coef.numpy(), vectors.numpy(), self._gram, rows.numpy(), squares.numpy())
        return PackedVector((rows,), n_vectors=k, square=squares)
