"""The Gram engine with its hot loops fused for a CPU: the same numbers as gram.py, in a fraction of the passes."""

from __future__ import annotations

import torch
from torch import Tensor

from featlearn.engines import kernels
from featlearn.engines.gram import GramEngine
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Vector


class FusedGramEngine(GramEngine):
    """GramEngine for tensors on a CPU; only the product with G is left to torch."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._labels = problem.labels.numpy(), problem.true_labels.numpy()
        self._numbers = (
            kernels.KINDS[problem.activation.name],
            problem.scale,
            problem.noise_count,
            problem.n_noises,
            problem.bias,
        )

    def gradient(self, w: Vector, batch: Tensor) -> Vector:
        """Return the gradient of sum_i batch_i log(1 + exp(-y_i f_i)) at w (see GramEngine.gradient)."""
        align = w.leaves[2]
        coef = torch.empty_like(align)
        kernels.gradient_coef(align.numpy(), *self._labels, batch.numpy(), coef.numpy(), *self._numbers)
        return Vector((torch.zeros_like(w.leaves[0]), coef, coef @ self.problem.gram))

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b] (see GramEngine.inner)."""
        out = torch.empty_like(u.leaves[0])
        (alpha_u, coef_u, _), (alpha_v, coef_v, align_v) = u.leaves, v.leaves
        known = self.problem.align0, self._init_square
        kernels.inner(*(x.numpy() for x in (alpha_u, coef_u, alpha_v, coef_v, align_v, *known, out)))
        return out
