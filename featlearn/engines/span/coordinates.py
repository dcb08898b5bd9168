"""Orthonormal coordinates of the span of the patches."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from featlearn.linalg import eigh


class Coordinates:
    """The patches X = F Q with orthonormal rows Q, from the eigenvalues of their Gram matrix G [b, N, N].

    G may be singular: one patch may be the negative of another, or there may be more patches than dimensions.
    """

    def __init__(self, gram: Tensor) -> None:
        self.gram = gram.double()
        self._rounding = max(64, gram.shape[1]) * torch.finfo(gram.dtype).eps

    @cached_property
    def _roots(self) -> tuple[Tensor, Tensor]:
        """Square roots of G's eigenvalues [b, N], ascending, and its eigenvectors [b, N, N], as columns."""
        values, vectors = eigh(self.gram)
        return values.clamp(min=0).sqrt(), vectors

    @cached_property
    def _counts(self) -> Tensor:
        """Which of the roots are nonzero up to rounding, [b, N]."""
        roots = self._roots[0]
        return roots.square() > self._rounding * roots[:, -1:].square()

    @property
    def rank(self) -> Tensor:
        """The dimension of the span, [b]."""
        return self._counts.sum(1)

    @cached_property
    def factor(self) -> Tensor:
        """F [b, N, N] with F F' = G: its rows are the coordinates of the patches."""
        roots, vectors = self._roots
        return vectors * roots[:, None]

    @cached_property
    def inverse_factor(self) -> Tensor:
        """The pseudo-inverse of ``factor``, [b, N, N]: from coordinates to coefficients."""
        roots, vectors = self._roots
        return torch.where(self._counts, 1 / roots.where(self._counts, 1.0), 0.0)[:, :, None] * vectors.mT
