"""The Gram engine: exact training whose cost does not depend on the dimension.

Every gradient row is a combination of the distinct patches X, at every point. So the filters always have the form
W = alpha W0 + C X, and all that training needs is G = X X', the alignments Z = W X' and the coefficients (alpha, C).
One gradient costs one product with G. Nothing here is approximate; tests compare it with the weight engine, which
shares no formula with this file.

On the patches the network is a matrix of pre-activations Z. With h = act(Z), the outputs F of the samples and
D = dLoss/dF, the coefficients C of a gradient are

    C = act'(Z) * (V share'),   share = sum of times D over the samples that show a patch, times scale,

where * multiplies entry by entry and V is the second layer, whose gradient is h share. A bias needs no formula: it is
part of G and Z.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.patches import PatchEngine
from featlearn.engines.problem import Problem
from featlearn.engines.protocol import Observation, Vector
from featlearn.engines.span.coordinates import Coordinates
from featlearn.engines.span.curvature import GramCurvature
from featlearn.engines.span.directional import Linearization
from featlearn.engines.span.head import Head
from featlearn.geometry import Weighted
from featlearn.linalg import product
from featlearn.streams.lanes import chi_squares, normals


class GramEngine(PatchEngine):
    """Parameters as coefficients. The leaves of a Vector u = alpha W0 + C X are

    alpha [b]; coef C [b, f, N]; align u X' = alpha Z0 + C G [b, f, N], updated linearly and never recomputed;
    and the second layer [b, f, C] where it is trained.
    """

    provides = frozenset({"labels", "patches", "span"})

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._init_square = problem.init_gram.diagonal(dim1=1, dim2=2).sum(1)

    def initial(self) -> Vector:
        """Return W0: alpha = 1, C = 0."""
        p = self.problem
        second = p.head.expand(len(p.align0), -1, -1) if p.trained else None
        return self.vector(p.align0.new_ones(len(p.align0)), torch.zeros_like(p.align0), p.align0, second)

    def vector(self, alpha: Tensor, coef: Tensor, align: Tensor, second: Tensor | None = None) -> Vector:
        """Return alpha W0 + C X, whose alignments are ``align``, with the second layer where it is trained."""
        return Vector((alpha, coef, align) if second is None else (alpha, coef, align, second))

    def direction(self, coef: Tensor, second: Tensor | None = None) -> Vector:
        """Return C X, with alignments from a product in float64."""
        align = product(coef.double(), self.problem.gram.double()).to(coef.dtype)
        return self.vector(coef.new_zeros(len(coef)), coef, align, second)

    def second(self, w: Vector) -> Tensor:
        """Return the second layer, [f, C], or [b, f, C] where it is trained."""
        return w.leaves[3] if self.problem.trained else self.problem.head

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v> = sum_rows C_u (v X')' + alpha_u <W0, v>, [b], and that of the second layers."""
        (alpha_u, coef_u, _, *second_u), (alpha_v, coef_v, align_v, *second_v) = u.leaves, v.leaves
        span = (coef_u * align_v).sum((1, 2))
        with_init = alpha_v * self._init_square + (coef_v * self.problem.align0).sum((1, 2))
        seconds = [(x * y).sum((1, 2)) for x, y in zip(second_u, second_v, strict=True)]
        return sum(seconds, span + alpha_u * with_init)

    def align(self, w: Vector) -> Tensor:
        """Return the pre-activations on the patches, which w stores."""
        return w.leaves[2]

    def signal_align(self, u: Vector) -> Tensor:
        """Return alpha W0 S' + C X S' for the signals S, [b, f, S]."""
        c, (alpha, coef, *_) = self.problem.composed, u.leaves
        return alpha[:, None, None] * c.signal_align0 + product(coef, c.signal_gram)

    def outputs(self, w: Vector) -> Tensor:
        """Return F_i(w), [b, n, C]."""
        return self.head.outputs(self.problem.activation.value(w.leaves[2]), self.second(w))

    def gradient(self, w: Vector, batch: Tensor, labels: Tensor | None = None) -> Vector:
        """Return the gradient of sum_i batch_i loss(F_i, y_i) at w, derived by hand (see the top of this file)."""
        p, align, second = self.problem, w.leaves[2], self.second(w)
        active = p.activation.value(align)
        outputs = self.head.outputs(active, second)
        share = self.head.per_patch(batch[..., None] * p.loss.slope(outputs, p.labels if labels is None else labels))
        coef = p.activation.slope(align) * product(second, share.mT)
        trained = product(active, share) if p.trained else None
        return self.vector(torch.zeros_like(w.leaves[0]), coef, product(coef, p.gram), trained)

    def linearize(
        self, w: Vector, batch: Tensor, labels: Tensor | None = None
    ) -> tuple[Vector, Callable[[Vector], Vector]]:
        """Return the gradient of sum_i batch_i loss(F_i, y_i) at w, and the function v -> H v of its Hessian."""
        known = self.problem.labels if labels is None else labels
        return self.gradient(w, batch, labels), Linearization(self, w, batch, known).hvp

    def rows_square(self, u: Vector) -> Tensor:
        """Return |u_r|^2 = <C_r, (u X')_r> + alpha <W0_r, u_r> for every row, [b, f]; see PatchEngine."""
        alpha, coef, align, *second = u.leaves
        alpha = alpha[:, None]
        start = self.problem.init_gram.diagonal(dim1=1, dim2=2)
        with_init = alpha * start + (coef * self.problem.align0).sum(2)
        return sum((x.square().sum(2) for x in second), ((coef * align).sum(2) + alpha * with_init).clamp(min=0))

    def rows_gram(self, u: Vector) -> Tensor:
        """Return u u' = alpha^2 W0 W0' + alpha Z0 C' + C (u X')', [b, f, f], in float64."""
        alpha, coef, align, *second = (leaf.double() for leaf in u.leaves)
        alpha, p = alpha[:, None, None], self.problem
        cross = alpha * product(p.align0.double(), coef.mT)
        filters = alpha.square() * p.init_gram + cross + product(coef, align.mT)
        return sum((product(x, x.mT) for x in second), filters)

    def scale_rows(self, u: Vector, x: Tensor) -> Vector:
        """Return the direction u with its rows multiplied by x [b, f]."""
        alpha, *rows = u.leaves
        return self.vector(torch.zeros_like(alpha), *(x[..., None] * leaf for leaf in rows))

    def mix_rows(self, u: Vector, mix: Tensor) -> Vector:
        """Return M u for M [b, f, f] and a direction u."""
        alpha, *rows = u.leaves
        mixed = [product(mix.double(), leaf.double()).to(leaf.dtype) for leaf in rows]
        return self.vector(torch.zeros_like(alpha), *mixed)

    def part(self, samples: Tensor) -> GramEngine:
        """Return the engine of micro-batches [b, s, n']: their G are the blocks of their own patches."""
        return type(self)(self.problem.part(samples))

    def split(self, samples: Tensor, w: Vector) -> Vector:
        """Return w by its alignments with the micro-batches' own patches."""
        align, patches = self.align(w), self.problem.patches_of(samples)[0]
        (b, f, _), (_, s, size) = align.shape, patches.shape
        own = align.gather(2, patches.reshape(b, 1, s * size).expand(b, f, -1)).reshape(b, f, s, size)
        own = own.transpose(1, 2).reshape(b * s, f, size)
        second = w.leaves[3].repeat_interleave(s, 0) if self.problem.trained else None
        return self.vector(own.new_zeros(b * s), torch.zeros_like(own), own, second)

    def mean(self, samples: Tensor, u: Vector) -> Vector:
        """Return the mean of directions: coefficients of a patch are summed over the micro-batches that show it."""
        (b, s, _), patches = samples.shape, self.problem.patches_of(samples)[0].flatten(1)
        coef, *second = (leaf.reshape(b, s, *leaf.shape[1:]) for leaf in (u.leaves[1], *u.leaves[3:]))
        places = torch.nn.functional.one_hot(patches, self.problem.gram.shape[1]).to(coef.dtype)
        total = product(coef.transpose(1, 2).flatten(2), places)
        return self.direction(total / s, *(x.mean(1) for x in second))

    def isotropic(self, name: str, t: int) -> tuple[Vector, Tensor]:
        """Return the part in the span of a direction of standard normals, and the square of the whole norm, [b].

        Of the part orthogonal to the span only the squared norm is drawn, a chi-square: nothing else of it is needed.
        """
        p = self.problem
        b, f, size = p.align0.shape
        outputs = p.n_outputs * p.trained
        drawn = normals(self.seeds, name, f * (size + outputs), t).reshape(b, f, size + outputs)
        inside = self._in_span(drawn[..., :size], drawn[..., size:])
        free = self.n_parameters.double() - f * (self._coordinates.rank + outputs)
        across = chi_squares(self.seeds, f"{name}, across, step {t}", free.clamp(min=1)[:, None])[:, 0]
        return inside, self.inner(inside, inside) + torch.where(free > 0, across, 0.0).to(inside.leaves[1].dtype)

    def normal(self, rngs: Sequence[np.random.Generator]) -> Vector:
        """Return the projection onto the span of a direction of standard normals: its alignments have rows N(0, G)."""
        f, size = self.problem.align0.shape[1:]
        outputs = self.problem.n_outputs * self.problem.trained
        drawn = torch.as_tensor(np.stack([rng.standard_normal((f, size + outputs)) for rng in rngs]))
        return self._in_span(drawn[..., :size], drawn[..., size:])

    def _in_span(self, x: Tensor, second: Tensor) -> Vector:
        """Return the direction with coordinates x [b, f, N], in float64, along the orthonormal rows behind G."""
        like, factors = self.problem.align0, (self._coordinates.inverse_factor, self._coordinates.factor.mT)
        coef, align = (product(x.to(like.device), factor).to(like.dtype) for factor in factors)
        trained = (second.to(like.device, like.dtype),) if self.problem.trained else ()
        return self.vector(like.new_zeros(len(like)), coef, align, *trained)

    def curvature(self, w: Vector, batch: Tensor) -> GramCurvature:
        """Return the Hessian at w of sum_i batch_i loss(F_i, y_i)."""
        return GramCurvature(self, self._coordinates, w, batch)

    @cached_property
    def head(self) -> Head:
        """The part of the network after the activations."""
        return Head(self.problem)

    @cached_property
    def _coordinates(self) -> Coordinates:
        return Coordinates(self.problem.gram)

    def observe(self, w: Vector) -> Observation:
        """Describe w; W W' = alpha^2 W0W0' + alpha (Z0 C' + C Z0') + C G C', summed in float64: its terms cancel."""
        p, c, (alpha, coef, align, *_) = self.problem, self.problem.composed, w.leaves
        weight_gram = _weight_gram(alpha, coef, p)
        bias = None
        if c.biases is not None:
            bias = alpha[:, None] * c.biases + coef.sum(2)
            weight_gram = weight_gram - bias.double()[:, :, None] * bias.double()[:, None, :]
        return Observation(
            align=align,
            signal_align=self.signal_align(w),
            bias=bias,
            second=self.second(w).expand(len(coef), -1, -1),
            coef=product(coef, c.mixing),
            weight_gram=weight_gram.to(align.dtype),
            outputs=self.outputs(w),
            residual=torch.zeros_like(alpha),
            weighted_gram=None if c.weighted is None else _weight_gram(alpha, coef, c.weighted).to(align.dtype),
        )


def _weight_gram(alpha: Tensor, coef: Tensor, products: Problem | Weighted) -> Tensor:
    """Return the inner products of the rows of alpha W0 + C X, [b, f, f] in float64, from those of W0 and X."""
    spread, exact = alpha.double()[:, None, None], coef.double()
    cross = spread * product(products.align0.double(), exact.mT)
    inside = product(product(exact, products.gram.double()), exact.mT)
    return spread.square() * products.init_gram.double() + cross + cross.mT + inside
