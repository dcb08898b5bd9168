"""The Gram engine with its hot loops fused for a CPU: the same numbers as gram.py, in a fraction of the passes."""

from __future__ import annotations

import torch
from torch import Tensor

from featlearn.engines import kernels
from featlearn.engines.fused_curvature import FusedGramCurvature
from featlearn.engines.gram import GramEngine
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Vector
from featlearn.models.kernels import KINDS


class FusedGramEngine(GramEngine):
    """GramEngine for tensors on a CPU; only the product with G is left to torch, in float64."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._true_labels = problem.true_labels.numpy()
        self._numbers = (
            KINDS[problem.activation.name],
            problem.scale,
            problem.noise_count,
            problem.n_noises,
            problem.bias,
        )

    def gradient(self, w: Vector, batch: Tensor, labels: Tensor | None = None) -> Vector:
        """Return the gradient of sum_i batch_i log(1 + exp(-y_i f_i)) at w (see GramEngine.gradient)."""
        align = w.leaves[2]
        labels = self.problem.labels if labels is None else labels
        coef = torch.empty_like(align)
        samples = labels.numpy(), self._true_labels, batch.numpy()
        kernels.gradient_coef(align.numpy(), *samples, coef.numpy(), *self._numbers)
        return Vector((torch.zeros_like(w.leaves[0]), coef, self._times_gram(coef)))

    def curvature(self, w: Vector, batch: Tensor) -> FusedGramCurvature:
        """Return the Hessian at w of sum_i batch_i log(1 + exp(-y_i f_i))."""
        return FusedGramCurvature(self._patches, w.leaves[2], batch)

    def _times_gram(self, coef: Tensor) -> Tensor:
        """Return coef G. In float32 the bits of torch's batched product depend on a run's place in the batch."""
        gram = self.problem.gram
        if coef.dtype == torch.float64:
            return coef @ gram
        out = torch.empty_like(coef)
        kernels.product(coef.numpy(), gram.numpy(), out.numpy())
        return out

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b] (see GramEngine.inner)."""
        out = torch.empty_like(u.leaves[0])
        (alpha_u, coef_u, _), (alpha_v, coef_v, align_v) = u.leaves, v.leaves
        known = self.problem.align0, self._init_square
        kernels.inner(*(x.numpy() for x in (alpha_u, coef_u, alpha_v, coef_v, align_v, *known, out)))
        return out
