"""Shared by the engines with explicit parameters: coordinates, and gradients of the samples' losses by autograd."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.explicit.curvature import AutogradCurvature
from featlearn.engines.protocol import Vector
from featlearn.streams.lanes import normals

FEW = 64  # numbers of a run


class AutogradEngine(ABC):
    """Parameters as tensors with a leading axis b; a subclass gives the initial ones and the ``losses``."""

    _initial: Vector
    seeds: Tensor

    @abstractmethod
    def losses(self, w: Vector, labels: Tensor | None = None) -> Tensor:
        """Return the loss of every training sample, [b, n], differentiable in the leaves of w any number of times.

        labels [b, n]: those of the training set unless given.
        """

    def initial(self) -> Vector:
        """Return the parameters before the first step."""
        return self._initial

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return the sum over all coordinates of u v, [b]."""
        products = [(a * b).flatten(1).sum(1) for a, b in zip(u.leaves, v.leaves, strict=True)]
        return products[0] if len(products) == 1 else torch.stack(products).sum(0)

    def isotropic(self, name: str, t: int) -> tuple[Vector, Tensor]:
        """Return a direction of standard normals, the draw ``name`` of step t, and the square of its norm, [b]."""
        u = self.unflattened(normals(self.seeds, name, sum(leaf[0].numel() for leaf in self._initial.leaves), t))
        return u, self.inner(u, u)

    def gradient(self, w: Vector, batch: Tensor, labels: Tensor | None = None) -> Vector:
        """Return the gradient of sum_i batch_i loss_i at w."""
        leaves = tuple(leaf.detach().requires_grad_() for leaf in w.leaves)
        total = (batch * self.losses(Vector(leaves), labels)).sum()
        return Vector(torch.autograd.grad(total, leaves))

    def linearize(
        self, w: Vector, batch: Tensor, labels: Tensor | None = None
    ) -> tuple[Vector, Callable[[Vector], Vector]]:
        """Return the gradient of sum_i batch_i loss_i at w, and the function v -> H v, from one pass forward."""
        leaves = tuple(leaf.detach().requires_grad_() for leaf in w.leaves)
        losses = self.losses(Vector(leaves), labels)
        gradients = torch.autograd.grad(losses, leaves, batch, create_graph=True, materialize_grads=True)

        def hvp(v: Vector) -> Vector:
            bent = [i for i, g in enumerate(gradients) if g.requires_grad]
            if not bent:  # a linear loss
                return 0.0 * v
            outputs, along = [gradients[i] for i in bent], [v.leaves[i] for i in bent]
            found = torch.autograd.grad(outputs, leaves, along, retain_graph=True, materialize_grads=True)
            return Vector(found)

        return Vector(tuple(g.detach() for g in gradients)), hvp

    def third(self, w: Vector, batch: Tensor, v: Vector) -> Vector:
        """Return D3[v, v], the gradient of v' H v at fixed v, H being the Hessian of sum_i batch_i loss_i at w."""
        leaves = tuple(leaf.detach().requires_grad_() for leaf in w.leaves)
        total, fixed = (batch * self.losses(Vector(leaves))).sum(), v.leaves
        for _ in range(2):
            gradients = torch.autograd.grad(total, leaves, create_graph=True, materialize_grads=True)
            total = torch.stack([(g * x).sum() for g, x in zip(gradients, fixed, strict=True)]).sum()
            if not total.requires_grad:  # nothing left to differentiate: a polynomial of low degree
                return 0.0 * v
        return Vector(torch.autograd.grad(total, leaves, materialize_grads=True))

    def unflattened(self, rows: Tensor) -> Vector:
        """Return the vector whose coordinates, leaf by leaf, are ``rows`` [b, D]."""
        parts = iter(torch.split(rows, [leaf[0].numel() for leaf in self._initial.leaves], 1))
        return self._initial.map(lambda leaf: lanes_inside(next(parts).reshape(leaf.shape).to(leaf.dtype)))

    @abstractmethod
    def double(self) -> Self:
        """Return the engine with the data of its losses in float64."""

    def curvature(self, w: Vector, batch: Tensor) -> AutogradCurvature:
        """Return the Hessian at w of sum_i batch_i loss_i."""
        exact = self if batch.dtype == torch.float64 else self.double()
        return AutogradCurvature(exact.losses, w, batch)

    def normal(self, rngs: Sequence[np.random.Generator]) -> Vector:
        """Return a direction of independent standard normal coordinates, each run's from its own generator."""

        def drawn(like: Tensor) -> Tensor:
            return torch.as_tensor(np.stack([rng.standard_normal(like.shape[1:]) for rng in rngs])).to(like)

        return Vector(tuple(drawn(leaf) for leaf in self._initial.leaves))


def lanes_inside(x: Tensor) -> Tensor:
    """Return x [b, ...] laid out with neighbouring runs side by side, where a run has few numbers.

    Torch's inner loops then run over the runs, and not over a few numbers of each: several times faster for many runs.
    """
    return x.movedim(0, -1).contiguous().movedim(-1, 0) if 1 < x[0].numel() <= FEW else x
