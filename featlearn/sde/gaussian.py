"""Drift and noise where the gradient has Gaussian noise, g + s Z: in closed form, or from draws of Z."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featlearn.engines.algebra import Algebra
from featlearn.sde.systems import System, n_parameters

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.loss import Loss
    from featlearn.engines.vector import Vector


@dataclass(frozen=True, kw_only=True)
class Gaussian(System):
    """Gradients with the noise s Z, in closed form."""

    @property
    def n_noises(self) -> int:
        """One a parameter."""
        return n_parameters(self.loss)

    def increment(self, w: Vector, h: float, dw: Tensor | None) -> Vector:
        """Return -rate (h E[D] + noise)."""
        loss, s = self.loss.full, self.loss.gradient_noise
        x = None if dw is None else loss.engine.unflattened(dw)
        return -self.rate * self.limit.gaussian(loss, w, self.strength(w), s, h, x)


@dataclass(frozen=True, kw_only=True)
class SampledGaussian(System):
    """Gradients with the noise s Z, from draws of Z for this substep: draws [b, P D]."""

    draws: Tensor
    n_sets: int

    @property
    def n_noises(self) -> int:
        """One a draw."""
        return self.n_sets

    def increment(self, w: Vector, h: float, dw: Tensor | None) -> Vector:
        """Return -rate times the weighted sum of directions."""
        loss, s, strength = self.loss.full, self.loss.gradient_noise, self.strength(w)
        weights = self.loss.batch.new_full((len(self.draws), self.n_sets), h / self.n_sets)
        if dw is not None:
            weights = weights + (dw - dw.mean(1, keepdim=True)) / math.sqrt(self.n_sets - 1)
        total = 0.0 * w
        for weight, z in zip(weights.unbind(1), self.draws.chunk(self.n_sets, 1), strict=True):
            noisy: Any = Shifted(loss, s * loss.engine.unflattened(z))
            total = total + weight * self.limit.direction(noisy, w, strength)
        return -self.rate * total


@dataclass(frozen=True)
class Shifted(Algebra):
    """A loss with a constant added to its gradient: the noise of one draw."""

    loss: Loss
    shift: Vector

    @property
    def full(self) -> Loss:
        """The loss without the noise."""
        return self.loss.full

    def gradient(self, w: Vector) -> Vector:
        """Return the gradient with its noise."""
        return self.loss.gradient(w) + self.shift

    def linearize(self, w: Vector) -> tuple[Vector, Callable[[Vector], Vector]]:
        """Return the gradient with its noise, and the function v -> H v."""
        g, hvp = self.loss.linearize(w)
        return g + self.shift, hvp

    def third(self, w: Vector, v: Vector) -> Vector:
        """Return D3[v, v]."""
        return self.loss.third(w, v)

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>."""
        return self.loss.inner(u, v)
