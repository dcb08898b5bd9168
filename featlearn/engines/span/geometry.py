"""The distinct patches of a training set, as combinations of its data vectors."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from featlearn.engines.problem import Problem
from featlearn.linalg import eigh


class PatchGeometry:
    """The distinct patches x = E v of a block's samples, N = 2 + q n of them: +signal, -signal, the noises [q, n].

    count [N]: how often a sample shows each of its patches.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        count = [1.0, 1.0] + [float(problem.noise_count)] * problem.n_noises
        self.count = problem.gram.new_tensor(count, dtype=torch.float64)
        self._positive = (problem.true_labels > 0).double()

    def on_patches(self, align: Tensor) -> Tensor:
        """Return <w, x> for all patches, [b, f, N], of rows with the alignments [b, f, k]: align E'."""
        p = self.problem
        return torch.cat([p.signal_preactivations(align), p.noise_preactivations(align).flatten(2)], 2)

    def combined(self, weights: Tensor) -> Tensor:
        """Return the coefficients [b, f, k] of sums of patches with the weights [b, f, N]: weights E."""
        parts = [weights[..., :1] - weights[..., 1:2], weights[..., 2:]]
        return torch.cat([*parts, weights.sum(-1, keepdim=True)] if self.problem.bias else parts, -1)

    def per_sample(self, x: Tensor) -> Tensor:
        """Sum over the patches of every sample: [b, f, N] -> [b, f, n]."""
        p = self.problem
        noise = x[..., 2:].reshape(*x.shape[:2], p.noises_per_sample, p.n_samples).sum(2)
        return p.by_true_label(x[..., :2]) + noise

    def per_patch(self, x: Tensor) -> Tensor:
        """Sum over the samples that show each patch, [b, n] -> [b, N]: the transpose of ``per_sample``."""
        plus = (x * self._positive).sum(1, keepdim=True)
        minus = (x * (1 - self._positive)).sum(1, keepdim=True)
        return torch.cat([plus, minus, x.repeat(1, self.problem.noises_per_sample)], 1)

    @cached_property
    def _roots(self) -> tuple[Tensor, Tensor]:
        """Square roots of G's eigenvalues [b, k], rising, and its eigenvectors [b, k, k], as columns."""
        values, vectors = eigh(self.problem.gram.double())
        return values.clamp(min=0).sqrt(), vectors

    @cached_property
    def factor(self) -> Tensor:
        """F [b, k, k] with F F' = G, from eigenvalues, as G may be singular: V = F times orthonormal rows."""
        roots, vectors = self._roots
        return vectors * roots[:, None]

    @cached_property
    def inverse_factor(self) -> Tensor:
        """The pseudo-inverse of ``factor``, [b, k, k]: from orthonormal coordinates to coefficients."""
        roots, vectors = self._roots
        counts = roots > 1e-10 * roots[:, -1:]
        return torch.where(counts, 1 / roots.where(counts, 1.0), 0.0)[:, :, None] * vectors.mT

    @cached_property
    def rows(self) -> Tensor:
        """Patches in the orthonormal coordinates of ``factor``, as columns [b, k, N]: (E F)'."""
        return self.on_patches(self.factor.mT)

    @cached_property
    def gram(self) -> Tensor:
        """Inner products of the patches, [b, N, N]."""
        return self.on_patches(self.on_patches(self.problem.gram.double()).mT)
