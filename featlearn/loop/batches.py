"""The samples of each step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Self

import torch
from torch import Tensor

from featlearn.engines.batches import batch_weights, resampled, shuffled, subset
from featlearn.engines.loss import Loss
from featlearn.engines.protocol import Engine
from featlearn.runs import Train
from featlearn.types import BatchSampling


class MiniBatches:
    """The mini-batches of every step, of ``size`` samples, and the noise of their gradients.

    Every run draws from its own streams, by its seed in ``seeds`` [b]. sampling: with ``epochs`` each epoch shuffles
    the samples and cuts them into batches, the last one smaller where ``size`` does not divide n; with
    ``without_replacement`` each step draws a fresh subset; with ``with_replacement`` independent samples, so that one
    may be drawn several times, also where ``size`` is n. A full batch without replacement is shuffled only when its
    order is used (see Loss.order). gradient_noise: see Loss. ``like`` [b, n] gives shape, precision and device.
    """

    def __init__(
        self,
        seeds: Tensor,
        size: int,
        like: Tensor,
        sampling: BatchSampling = "epochs",
        gradient_noise: float = 0.0,
    ) -> None:
        self._seeds, self._size, self._like = seeds, size, like
        self._sampling, self._noise = sampling, gradient_noise
        self._replacement = sampling == "with_replacement"
        self._whole = size == like.shape[1] and not self._replacement

    @classmethod
    def of(cls, train: Train, engine: Engine) -> Self:
        """Return the mini-batches of the runs of an engine."""
        return cls(engine.seeds, train.batch_size, engine.labels, train.batch_sampling, train.gradient_noise)

    def indices(self) -> Iterator[Tensor]:
        """Yield the samples [b, size] of the batch of each step, without end."""
        n = self._like.shape[1]
        if self._sampling == "epochs" or self._whole:
            for epoch in count():
                yield from torch.split(shuffled(self._seeds, n, epoch), self._size, 1)
        draw, name = (resampled, "resample") if self._replacement else (subset, "subset")
        for t in count():
            yield draw(self._seeds, name, n, self._size, t)

    def losses(self, engine: Engine) -> Iterator[Loss]:
        """Yield the loss on the batch of each step, without end."""
        loss = partial(Loss, engine, replacement=self._replacement, gradient_noise=self._noise)
        if self._whole:
            full = torch.full_like(self._like, 1 / self._like.shape[1])
            for t in count():
                yield loss(full, step=t)
        for t, samples in enumerate(self.indices()):
            yield loss(batch_weights(samples, self._like), samples, t)
