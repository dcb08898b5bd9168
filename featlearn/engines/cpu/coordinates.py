"""The span of the patches as compiled loops take it: in float64, in rows padded with zeros."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from featlearn.engines.span.coordinates import Coordinates
from featlearn.linalg import eigvalsh
from featlearn.tiles import padded

REGULAR = 1e-4  # smallest nonzero over largest eigenvalue of G, from which on coefficients are as good as coordinates
ZERO = 1e-13  # share of the largest eigenvalue up to which one is rounding of zero


class WideCoordinates(Coordinates):
    """Coordinates with rows of ``width`` columns."""

    @property
    def width(self) -> int:
        """Columns of a row: N, and zeros."""
        return padded(self.gram.shape[2], torch.float64.itemsize)

    @cached_property
    def wide_gram(self) -> Tensor:
        """G, [b, N, width]."""
        return self._wide(self.gram)

    @cached_property
    def wide_factors(self) -> tuple[Tensor, Tensor]:
        """F', from coordinates to inner products with the patches, and F, back, [b, N, width]."""
        return self._wide(self.factor.mT), self._wide(self.factor)

    @cached_property
    def regular(self) -> Tensor:
        """Are the nonzero eigenvalues of G of one size? [b]. What is in its kernel does no harm to coefficients."""
        values = eigvalsh(self.gram)
        share = values / values[:, -1:]
        regular: Tensor = ((share < ZERO) | (share > REGULAR)).all(1)
        return regular

    def _wide(self, x: Tensor) -> Tensor:
        return pad(x, (0, self.width - x.shape[2]))
