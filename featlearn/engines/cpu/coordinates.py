"""Coordinates of the span of the patches for compiled loops: float64, rows padded with zeros."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from featlearn.engines.span.coordinates import Coordinates
from featlearn.tiles import padded

REGULAR = 1e-4  # smallest nonzero over largest eigenvalue of G above which coefficients are as accurate as coordinates
ZERO = 1e-13  # an eigenvalue below this share of the largest one counts as zero


class WideCoordinates(Coordinates):
    """Coordinates with rows of ``width`` columns."""

    @property
    def width(self) -> int:
        """Columns of a row: N, then zeros."""
        return padded(self.gram.shape[2], torch.float64.itemsize)

    @cached_property
    def wide_gram(self) -> Tensor:
        """G, [b, N, width]."""
        return self._wide(self.gram)

    @cached_property
    def wide_factors(self) -> tuple[Tensor, Tensor]:
        """F', from coordinates to inner products with the patches, and F, its transpose, [b, N, width]."""
        return self._wide(self.factor.mT), self._wide(self.factor)

    @cached_property
    def _zeros(self) -> Tensor:
        """Which eigenvalues of G count as zero, [b, N]; they come first."""
        squares = self._roots[0].square()
        return squares < ZERO * squares[:, -1:]

    @cached_property
    def kernel(self) -> Tensor:
        """Orthonormal coefficients whose combinations of patches are 0, [b, q, width]; rows of 0 beyond a run's own."""
        count = int(self._zeros.sum(1).max())
        vectors = self._roots[1][:, :, :count] * self._zeros[:, None, :count]
        return self._wide(vectors.mT)

    @cached_property
    def regular(self) -> Tensor:
        """Whether the nonzero eigenvalues of G are of similar size, [b]."""
        squares = self._roots[0].square()
        return (self._zeros | (squares > REGULAR * squares[:, -1:])).all(1)

    def _wide(self, x: Tensor) -> Tensor:
        return pad(x, (0, self.width - x.shape[2]))
