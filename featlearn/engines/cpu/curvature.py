"""The Gram engine's Hessian in loops compiled for a CPU: plain.py in a fraction of the time."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from featlearn.engines.cpu import hessian, lanczos
from featlearn.engines.cpu.geometry import WideGeometry
from featlearn.engines.cpu.lanczos import COORDINATES, MATRIX, SPAN
from featlearn.engines.lanczos import TOLERANCE, by_size, normals
from featlearn.engines.span import curvature as plain
from featlearn.engines.span.curvature import GramCurvature
from featlearn.functions.compiled import kind_of
from featlearn.linalg import product
from featlearn.tiles import padded


class CPUGramCurvature(GramCurvature):
    """GramCurvature for tensors on a CPU; a few eigenvalues are searched for, many come from whole matrices."""

    _geometry: WideGeometry

    def _values(self, k: int) -> Tensor:
        if self._straight:
            return self._of_samples()[0] if k == 1 else super()._values(k)
        return by_size(self._in_span(k)[0]) if self._few(k) else super()._values(k)

    def _leading(self) -> tuple[Tensor, Tensor]:
        if self._straight:
            values, vectors = self._of_samples(vectors=True)
            return values[:, 0], self._from_samples(values[:, 0], vectors[:, 0, 0])
        values, vectors = self._in_span(1, vectors=True)
        regular = self._geometry.regular
        coef = vectors[:, 0, :, : self._align.shape[2]]
        if not regular.all():
            coef = torch.where(regular[:, None, None], coef, product(coef, self._geometry.inverse_factor))
        return values[:, 0], coef

    @property
    def _straight(self) -> bool:
        return self._geometry.problem.activation.bend is None

    def _few(self, k: int) -> bool:
        return k == 1 or self._align[0].numel() > plain.DENSE

    @cached_property
    def _linearized(self) -> tuple[Tensor, Tensor, Tensor]:
        """Slopes and bends in the columns of the kernels, [b, f, width], bends [b, f, 0] of the ReLU; c_i l''_i."""
        p, (b, f, _) = self._geometry.problem, self._align.shape
        width = self._geometry.width
        slopes = self._align.new_zeros(b, f, width)
        bends = self._align.new_zeros(b, f, 0 if self._straight else width)
        loss_bend = torch.empty_like(self._batch)
        hessian.linearize(
            self._align.contiguous().numpy(),
            p.labels.double().numpy(),
            p.true_labels.double().numpy(),
            self._batch.contiguous().numpy(),
            kind_of(p.activation.name),
            p.scale,
            p.noise_count,
            p.n_noises,
            p.bias,
            *(x.numpy() for x in (slopes, bends, loss_bend)),
        )
        return slopes, bends, loss_bend

    def _of_samples(self, *, vectors: bool = False) -> tuple[Tensor, Tensor]:
        """Return the largest eigenvalue of ``_sample_matrix`` [b, 1], and its vector [b, 1, 1, n] if wanted."""
        p, (slopes, _, loss_bend) = self._geometry.problem, self._linearized
        matrices = slopes.new_zeros(len(slopes), p.n_samples, padded(p.n_samples, slopes.itemsize))
        arrays = (slopes, loss_bend, p.true_labels.double(), self._geometry.patch_gram)
        k = self._align.shape[2]
        hessian.sample_matrices(*(x.numpy() for x in arrays), k, p.n_noises, matrices.numpy())
        none = slopes.new_empty(len(slopes), 0, 0)
        operator = (none, none, loss_bend, loss_bend, matrices, none, none)
        return self._searched(torch.full((len(slopes),), MATRIX), 1, operator, 1, vectors=vectors)

    def _in_span(self, k: int, *, vectors: bool = False) -> tuple[Tensor, Tensor]:
        """Return the k largest eigenvalues of H, and vectors [b, k, f, k'] if wanted: coefficients, or coordinates."""
        geometry, none = self._geometry, self._align.new_empty(len(self._align), 0, 0)
        rows, columns = (none, none) if geometry.regular.all() else geometry.wide_rows
        forms = torch.where(geometry.regular, SPAN, COORDINATES)
        operator = (*self._linearized, geometry.problem.true_labels.double(), geometry.wide_gram, rows, columns)
        return self._searched(forms, self._align.shape[1], operator, min(k, self._align[0].numel()), vectors=vectors)

    def _searched(
        self, forms: Tensor, n_rows: int, operator: tuple[Tensor, ...], k: int, *, vectors: bool
    ) -> tuple[Tensor, Tensor]:
        _, size, width = operator[4].shape
        starts = self._align.new_zeros(k, n_rows, width)
        starts[..., :size] = normals(n_rows * size, k, starts).reshape(k, n_rows, size)
        values = starts.new_full((len(forms), k), math.nan)
        found = starts.new_full((len(forms), k if vectors else k - 1, n_rows * width), math.nan)
        p = self._geometry.problem
        lanczos.largest(
            forms.numpy(),
            starts.numpy(),
            tuple(x.contiguous().numpy() for x in operator),
            (self._align.shape[2], p.n_noises, p.bias),
            TOLERANCE,
            values.numpy(),
            found.numpy(),
        )
        return values, found.reshape(*found.shape[:2], n_rows, width)[..., :size]
