"""The Hessian of the training loss in the Gram engine: exact, batched, and without the dimension.

With c_i the weight of sample i, l its loss as a function of the output f_i, and g_i = grad f_i,

    H = sum_i c_i l''_i g_i g_i'  +  sum_i c_i l'_i Hess f_i.

Both act inside the span of the patches x_p, row by row of the filters: g_i has the row sum_p s_fp x_p for filter f,
with s_fp = scale j_f count_p act'(<w_f, x_p>) over the patches of sample i, and Hess f_i is the sum over patches of
scale j_f count_p act''(<w_f, x_p>) x_p x_p' on that row. For the ReLU act'' = 0 almost everywhere: H, where it exists,
is its first part, and its nonzero spectrum is that of the n x n matrix sqrt(c_i l''_i) <g_i, g_k> sqrt(c_k l''_k).

Everything is computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from featlearn.engines.lanczos import lanczos, largest, normals
from featlearn.engines.protocol import Vector
from featlearn.engines.span.geometry import PatchGeometry
from featlearn.functions.losses import logistic_bend, logistic_slope
from featlearn.linalg import eigh, eigvalsh, product

LARGE = 2.0**300  # from which on slopes are scaled before they are multiplied
DENSE = 64  # the largest matrix whose eigenvalues are found all at once


class GramCurvature:
    """The Hessian at the alignments ``align`` [b, f, k] of the loss with sample weights ``batch`` [b, n].

    For the ReLU the Hessian that exists almost everywhere; see the protocol Curvature.
    """

    def __init__(
        self, geometry: PatchGeometry, align: Tensor, batch: Tensor, vector: Callable[[Tensor, Tensor, Tensor], Vector]
    ) -> None:
        """``vector`` makes one of the engine's from alpha, coefficients and alignments (GramEngine.vector)."""
        self._geometry, self._dtype, self._make = geometry, align.dtype, vector
        self._align, self._batch = align.double(), batch.double()

    def top(self, k: int) -> Tensor:
        """Return the k eigenvalues of largest absolute value, in that order, [b, k]."""
        found = self._values(k)
        missing = found.new_zeros(len(found), max(k - found.shape[1], 0))  # all others are 0
        return torch.cat([found[:, :k], missing], 1).to(self._dtype)

    def principal(self) -> Vector:
        """Return a unit eigenvector of the eigenvalue of largest absolute value; zero where H = 0."""
        values, coef = self._leading()
        return self._vector(coef * (values != 0)[:, None, None])

    def trace(self) -> Tensor:
        """Return the sum of all eigenvalues, [b]."""
        squares = self._gradient_gram.diagonal(dim1=1, dim2=2)
        trace = (self._loss_bend * squares * self._size * self._size).sum(1)  # l'' may be 0 where squares overflow
        if self._bends is not None:
            trace = trace + (self._bends.sum(1) * self._geometry.gram.diagonal(dim1=1, dim2=2)).sum(1)
        return trace.where(trace.isfinite(), math.nan).to(self._dtype)

    def hvp(self, v: Vector) -> Vector:
        """Return H v."""
        return self._vector(self._geometry.combined(self._weights_of_product(self._geometry.on_patches(v.leaves[2]))))

    def _vector(self, coef: Tensor) -> Vector:
        align = product(coef, self._geometry.problem.gram.double())
        return self._make(*(x.to(self._dtype) for x in (coef.new_zeros(len(coef)), coef, align)))

    def _weights_of_product(self, on_patches: Tensor) -> Tensor:
        """Return H v as weights on the patches, [b, f, N], from v's inner products with them."""
        outputs = self._loss_bend * self._geometry.per_sample(self._slopes * on_patches).sum(1)
        weights = self._slopes * self._geometry.per_patch(outputs)[:, None]
        return weights if self._bends is None else torch.addcmul(weights, self._bends, on_patches)

    @cached_property
    def _margins(self) -> Tensor:
        p = self._geometry.problem
        return p.labels * p.outputs(p.signal_preactivations(self._align), p.noise_preactivations(self._align))

    @cached_property
    def _loss_bend(self) -> Tensor:
        """c_i l''_i, [b, n]."""
        return self._batch * logistic_bend(self._margins)

    @cached_property
    def _slopes(self) -> Tensor:
        """s_fp, [b, f, N]."""
        return self._weights * self._geometry.problem.activation.slope(self._geometry.on_patches(self._align))

    @cached_property
    def _bends(self) -> Tensor | None:
        """What act'' adds to H on a patch and a filter, [b, f, N]; None where act'' = 0."""
        p = self._geometry.problem
        if p.activation.bend is None:
            return None
        of_samples = self._batch * p.labels * logistic_slope(self._margins)
        bends = self._weights * p.activation.bend(self._geometry.on_patches(self._align))
        return bends * self._geometry.per_patch(of_samples)[:, None]

    @property
    def _weights(self) -> Tensor:
        p = self._geometry.problem
        return p.scale * p.signs * self._geometry.count

    @cached_property
    def _size(self) -> Tensor:
        """A power of two, [b, 1]: about the largest slope where products of slopes overflow, else 1."""
        largest = self._slopes.abs().amax((1, 2))[:, None]
        large = (largest > LARGE) & largest.isfinite()
        return torch.where(large, largest.where(large, 1.0).log2().floor().exp2(), 1.0)

    @cached_property
    def _gradient_gram(self) -> Tensor:
        """<g_i, g_k> over the square of ``_size``, [b, n, n]."""
        slopes = self._slopes / self._size[..., None]
        products = product(slopes.mT, slopes) * self._geometry.gram
        return self._geometry.per_sample(self._geometry.per_sample(products).mT)

    @cached_property
    def _sample_matrix(self) -> Tensor:
        """The matrix over samples [b, n, n] that shares the nonzero eigenvalues of H's first part."""
        root = self._loss_bend.sqrt() * self._size
        return root[:, :, None] * self._gradient_gram * root[:, None]

    def _values(self, k: int) -> Tensor:
        """Return the k eigenvalues of largest absolute value, or all that are not 0."""
        return eigvalsh(self._sample_matrix).flip(1) if self._bends is None else self._spectrum(k)[0]

    def _leading(self) -> tuple[Tensor, Tensor]:
        """Return the eigenvalue of largest absolute value [b], and the coefficients [b, f, k] of a unit eigenvector."""
        if self._bends is None:
            values, vectors = eigh(self._sample_matrix)
            return values[:, -1], self._from_samples(values[:, -1], vectors[..., -1])
        values, vectors = self._spectrum(1)
        coordinates = vectors[..., 0].reshape(*self._slopes.shape[:2], -1)
        return values[:, 0], product(coordinates, self._geometry.inverse_factor)

    def _from_samples(self, value: Tensor, vector: Tensor) -> Tensor:
        """Return the coefficients of H's unit eigenvector from the one of ``_sample_matrix``, [b, n]."""
        on_patches = self._geometry.per_patch(self._loss_bend.sqrt() * vector)
        rows = self._geometry.combined(self._slopes * on_patches[:, None])
        return rows * _inverse(value.clamp(min=0).sqrt())[:, None, None]

    def _spectrum(self, k: int) -> tuple[Tensor, Tensor]:
        """Return at least k eigenvalues of the whole H, or all in the span, with vectors in coordinates of the span."""
        b, f, _ = self._slopes.shape
        size = f * self._geometry.rows.shape[1]
        if size <= DENSE:
            return self._dense

        def operator(x: Tensor) -> Tensor:
            weights = self._weights_of_product(product(x.reshape(b, f, -1), self._geometry.rows))
            return product(weights, self._geometry.rows.mT).reshape(b, -1)

        return lanczos(operator, normals(size, min(k, size), self._slopes), b)

    @cached_property
    def _dense(self) -> tuple[Tensor, Tensor]:
        """All eigenvalues and eigenvectors of H in orthonormal coordinates of the span, from the whole matrix."""
        rows, bends = self._geometry.rows, self._bends
        assert bends is not None
        (b, f, n_patches), k = self._slopes.shape, rows.shape[1]
        gradients = self._geometry.per_sample((self._slopes[:, :, None] * rows[:, None]).reshape(b, f * k, n_patches))
        matrix = product(gradients * self._loss_bend[:, None], gradients.mT)
        blocks = product(bends[:, :, None] * rows[:, None], rows.mT[:, None])
        matrix.view(b, f, k, f, k).diagonal(dim1=1, dim2=3).add_(blocks.permute(0, 2, 3, 1))
        return largest(*eigh(matrix), f * k)


def _inverse(x: Tensor) -> Tensor:
    """Return 1 / x, 0 where x is 0."""
    return torch.where(x > 0, 1 / x.where(x > 0, 1.0), 0.0 * x)
