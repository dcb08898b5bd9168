"""The Gram engine's Hessian with Lanczos' method fused for a CPU: gram_curvature.py in a fraction of the time."""

from __future__ import annotations

import math

from torch import Tensor

from featlearn.engines import lanczos_kernels as kernels
from featlearn.engines.gram_curvature import GramCurvature
from featlearn.engines.lanczos import TOLERANCE, normals
from featlearn.tiles import pad_columns


class FusedGramCurvature(GramCurvature):
    """GramCurvature for tensors on a CPU."""

    def _search(self, k: int, *, vectors: bool) -> tuple[Tensor, Tensor]:
        assert self._bends is not None
        geometry, (b, f, _) = self._geometry, self._slopes.shape
        rows, columns = (pad_columns(x.numpy()) for x in (geometry.rows, geometry.rows.mT))
        slopes, bends = (pad_columns(x.numpy()) for x in (self._slopes, self._bends))
        size = f * geometry.rows.shape[1]
        start = normals(size, 0, self._slopes)
        values = start.new_full((b, k), math.nan)
        found = start.new_full((b, k if vectors else 0, f, rows.shape[1]), math.nan)
        positive = geometry.problem.true_labels > 0
        first = pad_columns((start / start.norm()).reshape(f, -1).numpy())
        arrays = (first, slopes, bends, self._loss_bend.numpy(), positive.numpy(), rows, columns)
        kernels.largest(*arrays, TOLERANCE, values.numpy(), found.numpy())
        return values, found.flatten(2).mT
