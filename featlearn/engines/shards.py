"""A mini-batch split into micro-batches: each is a smaller problem, all of them lanes of one batched call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from featlearn.engines.protocol import Loss, Scalar, Vector


@dataclass(frozen=True)
class Shards:
    """The ``count`` s disjoint micro-batches of every run's mini-batch, as b s lanes, those of a run adjacent.

    loss: that of each micro-batch separately. split(w): the point w for every micro-batch of its run, as its samples
    need it: it has gradients, but no inner products. mean(u): the mean of directions over a run's micro-batches.
    """

    loss: Loss
    count: int
    split: Callable[[Vector], Vector]
    mean: Callable[[Vector], Vector]

    def average(self, u: Callable[[Loss, Vector, Scalar], Vector], w: Vector, x: Scalar) -> Vector:
        """Return the mean over a run's micro-batches of u(loss, w, x), x a number or one per run [b]."""
        each = x.repeat_interleave(self.count) if isinstance(x, Tensor) and x.ndim else x
        return self.mean(u(self.loss, self.split(w), each))


def whole(loss: Loss) -> Shards:
    """Return the mini-batch as its only micro-batch; every result equals that of the batch itself."""
    return Shards(loss, 1, split=lambda w: w, mean=lambda u: u)


def cut(loss: Loss, size: int) -> Tensor:
    """Return the samples [b, s, size] of the micro-batches, in the order in which the mini-batch was drawn.

    So they are random and differ at every step, for the whole set too.
    """
    return loss.order.reshape(len(loss.batch), -1, size)


def repeated(w: Vector, count: int) -> Vector:
    """Repeat explicit parameters for each of a run's micro-batches."""
    return w.map(lambda leaf: leaf[:, None].expand(-1, count, *leaf.shape[1:]).flatten(0, 1))


def averaged(u: Vector, count: int) -> Vector:
    """Return the mean over a run's micro-batches of directions of explicit parameters."""
    return u.map(lambda leaf: leaf.unflatten(0, (-1, count)).mean(1))
