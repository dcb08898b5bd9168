"""What the engines with explicit parameters share: coordinates, and gradients by autograd of the samples' losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.autograd_curvature import AutogradCurvature
from featlearn.engines.protocol import Vector


class AutogradEngine(ABC):
    """Parameters as tensors with a leading axis b; a subclass gives the initial ones and the ``losses``."""

    _initial: Vector

    @abstractmethod
    def losses(self, w: Vector, labels: Tensor | None = None) -> Tensor:
        """Return the loss of every training sample, [b, n], differentiable in the leaves of w as often as you like.

        labels [b, n] stand in for the training set's own where given.
        """

    def initial(self) -> Vector:
        """Return the parameters before the first step."""
        return self._initial

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return the sum over all coordinates of u v, [b]."""
        products = [(a * b).flatten(1).sum(1) for a, b in zip(u.leaves, v.leaves, strict=True)]
        return torch.stack(products).sum(0)

    def gradient(self, w: Vector, batch: Tensor, labels: Tensor | None = None) -> Vector:
        """Return the gradient of sum_i batch_i loss_i at w."""
        leaves = tuple(leaf.detach().requires_grad_() for leaf in w.leaves)
        total = (batch * self.losses(Vector(leaves), labels)).sum()
        return Vector(torch.autograd.grad(total, leaves))

    def curvature(self, w: Vector, batch: Tensor) -> AutogradCurvature:
        """Return the Hessian at w of sum_i batch_i loss_i."""
        return AutogradCurvature(self.losses, w, batch)

    def normal(self, rngs: Sequence[np.random.Generator]) -> Vector:
        """Return a direction of independent standard normal coordinates, each run's from its own generator."""

        def drawn(like: Tensor) -> Tensor:
            return torch.as_tensor(np.stack([rng.standard_normal(like.shape[1:]) for rng in rngs])).to(like)

        return Vector(tuple(drawn(leaf) for leaf in self._initial.leaves))
