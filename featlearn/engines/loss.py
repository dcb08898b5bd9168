"""The training loss on a mini-batch, as an update rule sees it: an Objective (see protocol.py) in the engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from featlearn.engines.algebra import Algebra
from featlearn.engines.batches import batch_weights, resampled, shuffled, subset
from featlearn.engines.random_direction import Distribution, isotropic
from featlearn.engines.vector import Scalar, Vector, spread
from featlearn.streams.lanes import uniforms


@dataclass(frozen=True)
class Loss(Algebra):
    """The training loss on the mini-batch of a step, as an update rule sees it, and the further draws of the step.

    engine: see protocol.Engine. batch [b, n]: sample weights of the mini-batch. samples [b, B]: its samples in the
    order they were drawn, None for the whole set, whose order is drawn on first use. step: t, which determines the
    draws of a step. labels [b, n]: the observed ones unless given. replacement: whether the samples were drawn with
    replacement. gradient_noise: s; every gradient of the loss is that of the mini-batch plus s Z, with one Z for all
    gradients of a step. noise_stream: the name of the draw of Z.
    """

    engine: Any
    batch: Tensor
    samples: Tensor | None = None
    step: int = 0
    labels: Tensor | None = None
    replacement: bool = False
    gradient_noise: float = 0.0
    noise_stream: str = "gradient noise"

    @property
    def size(self) -> int:
        """The number of samples of the mini-batch."""
        return (self.batch if self.samples is None else self.samples).shape[1]

    @property
    def order(self) -> Tensor:
        """The samples of the mini-batch in the order they were drawn, [b, B]; the whole set is an epoch of one step."""
        if self.samples is None:
            return shuffled(self.engine.seeds, self.batch.shape[1], self.step)
        return self.samples

    def gradient(self, w: Vector) -> Vector:
        """Return the mini-batch gradient at w, plus s Z."""
        gradient: Vector = self.engine.gradient(w, self.batch, self.labels)
        return gradient + self.gradient_noise * self.injected if self.gradient_noise else gradient

    @cached_property
    def injected(self) -> Vector:
        """Z of this step, before its factor s: independent standard normals over all parameters."""
        z: Vector = self.engine.isotropic(self.noise_stream, self.step)[0]
        return z

    def linearize(self, w: Vector) -> tuple[Vector, Callable[[Vector], Vector]]:
        """Return the mini-batch gradient at w, and the function v -> H v, H the Hessian of the mini-batch's loss."""
        g, hvp = self.engine.linearize(w, self.batch, self.labels)
        return g + self.gradient_noise * self.injected if self.gradient_noise else g, hvp

    def hvp(self, w: Vector, v: Vector) -> Vector:
        """Return H v, H the Hessian of the mini-batch's loss at w."""
        return self.linearize(w)[1](v)

    def third(self, w: Vector, v: Vector) -> Vector:
        """Return the gradient of v' H v at fixed v, H being the Hessian of the mini-batch's loss at w."""
        derivative: Vector = self.engine.third(w, self.batch, v)
        return derivative

    @property
    def full(self) -> Loss:
        """The loss on the whole training set, without gradient noise."""
        whole = torch.full_like(self.batch, 1 / self.batch.shape[1])
        return replace(self, batch=whole, samples=None, gradient_noise=0.0)

    @property
    def other(self) -> Loss:
        """The loss on another mini-batch of the same size and with other noise, drawn independently of this one."""
        noisy = replace(self, noise_stream="other gradient noise") if self.gradient_noise else self
        if self.samples is None:
            return noisy
        draw = resampled if self.replacement else subset
        samples = draw(self.engine.seeds, "other batch", self.batch.shape[1], self.size, self.step)
        return replace(noisy, batch=batch_weights(samples, self.batch), samples=samples)

    def flipped(self, probability: Scalar) -> Loss:
        """Return the loss with every label made wrong with probability ``probability``, drawn anew at each step."""
        n = self.batch.shape[1]
        draws, others = (uniforms(self.engine.seeds, name, n, self.step) for name in ("label noise", "other label"))
        labels = self.engine.labels if self.labels is None else self.labels
        return replace(self, labels=self.engine.flipped(labels, draws <= spread(probability, draws), others))

    def isotropic(self, law: Distribution) -> Vector:
        """Return a random direction: uniform on the unit sphere or in its ball, or Gaussian with mean square norm 1."""
        return isotropic(self.engine, law, self.step)

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b]."""
        product: Tensor = self.engine.inner(u, v)
        return product
