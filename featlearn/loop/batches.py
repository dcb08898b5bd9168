"""Which samples a step is taken on."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from featlearn.streams.lanes import permutations


class MiniBatches:
    """Sample weights [b, n] of every step: 1/B on the batch, 0 elsewhere.

    Each epoch shuffles the samples of a run by its own stream, found from its seed in ``seeds`` [b], and cuts them into
    batches of ``size``; the last one is smaller where that does not divide n. A full batch draws nothing. ``like``
    [b, n] gives shape, precision and device.
    """

    def __init__(self, seeds: Tensor, size: int, like: Tensor) -> None:
        self._seeds, self._size, self._like = seeds, size, like

    def indices(self) -> Iterator[Tensor]:
        """Yield the samples [b, size] of the batch of each step, for ever."""
        epoch, n = 0, self._like.shape[1]
        while True:
            yield from torch.split(permutations(self._seeds, "batches", n, epoch), self._size, 1)
            epoch += 1

    def weights(self) -> Iterator[Tensor]:
        """Yield the sample weights [b, n] of each step, for ever."""
        n = self._like.shape[1]
        if self._size == n:
            full = torch.full_like(self._like, 1 / n)
            while True:
                yield full
        for chosen in self.indices():
            yield torch.zeros_like(self._like).scatter_(1, chosen, 1 / chosen.shape[1])
