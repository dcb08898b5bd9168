"""The Gram engine with its hot loops fused for a CPU: the same numbers as gram.py, in a fraction of the passes."""

from __future__ import annotations

from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from featlearn.engines import kernels
from featlearn.engines.fused_curvature import FusedGramCurvature
from featlearn.engines.fused_shards import ShardedGramEngine
from featlearn.engines.packed import PackedVector, pack
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Vector
from featlearn.engines.wide_geometry import WideGeometry
from featlearn.models.kernels import KINDS
from featlearn.tiles import pad_columns


class FusedGramEngine(ShardedGramEngine):
    """GramEngine for tensors on a CPU; its Vectors are packed."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        _keep_freed_memory()
        self._initial = cast(PackedVector, super().initial())
        self._gram = pad_columns(problem.gram.numpy(), least=self._initial.rows.shape[2])
        self._true_labels = problem.true_labels.numpy()
        self._numbers = (
            KINDS[problem.activation.name],
            problem.scale,
            problem.noise_count,
            problem.n_noises,
            problem.bias,
        )

    def initial(self) -> Vector:
        """Return W0: alpha = 1, C = 0."""
        return self._initial

    def vector(self, alpha: Tensor, coef: Tensor, align: Tensor) -> Vector:
        """Return alpha W0 + C V, whose alignments are ``align``."""
        return pack(alpha, coef, align)

    def gradient(self, w: Vector, batch: Tensor, labels: Tensor | None = None) -> Vector:
        """Return the gradient of sum_i batch_i log(1 + exp(-y_i f_i)) at w (see GramEngine.gradient)."""
        start, part, factors = cast(PackedVector, w).terms
        rows, squares = torch.empty_like(start), start.new_empty(len(start))
        kernels.gradient(
            start.numpy(),
            part.numpy(),
            factors.numpy(),
            part is not start,
            (self.problem.labels if labels is None else labels).numpy(),
            self._true_labels,
            batch.numpy(),
            self._gram,
            rows.numpy(),
            squares.numpy(),
            *self._numbers,
        )
        return PackedVector((rows,), n_vectors=self._gram.shape[1], square=squares)

    def curvature(self, w: Vector, batch: Tensor) -> FusedGramCurvature:
        """Return the Hessian at w of sum_i batch_i log(1 + exp(-y_i f_i))."""
        return FusedGramCurvature(self._patches, w.leaves[2], batch, self.vector)

    @cached_property
    def _patches(self) -> WideGeometry:
        return WideGeometry(self.problem)

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b] (see GramEngine.inner); of a gradient with itself it is known."""
        u, v = cast(PackedVector, u), cast(PackedVector, v)
        if u is v and (known := u.own_square) is not None:
            return known
        out = self._init_square.new_empty(len(self._init_square))
        arrays = u.rows, v.rows, self._initial.rows, self._init_square, out
        kernels.inner(*(x.numpy() for x in arrays))
        return out


def _keep_freed_memory() -> None:
    """Make the C library keep the memory of vectors that are no longer used, in place of fresh pages for every step.

    glibc hands freed memory back to the system at twice the size of the largest block that it mapped alone and that was
    freed, of those up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD); these pages are never touched.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
