"""The Hessian of the training loss in the Gram engine: exact, batched, at a cost independent of the dimension.

The derivative of the gradient in engine.py along a direction u, which changes the pre-activations by dz and a trained
second layer by dV, gives H u as weights on the patches, and on the second layer,

    act'(z) (V dshare' + dV share') + act''(z) dz (V share'),     act(z) dshare + act'(z) dz share,

with dF that of the outputs, dshare the share of dD = c l''(F) dF, and c the weights of the samples. Where act'' = 0
almost everywhere and the second layer is fixed only the first term remains: H, where it exists, is J' c l'' J with the
Jacobian J of the outputs, and its nonzero spectrum is that of the n C x n C matrix R' J J' R with R R' = c l''.

Everything is computed in float64.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from featlearn.engines.lanczos import lanczos, largest, normals
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Vector
from featlearn.engines.span.coordinates import Coordinates
from featlearn.engines.span.head import Head
from featlearn.linalg import eigh, eigvalsh, product

LARGE = 2.0**300  # slopes above this are scaled before they are multiplied
DENSE = 64  # size up to which all eigenvalues of a matrix are computed at once


class Network(Protocol):
    """What a Hessian asks of an engine (see GramEngine)."""

    problem: Problem

    @property
    def head(self) -> Head:
        """The part of the network behind the activations."""

    def align(self, w: Vector) -> Tensor:
        """Return the pre-activations on the patches."""

    def second(self, w: Vector) -> Tensor:
        """Return the second layer."""

    def vector(self, alpha: Tensor, coef: Tensor, align: Tensor, second: Tensor | None = None) -> Vector:
        """Return a vector made of these leaves."""


class GramCurvature:
    """The Hessian at w of the loss with sample weights ``batch`` [b, n].

    For the ReLU the Hessian that exists almost everywhere; see the protocol Curvature.
    """

    def __init__(self, engine: Network, coordinates: Coordinates, w: Vector, batch: Tensor) -> None:
        self._engine, self._coordinates, self._dtype = engine, coordinates, batch.dtype
        self._problem, self._head = engine.problem, engine.head
        self._align, self._batch = engine.align(w).double().contiguous(), batch.double()
        self._second = engine.second(w).double().expand(len(batch), -1, -1)

    def top(self, k: int) -> Tensor:
        """Return the k eigenvalues of largest absolute value, in that order, [b, k]."""
        found = self._values(k)
        missing = found.new_zeros(len(found), max(k - found.shape[1], 0))  # all others are 0
        return torch.cat([found[:, :k], missing], 1).to(self._dtype)

    def principal(self) -> Vector:
        """Return a unit eigenvector of the eigenvalue of largest absolute value; zero where H = 0."""
        values, coef, second = self._leading()
        there = (values != 0)[:, None, None]
        return self._vector(coef * there, second * there)

    def trace(self) -> Tensor:
        """Return the sum of all eigenvalues, [b]."""
        jacobians = self._jacobian_gram(diagonal=True)
        root = self._root * self._size[..., None, None]  # l'' may be 0 where squares overflow
        trace = ((root.mT[..., None] * jacobians[:, :, None]).sum(-2) * root.mT).sum((1, 2, 3))
        if self._seconds is not None:
            trace = trace + (self._seconds.sum(1) * self._coordinates.gram.diagonal(dim1=1, dim2=2)).sum(1)
        return trace.where(trace.isfinite(), math.nan).to(self._dtype)

    def hvp(self, v: Vector) -> Vector:
        """Return H v."""
        none = self._second.new_zeros(self._second.shape)
        return self._vector(*self._product(v.leaves[2].double(), v.leaves[3].double() if self._trained else none))

    @property
    def _trained(self) -> bool:
        return self._problem.trained

    def _vector(self, coef: Tensor, second: Tensor) -> Vector:
        align = product(coef, self._coordinates.gram)
        parts = (coef.new_zeros(len(coef)), coef, align, *([second] if self._trained else []))
        return self._engine.vector(*(x.to(self._dtype) for x in parts))

    def _product(self, dz: Tensor, dv: Tensor) -> tuple[Tensor, Tensor]:
        """Return H u as weights on the patches [b, f, N] and on the second layer, from dz and dV along u."""
        outputs = self._head.outputs(self._slope * dz, self._second)
        if self._trained:
            outputs = outputs + self._head.outputs(self._active, dv)
        changed = (self._root * (self._root * outputs[..., None]).sum(2)[:, :, None]).sum(3)
        dshare = self._head.per_patch(changed)
        weights = self._slope * product(self._second, dshare.mT)
        if self._seconds is not None:
            weights = torch.addcmul(weights, self._seconds, dz)
        if not self._trained:
            return weights, dv
        weights = weights + self._slope * product(dv, self._share.mT)
        return weights, product(self._active, dshare) + product(self._slope * dz, self._share)

    @cached_property
    def _active(self) -> Tensor:
        return self._problem.activation.value(self._align)

    @cached_property
    def _slope(self) -> Tensor:
        return self._problem.activation.slope(self._align)

    @cached_property
    def _outputs(self) -> Tensor:
        return self._head.outputs(self._active, self._second)

    @cached_property
    def _root(self) -> Tensor:
        """R [b, n, C, C] with R R' = c_i l''_i of every sample."""
        root = self._problem.loss.root(self._outputs, self._problem.labels.double())
        return root * self._batch.sqrt()[..., None, None]

    @cached_property
    def _share(self) -> Tensor:
        """Sum of c_i l'_i over the samples that show a patch, [b, N, C]."""
        slopes = self._problem.loss.slope(self._outputs, self._problem.labels.double())
        return self._head.per_patch(self._batch[..., None] * slopes)

    @cached_property
    def _seconds(self) -> Tensor | None:
        """act'' V share' on every patch and filter, [b, f, N]; None where act'' = 0."""
        second = self._problem.activation.second
        return None if second is None else second(self._align) * product(self._second, self._share.mT)

    @cached_property
    def _size(self) -> Tensor:
        """A power of two, [b, 1]: near the largest slope where products of slopes overflow, else 1."""
        largest = self._slope.abs().amax((1, 2))[:, None]
        large = (largest > LARGE) & largest.isfinite()
        return torch.where(large, largest.where(large, 1.0).log2().floor().exp2(), 1.0)

    def _jacobian_gram(self, *, diagonal: bool = False) -> Tensor:
        """Return <grad F_ic, grad F_kc'> / ``_size``^2, [b, n, C, n, C], or for i = k: [b, n, C, C]."""
        b, n, c = self._outputs.shape
        slopes = self._slope / self._size[..., None]
        rows = slopes[:, :, None] * self._second[..., None]  # [b, f, C, N]
        found = slopes.new_empty(b, n, c, c) if diagonal else slopes.new_empty(b, n, c, n, c)
        hidden = self._head.per_sample(self._active.mT) / self._size[..., None]
        for i in range(c):
            for j in range(c):
                products = product(rows[:, :, i].mT, rows[:, :, j]) * self._coordinates.gram
                of_samples = self._head.per_sample(self._head.per_sample(products).mT).mT
                if self._trained and i == j:
                    of_samples = of_samples + product(hidden, hidden.mT)
                if diagonal:
                    found[:, :, i, j] = of_samples.diagonal(dim1=1, dim2=2)
                else:
                    found[:, :, i, :, j] = of_samples
        return found

    @cached_property
    def _sample_matrix(self) -> Tensor:
        """The matrix R' J J' R [b, n C, n C] that shares the nonzero eigenvalues of H's first part."""
        root = self._root * self._size[..., None, None]
        matrix = (root.mT[..., None, None] * self._jacobian_gram()[:, :, None]).sum(3)
        matrix = (matrix[..., None] * root[:, None, None]).sum(-2)
        return matrix.flatten(3).flatten(1, 2)

    @property
    def _straight(self) -> bool:
        """Whether H has only its first part."""
        return self._seconds is None and not self._trained

    def _values(self, k: int) -> Tensor:
        """Return the k eigenvalues of largest absolute value, or all that are not 0."""
        return eigvalsh(self._sample_matrix).flip(1) if self._straight else self._spectrum(k)[0]

    def _leading(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the eigenvalue of largest absolute value [b], and a unit eigenvector: C [b, f, N], second layer."""
        if self._straight:
            values, vectors = eigh(self._sample_matrix)
            return values[:, -1], self._from_samples(values[:, -1], vectors[..., -1]), torch.zeros_like(self._second)
        values, vectors = self._spectrum(1)
        coordinates, second = self._unjoined(vectors[..., 0])
        return values[:, 0], product(coordinates, self._coordinates.inverse_factor), second

    def _from_samples(self, value: Tensor, vector: Tensor) -> Tensor:
        """Return the coefficients of H's unit eigenvector from the one of ``_sample_matrix``, [b, n C]."""
        of_outputs = (self._root * vector.reshape(self._outputs.shape)[:, :, None]).sum(3)
        coef = self._slope * product(self._second, self._head.per_patch(of_outputs).mT)
        return coef * _inverse(value.clamp(min=0).sqrt())[:, None, None]

    def _spectrum(self, k: int) -> tuple[Tensor, Tensor]:
        """Return at least k eigenvalues of the whole H, or all in the span, with vectors in coordinates of the span."""
        rows = self._coordinates.factor

        def operator(x: Tensor) -> Tensor:
            coordinates, second = self._unjoined(x)
            weights, second = self._product(product(coordinates, rows.mT), second)
            parts = [product(weights, rows), *([second] if self._trained else [])]
            return torch.cat(parts, 2).flatten(1)

        b, f, n_patches = self._align.shape
        size = f * (n_patches + self._trained * self._problem.n_outputs)
        if size > DENSE:
            return lanczos(operator, normals(size, min(k, size), self._align), b)
        units = torch.eye(size, dtype=self._align.dtype, device=self._align.device)
        matrix = torch.stack([operator(unit.expand(b, -1)) for unit in units], 1)
        values, vectors = largest(*eigh(matrix), size)
        most = f * (self._coordinates.rank + self._trained * self._problem.n_outputs)  # orthogonally to the span H is 0
        beyond = torch.arange(size, device=values.device) >= most[:, None]
        return values.masked_fill(beyond & values.isfinite(), 0.0), vectors

    def _unjoined(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return coordinates [b, f, N] of the filters, and the second layer, from one vector of both."""
        b, f, n_patches = self._align.shape
        parts = x.reshape(b, f, -1)
        return parts[..., :n_patches], parts[..., n_patches:] if self._trained else torch.zeros_like(self._second)


def _inverse(x: Tensor) -> Tensor:
    """Return 1 / x, 0 where x is 0."""
    return torch.where(x > 0, 1 / x.where(x > 0, 1.0), 0.0 * x)
