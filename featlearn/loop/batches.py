"""The samples of each step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import torch
from torch import Tensor

from featlearn.engines.loss import Loss, batch_weights, shuffled
from featlearn.engines.protocol import Engine


class MiniBatches:
    """The mini-batches of every step.

    Each epoch shuffles the samples of a run with its own stream, from its seed in ``seeds`` [b], and cuts them into
    batches of ``size``; the last one is smaller where that does not divide n. A full batch is shuffled only when
    its order is used (see Loss.order). ``like`` [b, n] gives shape, precision and device.
    """

    def __init__(self, seeds: Tensor, size: int, like: Tensor) -> None:
        self._seeds, self._size, self._like = seeds, size, like

    def indices(self) -> Iterator[Tensor]:
        """Yield the samples [b, size] of the batch of each step, without end."""
        epoch, n = 0, self._like.shape[1]
        while True:
            yield from torch.split(shuffled(self._seeds, n, epoch), self._size, 1)
            epoch += 1

    def losses(self, engine: Engine) -> Iterator[Loss]:
        """Yield the loss on the batch of each step, without end."""
        n = self._like.shape[1]
        if self._size == n:
            full = torch.full_like(self._like, 1 / n)
            for t in count():
                yield Loss(engine, full, step=t)
        for t, samples in enumerate(self.indices()):
            yield Loss(engine, batch_weights(samples, self._like), samples, t)
