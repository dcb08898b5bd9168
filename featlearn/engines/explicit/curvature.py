"""The Hessian of a loss of explicit weights, by products with vectors: autograd twice, never finite differences.

It applies to any losses [b, n] of the samples that are a differentiable function of the weights, where every run's
losses depend on its own weights alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from featlearn.engines.lanczos import lanczos, largest, normals
from featlearn.engines.protocol import Vector
from featlearn.linalg import eigh

DENSE = 64  # parameters up to which the whole matrix is built
AT_ONCE = 64  # products in one call


class AutogradCurvature:
    """The Hessian at w of sum_i batch_i losses(w)_i; see the protocol Curvature.

    Eigenvalues come from the whole matrix up to DENSE parameters, beyond that from Lanczos' method. The trace is exact
    and costs one product with the Hessian for every parameter. Everything is computed in float64, since products in
    float32 overflow; where H itself overflows, the results are NaN.
    """

    def __init__(self, losses: Callable[[Vector], Tensor], w: Vector, batch: Tensor) -> None:
        """``losses`` takes w in float64; w may have another precision, which the results share."""
        self._dtype = batch.dtype
        self._leaves = tuple(leaf.detach().double().requires_grad_() for leaf in w.leaves)
        total = (batch.double() * losses(Vector(self._leaves))).sum()
        gradients = torch.autograd.grad(total, self._leaves, create_graph=True)
        self._gradient = torch.cat([g.flatten(1) for g in gradients], 1)

    def top(self, k: int) -> Tensor:
        """Return the k eigenvalues of largest absolute value, in that order, [b, k]."""
        return self._spectrum(k)[0][:, :k].to(self._dtype)

    def principal(self) -> Vector:
        """Return a unit eigenvector of the eigenvalue of largest absolute value; zero where H = 0."""
        values, vectors = self._spectrum(1)
        return self._vector(vectors[..., 0] * (values[:, :1] != 0))

    def trace(self) -> Tensor:
        """Return the sum of all eigenvalues, [b]."""
        diagonals = [rows.diagonal(start, 1, 2).sum(1) for start, rows in self._rows()]
        trace = torch.stack(diagonals).sum(0)
        return trace.where(trace.isfinite(), math.nan).to(self._dtype)

    def hvp(self, v: Vector) -> Vector:
        """Return H v."""
        return self._vector(self._product(torch.cat([leaf.double().flatten(1) for leaf in v.leaves], 1)))

    def _product(self, x: Tensor, *, several: bool = False) -> Tensor:
        """Return H x for x [b, D], or with ``several`` for [s, b, D]."""
        if not self._gradient.requires_grad:  # a loss that is linear in all of w
            return torch.zeros_like(x)
        found = torch.autograd.grad(
            self._gradient, self._leaves, x, retain_graph=True, is_grads_batched=several, materialize_grads=True
        )
        return torch.cat([h.flatten(2 if several else 1) for h in found], -1).detach()

    def _vector(self, flat: Tensor) -> Vector:
        sizes = [leaf[0].numel() for leaf in self._leaves]
        parts = zip(torch.split(flat, sizes, 1), self._leaves, strict=True)
        return Vector(tuple(part.reshape(leaf.shape).to(self._dtype) for part, leaf in parts))

    def _rows(self) -> Iterator[tuple[int, Tensor]]:
        """Yield the matrix in pieces [b, rows, D], each with the number of its first row."""
        b, dim = self._gradient.shape
        for start in range(0, dim, AT_ONCE):
            rows = torch.eye(dim, dtype=self._gradient.dtype, device=self._gradient.device)[start : start + AT_ONCE]
            yield start, self._product(rows[:, None].expand(-1, b, -1), several=True).swapaxes(0, 1)

    @cached_property
    def _dense(self) -> tuple[Tensor, Tensor]:
        matrix = torch.cat([rows for _, rows in self._rows()], 1)
        return largest(*eigh((matrix + matrix.mT) / 2), matrix.shape[1])

    def _spectrum(self, k: int) -> tuple[Tensor, Tensor]:
        """Return at least k eigenvalues with their vectors."""
        b, dim = self._gradient.shape
        if dim <= DENSE:
            return self._dense
        return lanczos(self._product, normals(dim, k, self._gradient), b)
