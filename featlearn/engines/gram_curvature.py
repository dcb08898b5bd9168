"""The Hessian of the training loss in the Gram engine: exact, batched, and without the dimension.

With c_i the weight of sample i, l its loss as a function of the output f_i, and g_i = grad f_i,

    H = sum_i c_i l''_i g_i g_i'  +  sum_i c_i l'_i Hess f_i.

Both act inside the span of the patches x_p, row by row of the filters: g_i has the row sum_p s_fp x_p for filter f,
with s_fp = scale j_f count_p act'(<w_f, x_p>) over the patches of sample i, and Hess f_i is the sum over patches of
scale j_f count_p act''(<w_f, x_p>) x_p x_p' on that row. For the ReLU act'' = 0 almost everywhere: H, where it exists,
is its first part, and its nonzero spectrum is that of the n x n matrix sqrt(c_i l''_i) <g_i, g_k> sqrt(c_k l''_k).

Everything is computed in float64: the bits of a run then do not depend on its neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from featlearn.engines.lanczos import eigh, eigvalsh, lanczos, largest, normals
from featlearn.engines.patch_geometry import PatchGeometry
from featlearn.engines.protocol import Vector
from featlearn.models.losses import logistic_bend, logistic_slope

DENSE = 64  # the largest matrix whose eigenvalues are found all at once


class GramCurvature:
    """The Hessian at the alignments ``align`` [b, f, k] of the loss with sample weights ``batch`` [b, n].

    For the ReLU the Hessian that exists almost everywhere; see the protocol Curvature.
    """

    def __init__(
        self, geometry: PatchGeometry, align: Tensor, batch: Tensor, vector: Callable[[Tensor, Tensor, Tensor], Vector]
    ) -> None:
        """``vector`` makes one of the engine's from alpha, coefficients and alignments (GramEngine.vector)."""
        p, self._geometry, self._dtype, self._make = geometry.problem, geometry, align.dtype, vector
        align, batch = align.double(), batch.double()
        on_patches = geometry.on_patches(align)
        margins = p.labels * p.outputs(p.signal_preactivations(align), p.noise_preactivations(align))
        weights = p.scale * p.signs * geometry.count
        self._slopes = weights * p.activation.slope(on_patches)
        self._loss_bend = batch * logistic_bend(margins)
        self._bends: Tensor | None = None
        if p.activation.bend is not None:
            self._bends = weights * p.activation.bend(on_patches)
            self._bends = self._bends * self._geometry.per_patch(batch * p.labels * logistic_slope(margins))[:, None]

    def top(self, k: int) -> Tensor:
        """Return the k eigenvalues of largest absolute value, in that order, [b, k]."""
        found = self._sample_values if self._bends is None else self._spectrum(k, vectors=False)[0]
        missing = found.new_zeros(len(found), max(k - found.shape[1], 0))  # all others are 0
        return torch.cat([found[:, :k], missing], 1).to(self._dtype)

    def principal(self) -> Vector:
        """Return a unit eigenvector of the eigenvalue of largest absolute value; zero where H = 0."""
        if self._bends is None:
            values, vectors = self._gauss_newton
            rows = self._geometry.combined(self._slopes * self._geometry.per_patch(self._root * vectors)[:, None])
            return self._vector(rows * _inverse(values.clamp(min=0).sqrt())[:, None, None])
        values, vectors = self._spectrum(1)
        coordinates = vectors[..., 0].reshape(*self._slopes.shape[:2], -1) * (values[:, :1, None] != 0)
        return self._vector(coordinates @ self._geometry.inverse_factor)

    def trace(self) -> Tensor:
        """Return the sum of all eigenvalues, [b]."""
        trace = (self._loss_bend * self._gradient_gram.diagonal(dim1=1, dim2=2)).sum(1)
        if self._bends is not None:
            trace = trace + (self._bends.sum(1) * self._geometry.gram.diagonal(dim1=1, dim2=2)).sum(1)
        return trace.to(self._dtype)

    def hvp(self, v: Vector) -> Vector:
        """Return H v."""
        return self._vector(self._geometry.combined(self._weights_of_product(self._geometry.on_patches(v.leaves[2]))))

    def _vector(self, coef: Tensor) -> Vector:
        align = coef @ self._geometry.problem.gram.double()
        return self._make(*(x.to(self._dtype) for x in (coef.new_zeros(len(coef)), coef, align)))

    def _weights_of_product(self, on_patches: Tensor) -> Tensor:
        """Return H v as weights on the patches, [b, f, N], from v's inner products with them."""
        outputs = self._loss_bend * self._geometry.per_sample(self._slopes * on_patches).sum(1)
        weights = self._slopes * self._geometry.per_patch(outputs)[:, None]
        return weights if self._bends is None else torch.addcmul(weights, self._bends, on_patches)

    @cached_property
    def _root(self) -> Tensor:
        return self._loss_bend.sqrt()

    @cached_property
    def _gradient_gram(self) -> Tensor:
        """<g_i, g_k>, [b, n, n]."""
        products = (self._slopes.mT @ self._slopes) * self._geometry.gram
        return self._geometry.per_sample(self._geometry.per_sample(products).mT)

    @property
    def _sample_matrix(self) -> Tensor:
        """The matrix over samples [b, n, n] that shares the nonzero eigenvalues of H's first part."""
        return self._root[:, :, None] * self._gradient_gram * self._root[:, None]

    @cached_property
    def _sample_values(self) -> Tensor:
        """Eigenvalues of ``_sample_matrix``, falling, [b, n]."""
        return eigvalsh(self._sample_matrix).flip(1)

    @cached_property
    def _gauss_newton(self) -> tuple[Tensor, Tensor]:
        """The largest eigenvalue of ``_sample_matrix`` [b] and its eigenvector [b, n]."""
        values, vectors = eigh(self._sample_matrix)
        return values[:, -1], vectors[..., -1]

    def _spectrum(self, k: int, *, vectors: bool = True) -> tuple[Tensor, Tensor]:
        """Return at least k eigenvalues of the whole H, or all in the span, with vectors in coordinates of the span."""
        size = self._slopes.shape[1] * self._geometry.rows.shape[1]
        return self._dense if size <= DENSE else self._search(min(k, size), vectors=vectors)

    def _search(self, k: int, *, vectors: bool) -> tuple[Tensor, Tensor]:
        """Return k eigenvalues and eigenvectors of H by Lanczos' method, in orthonormal coordinates of the span."""
        b, f, _ = self._slopes.shape

        def product(x: Tensor) -> Tensor:
            weights = self._weights_of_product(x.reshape(b, f, -1) @ self._geometry.rows)
            return (weights @ self._geometry.rows.mT).reshape(b, -1)

        start = normals(f * self._geometry.rows.shape[1], 0, self._slopes)
        return lanczos(product, start.expand(b, -1), k)

    @cached_property
    def _dense(self) -> tuple[Tensor, Tensor]:
        """All eigenvalues and eigenvectors of H in orthonormal coordinates of the span, from the whole matrix."""
        rows, bends = self._geometry.rows, self._bends
        assert bends is not None
        (b, f, n_patches), k = self._slopes.shape, rows.shape[1]
        gradients = self._geometry.per_sample((self._slopes[:, :, None] * rows[:, None]).reshape(b, f * k, n_patches))
        matrix = (gradients * self._loss_bend[:, None]) @ gradients.mT
        blocks = (bends[:, :, None] * rows[:, None]) @ rows.mT[:, None]
        matrix.view(b, f, k, f, k).diagonal(dim1=1, dim2=3).add_(blocks.permute(0, 2, 3, 1))
        return largest(*eigh(matrix), f * k)


def _inverse(x: Tensor) -> Tensor:
    """Return 1 / x, 0 where x is 0."""
    return torch.where(x > 0, 1 / x.where(x > 0, 1.0), 0.0 * x)
