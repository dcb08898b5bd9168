"""The patches of a training set as compiled loops take them: rows padded with zeros, in the columns of kernels.py."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from featlearn.engines.span.geometry import PatchGeometry
from featlearn.linalg import eigvalsh
from featlearn.tiles import padded

REGULAR = 1e-4  # smallest over largest eigenvalue of G, from which on coefficients are as good as coordinates


class WideGeometry(PatchGeometry):
    """PatchGeometry with what the compiled loops take of it, in float64, in rows of ``width`` columns."""

    @property
    def width(self) -> int:
        """Columns of a row: k, one more for -signal, and zeros."""
        return padded(self.problem.gram.shape[2] + 1, torch.float64.itemsize)

    def columns(self, x: Tensor) -> Tensor:
        """Put patches [..., N] where the loops look for them, [..., width]: -signal behind all data vectors."""
        out = x.new_zeros(*x.shape[:-1], self.width)
        out[..., 0], out[..., self.problem.gram.shape[2]], out[..., 1 : x.shape[-1] - 1] = (
            x[..., 0],
            x[..., 1],
            x[..., 2:],
        )
        return out

    @cached_property
    def wide_gram(self) -> Tensor:
        """G, [b, k, width]."""
        gram = self.problem.gram.double()
        return pad(gram, (0, self.width - gram.shape[2]))

    @cached_property
    def patch_gram(self) -> Tensor:
        """Inner products of the patches, [b, width, width]."""
        return self.columns(self.columns(self.gram).mT)

    @cached_property
    def wide_rows(self) -> tuple[Tensor, Tensor]:
        """The patches in orthonormal coordinates, [b, k, width], and transposed, [b, width, width]."""
        rows = self.columns(self.rows)
        return rows, pad(rows.mT, (0, self.width - rows.shape[1]))

    @cached_property
    def regular(self) -> Tensor:
        """Is G far from singular? [b]."""
        values = eigvalsh(self.problem.gram.double())
        regular: Tensor = values[:, 0] > REGULAR * values[:, -1]
        return regular
