"""The Gram engine: exact training whose cost does not depend on the dimension.

Every gradient row is a combination of the data vectors V, at whatever point it is taken. So the filters never leave
W = alpha W0 + C V, and all that training needs is G = V V', the alignments A = W V' and the coefficients (alpha, C).
One gradient costs one product with G. Nothing here is approximate; the weight engine, which knows nothing of this
file, is its test.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.gram_curvature import GramCurvature
from featlearn.engines.patch_geometry import PatchGeometry
from featlearn.engines.patches import PatchEngine
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Observation, Vector
from featlearn.models.losses import logistic_slope


class GramEngine(PatchEngine):
    """Parameters as coefficients. The leaves of a Vector u = alpha W0 + C V are

    alpha [b]; coef C [b, f, k]; align u V' = alpha A0 + C G [b, f, k], carried along so that it is never recomputed.
    """

    provides = frozenset({"labels", "patches", "span"})

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._init_square = problem.init_gram.diagonal(dim1=1, dim2=2).sum(1)

    def initial(self) -> Vector:
        """Return W0: alpha = 1, C = 0."""
        align = self.problem.align0
        return self.vector(align.new_ones(len(align)), torch.zeros_like(align), align)

    def vector(self, alpha: Tensor, coef: Tensor, align: Tensor) -> Vector:
        """Return alpha W0 + C V, whose alignments are ``align``."""
        return Vector((alpha, coef, align))

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v> = sum_rows C_u (v V')' + alpha_u <W0, v>, [b]."""
        (alpha_u, coef_u, _), (alpha_v, coef_v, align_v) = u.leaves, v.leaves
        span = (coef_u * align_v).sum((1, 2))
        with_init = alpha_v * self._init_square + (coef_v * self.problem.align0).sum((1, 2))
        return span + alpha_u * with_init

    def align(self, w: Vector) -> Tensor:
        """Return the alignments, which w carries with it."""
        return w.leaves[2]

    def margins(self, w: Vector, labels: Tensor | None = None) -> Tensor:
        """Return y_i f_i(w), [b, n]; ``labels`` stand in for the training set's own where given."""
        p, align = self.problem, w.leaves[2]
        labels = p.labels if labels is None else labels
        return labels * p.outputs(p.signal_preactivations(align), p.noise_preactivations(align))

    def gradient(self, w: Vector, batch: Tensor, labels: Tensor | None = None) -> Vector:
        """Return the gradient of sum_i batch_i log(1 + exp(-y_i f_i)) at w, derived by hand.

        With c_i = dLoss/df_i times the scale of one activation, filter (j, r) has the coefficients
        j sum_i c_i yhat_i act'(yhat_i <w, signal>) on the signal, j c_i noise_count act'(<w, xi_i>) on noise i, and
        on the bias direction, which every patch contains, the sum of both without yhat_i.
        """
        p, align = self.problem, w.leaves[2]
        signal, noise = p.signal_preactivations(align), p.noise_preactivations(align)
        labels = p.labels if labels is None else labels
        margins = labels * p.outputs(signal, noise)
        c = p.scale * batch * labels * logistic_slope(margins)
        positive = p.true_labels > 0
        c_signal = torch.stack([(c * positive).sum(1), (c * ~positive).sum(1)], -1)

        d_signal = p.signs * p.activation.slope(signal) * c_signal[:, None, :]
        d_noise = (p.signs * p.noise_count)[..., None] * p.activation.slope(noise) * c[:, None, None, :]
        d_noise = d_noise.flatten(2)
        parts = [d_signal[..., :1] - d_signal[..., 1:], d_noise]
        if p.bias:
            parts.append(d_signal.sum(-1, keepdim=True) + d_noise.sum(-1, keepdim=True))
        coef = torch.cat(parts, -1)
        return self.vector(torch.zeros_like(w.leaves[0]), coef, coef @ p.gram)

    def normal(self, rngs: Sequence[np.random.Generator]) -> Vector:
        """Return the projection onto the span of a direction of standard normals: its alignments have rows N(0, G)."""
        like, factors = self.problem.align0, (self._patches.inverse_factor, self._patches.factor.mT)
        normals = torch.as_tensor(np.stack([rng.standard_normal(like.shape[1:]) for rng in rngs])).to(like.device)
        coef, align = ((normals @ factor).to(like.dtype) for factor in factors)
        return self.vector(like.new_zeros(len(like)), coef, align)

    def curvature(self, w: Vector, batch: Tensor) -> GramCurvature:
        """Return the Hessian at w of sum_i batch_i log(1 + exp(-y_i f_i))."""
        return GramCurvature(self._patches, w.leaves[2], batch, self.vector)

    @cached_property
    def _patches(self) -> PatchGeometry:
        return PatchGeometry(self.problem)

    def observe(self, w: Vector) -> Observation:
        """Describe w; W W' = alpha^2 W0W0' + alpha (A0 C' + C A0') + C G C', summed in float64 as its terms cancel."""
        p, (alpha, coef, align) = self.problem, w.leaves
        spread, c = alpha.double()[:, None, None], coef.double()
        cross = spread * (p.align0.double() @ c.mT)
        weight_gram = spread.square() * p.init_gram.double() + cross + cross.mT + c @ p.gram.double() @ c.mT
        return Observation(
            align=align,
            coef=coef,
            weight_gram=weight_gram.to(align.dtype),
            margins=self.margins(w),
            residual=torch.zeros_like(alpha),
        )
