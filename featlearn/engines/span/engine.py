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

from featlearn.engines.patches import PatchEngine
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Observation, Vector
from featlearn.engines.span.curvature import GramCurvature
from featlearn.engines.span.geometry import PatchGeometry
from featlearn.functions.losses import logistic_slope
from featlearn.linalg import product
from featlearn.streams.lanes import chi_squares, normals


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

    def direction(self, coef: Tensor) -> Vector:
        """Return C V, its alignments from a product in float64."""
        align = product(coef.double(), self.problem.gram.double()).to(coef.dtype)
        return self.vector(coef.new_zeros(len(coef)), coef, align)

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
        return self.vector(torch.zeros_like(w.leaves[0]), coef, product(coef, p.gram))

    def rows_square(self, u: Vector) -> Tensor:
        """Return |u_r|^2 = <C_r, (u V')_r> + alpha <W0_r, u_r> for every row, [b, f]; see PatchEngine."""
        alpha, coef, align = u.leaves
        alpha = alpha[:, None]
        start = self.problem.init_gram.diagonal(dim1=1, dim2=2)
        with_init = alpha * start + (coef * self.problem.align0).sum(2)
        return ((coef * align).sum(2) + alpha * with_init).clamp(min=0)

    def rows_gram(self, u: Vector) -> Tensor:
        """Return u u' = alpha^2 W0 W0' + alpha A0 C' + C (u V')', [b, f, f], in float64."""
        alpha, coef, align = (leaf.double() for leaf in u.leaves)
        alpha, p = alpha[:, None, None], self.problem
        cross = alpha * product(p.align0.double(), coef.mT)
        return alpha.square() * p.init_gram + cross + product(coef, align.mT)

    def scale_rows(self, u: Vector, x: Tensor) -> Vector:
        """Return the direction u with its rows multiplied by x [b, f]."""
        alpha, coef, align = u.leaves
        return self.vector(torch.zeros_like(alpha), x[..., None] * coef, x[..., None] * align)

    def mix_rows(self, u: Vector, mix: Tensor) -> Vector:
        """Return M u for M [b, f, f] and a direction u."""
        alpha, coef, align = u.leaves
        mixed = [product(mix.double(), leaf.double()).to(leaf.dtype) for leaf in (coef, align)]
        return self.vector(torch.zeros_like(alpha), mixed[0], mixed[1])

    def part(self, samples: Tensor) -> GramEngine:
        """Return the engine of micro-batches [b, s, n']: of G it sees the blocks of their own vectors."""
        return type(self)(self.problem.part(samples))

    def split(self, samples: Tensor, w: Vector) -> Vector:
        """Return w by its alignments with the micro-batches' own vectors."""
        align, vectors = self.align(w), self.problem.vectors_of(samples)
        (b, f, _), (_, s, k) = align.shape, vectors.shape
        own = align.gather(2, vectors.reshape(b, 1, s * k).expand(b, f, -1)).reshape(b, f, s, k)
        own = own.transpose(1, 2).reshape(b * s, f, k)
        return self.vector(own.new_zeros(b * s), torch.zeros_like(own), own)

    def mean(self, samples: Tensor, u: Vector) -> Vector:
        """Return the mean of directions: every noise is one micro-batch's own, signal and bias are of all."""
        p, (b, s, _) = self.problem, samples.shape
        coef = u.leaves[1].reshape(b, s, *u.leaves[1].shape[1:]).transpose(1, 2)  # [b, f, s, k']
        k = coef.shape[-1] - p.bias
        noises = p.vectors_of(samples)[..., 1:k].reshape(b, 1, -1)
        total = p.gram.new_zeros(*coef.shape[:2], p.gram.shape[1])
        total.scatter_(2, noises.expand(-1, coef.shape[1], -1), coef[..., 1:k].flatten(2))
        total[..., 0] = coef[..., 0].sum(2)
        if p.bias:
            total[..., -1] = coef[..., -1].sum(2)
        return self.direction(total / s)

    def isotropic(self, name: str, t: int) -> tuple[Vector, Tensor]:
        """Return the part in the span of a direction of standard normals, and the square of the whole norm, [b].

        The part across the span has D - f rank(G) coordinates, of which only their chi-square sum is ever needed.
        """
        b, f, k = self.problem.align0.shape
        inside = self._in_span(normals(self.seeds, name, f * k, t).reshape(b, f, k))
        rank = (self._patches.inverse_factor * self._patches.factor.mT).sum((1, 2)).round()
        free = self.n_parameters.double() - f * rank
        across = chi_squares(self.seeds, f"{name}, across, step {t}", free.clamp(min=1)[:, None])[:, 0]
        return inside, self.inner(inside, inside) + torch.where(free > 0, across, 0.0).to(inside.leaves[1].dtype)

    def normal(self, rngs: Sequence[np.random.Generator]) -> Vector:
        """Return the projection onto the span of a direction of standard normals: its alignments have rows N(0, G)."""
        like = self.problem.align0
        return self._in_span(torch.as_tensor(np.stack([rng.standard_normal(like.shape[1:]) for rng in rngs])))

    def _in_span(self, x: Tensor) -> Vector:
        """Return the direction with coordinates x [b, f, k], in float64, along the orthonormal rows behind G."""
        like, factors = self.problem.align0, (self._patches.inverse_factor, self._patches.factor.mT)
        coef, align = (product(x.to(like.device), factor).to(like.dtype) for factor in factors)
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
        cross = spread * product(p.align0.double(), c.mT)
        inside = product(product(c, p.gram.double()), c.mT)
        weight_gram = spread.square() * p.init_gram.double() + cross + cross.mT + inside
        return Observation(
            align=align,
            coef=coef,
            weight_gram=weight_gram.to(align.dtype),
            margins=self.margins(w),
            residual=torch.zeros_like(alpha),
        )
