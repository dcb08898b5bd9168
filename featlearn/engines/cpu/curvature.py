"""The Gram engine's Hessian in loops compiled for a CPU: span/curvature.py in a fraction of the time."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.cpu import hessian, lanczos
from featlearn.engines.cpu.coordinates import WideCoordinates
from featlearn.engines.cpu.hessian import Linear
from featlearn.engines.cpu.network import incidence_of, network_of
from featlearn.engines.cpu.operators import COORDINATES, MATRIX, SPAN, Operator
from featlearn.engines.lanczos import TOLERANCE, by_size, normals
from featlearn.engines.span import curvature as plain
from featlearn.engines.span.curvature import GramCurvature
from featlearn.linalg import product
from featlearn.tiles import padded


class CPUGramCurvature(GramCurvature):
    """GramCurvature of one output with a fixed second layer, on a CPU.

    A few eigenvalues come from Lanczos' method, many from whole matrices.
    """

    _coordinates: WideCoordinates

    def _values(self, k: int) -> Tensor:
        if self._straight:
            return self._of_samples()[0] if k == 1 else super()._values(k)
        return by_size(self._in_span(k)[0]) if self._few(k) else super()._values(k)

    def _leading(self) -> tuple[Tensor, Tensor, Tensor]:
        none = torch.zeros_like(self._second)
        if self._straight:
            values, vectors = self._of_samples(vectors=True)
            return values[:, 0], self._from_samples(values[:, 0], vectors[:, 0, 0]), none
        values, vectors = self._in_span(1, vectors=True)
        regular, coef = self._coordinates.regular, vectors[:, 0]
        if not regular.all():
            coef = torch.where(regular[:, None, None], coef, product(coef, self._coordinates.inverse_factor))
        return values[:, 0], coef, none

    @property
    def _straight(self) -> bool:
        return self._problem.activation.second is None

    def _few(self, k: int) -> bool:
        return k == 1 or self._align[0].numel() > plain.DENSE

    @cached_property
    def _linear(self) -> Linear:
        """The parts of H that the compiled loops need."""
        p, (b, f, _), width = self._problem, self._align.shape, self._coordinates.width
        widths = width, 0 if self._straight else width
        slopes, seconds = (np.zeros((b, f, columns)) for columns in widths)
        incidence = incidence_of(p, np.float64)
        found = Linear(slopes, seconds, np.zeros((b, p.n_samples)), incidence)
        arrays = (self._align, p.labels.double(), self._batch, p.head[:, 0].double())
        hessian.linearize(*(x.contiguous().numpy() for x in arrays), network_of(p), found)
        return found

    def _of_samples(self, *, vectors: bool = False) -> tuple[Tensor, Tensor]:
        """Return the largest eigenvalue of ``_sample_matrix`` [b, 1], and its vector [b, 1, 1, n] if wanted."""
        b, n = self._batch.shape
        matrices, none = np.zeros((b, n, padded(n, 8))), np.empty((b, 0, 0))
        hessian.sample_matrices(self._linear, self._coordinates.wide_gram.numpy(), matrices)
        return self._searched(
            np.full(b, MATRIX), 1, Operator(self._linear, matrices, none, none, none), 1, vectors=vectors
        )

    def _in_span(self, k: int, *, vectors: bool = False) -> tuple[Tensor, Tensor]:
        """Return the k largest eigenvalues of H, and vectors [b, k, f, N] if wanted: coefficients, or coordinates."""
        space, none = self._coordinates, self._align.new_empty(len(self._align), 0, 0)
        factors = (none, none) if space.regular.all() else space.wide_factors
        operator = Operator(self._linear, *(x.contiguous().numpy() for x in (space.wide_gram, *factors, space.kernel)))
        forms = torch.where(space.regular, SPAN, COORDINATES).numpy()
        return self._searched(forms, self._align.shape[1], operator, min(k, self._align[0].numel()), vectors=vectors)

    def _searched(
        self, forms: np.ndarray, n_rows: int, operator: Operator, k: int, *, vectors: bool
    ) -> tuple[Tensor, Tensor]:
        _, size, width = operator.metric.shape
        starts = self._align.new_zeros(k, n_rows, width)
        starts[..., :size] = normals(n_rows * size, k, starts).reshape(k, n_rows, size)
        values = starts.new_full((len(forms), k), math.nan)
        found = starts.new_full((len(forms), k if vectors else k - 1, n_rows * width), math.nan)
        lanczos.largest(forms, starts.numpy(), operator, TOLERANCE, values.numpy(), found.numpy())
        return values, found.reshape(*found.shape[:2], n_rows, width)[..., :size]
