"""From the hidden layer on the distinct patches to the outputs of the samples, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from featlearn.engines.problem import Problem
from featlearn.linalg import product


class Head:
    """The linear part of the network after the activations: F_i = scale sum_s times_s h' V on the patch in slot s."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        b, n, _ = problem.shown.shape
        self._times = problem.gram.new_tensor(problem.times, dtype=torch.float64)
        self._incidence = self._times.new_zeros(b, n, problem.gram.shape[1])
        for slot, count in zip(problem.shown.unbind(2), problem.times, strict=True):
            counts = self._times.new_full((b, n, 1), count)
            self._incidence.scatter_add_(2, slot[..., None], counts)  # two slots may show one patch

    def per_sample(self, x: Tensor) -> Tensor:
        """Sum over the patches that every sample shows, times scale: [b, N, c] -> [b, n, c]."""
        shown = self._problem.shown
        b, n, s = shown.shape
        of_slots = x.gather(1, shown.reshape(b, n * s, 1).expand(-1, -1, x.shape[2])).reshape(b, n, s, -1)
        return self._problem.scale * (self._times.to(x.dtype)[:, None] * of_slots).sum(2)

    def per_patch(self, x: Tensor) -> Tensor:
        """Sum over the samples that show each patch, times scale: [b, n, c] -> [b, N, c], the transpose."""
        return self._problem.scale * product(self._incidence.mT.to(x.dtype), x)

    def outputs(self, active: Tensor, second: Tensor) -> Tensor:
        """Return F [b, n, C] from activations on the patches [b, f, N] and the second layer, [f, C] or [b, f, C]."""
        return self.per_sample(product(active.mT, second))
