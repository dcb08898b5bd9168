"""The Gram engine's Hessian with Lanczos' method fused for a CPU: gram_curvature.py in a fraction of the time."""

from __future__ import annotations

import math

from torch import Tensor

from featlearn.engines import lanczos_kernels as kernels
from featlearn.engines.gram_curvature import GramCurvature
from featlearn.engines.lanczos import FIRST_CHECK, GROWTH, TOLERANCE


class FusedGramCurvature(GramCurvature):
    """GramCurvature for tensors on a CPU."""

    def _search(self, start: Tensor, k: int) -> tuple[Tensor, Tensor]:
        assert self._bends is not None
        rows, positive = self._geometry.rows, self._geometry.problem.true_labels > 0
        start = start.reshape(*self._slopes.shape[:2], -1)
        values = start.new_full((len(start), k), math.nan)
        vectors = start.new_full((len(start), k, *start.shape[1:]), math.nan)
        inputs = (start, self._slopes, self._bends, self._loss_bend, positive, rows, rows.mT)
        arrays = [x.contiguous().numpy() for x in inputs]
        kernels.largest(*arrays, FIRST_CHECK, GROWTH, TOLERANCE, values.numpy(), vectors.numpy())
        return values, vectors.flatten(2).mT
