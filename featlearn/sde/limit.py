"""What a rule does on one mini-batch, expanded in its radius: all that its flow and its SDE need.

A rule without memory steps along a direction D_b(w) that depends on the mini-batch b alone, w <- w - lr D_b(w). In the
time t = number of steps, its SDE and its flow are

    dw = -lr E[D_b] dt + lr Cov(D_b)^(1/2) dW        dw = -lr E[D_b] dt

which in the papers' time lr t read dX = -E[D_b] dt + sqrt(lr Cov(D_b)) dW. A subclass gives D_b for one rule. How E and
Cov are computed is the same for all (see systems.py).

Source: Li, Tai and E 2017 (arXiv 1511.06251) for SGD; Compagnoni et al. 2023 (2301.08203) for SAM.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.loss import Loss
    from featlearn.engines.vector import Scalar, Vector

Expansion = Literal["first", "second", "exact"]
Response = tuple["Scalar", "Scalar", "Scalar"]


@dataclass(frozen=True, kw_only=True)
class Limit(ABC):
    """The direction D_b of a rule on a mini-batch.

    rule: the rule, with the numbers of the block. expansion: of D_b in the radius (see Settings).
    linear: whether D_b is linear in the sample weights of b, so that any combination of directions is one direction.
    """

    linear: ClassVar[bool] = False

    rule: Any
    expansion: Expansion = "first"

    @abstractmethod
    def direction(self, loss: Loss, w: Vector, strength: Scalar) -> Vector:
        """Return D_b(w), ``loss`` being that of b, or of each of many micro-batches."""

    def strength(self, loss: Loss, w: Vector, rho: Scalar) -> Scalar:
        """Return the factor of the perturbation, a number or one per run [b]; rho: the radius of this step."""
        return rho

    def micro_batch(self, size: int) -> int:
        """Return the number of samples whose directions a mini-batch of ``size`` averages."""
        return size

    def mean(self, loss: Loss, w: Vector, strength: Scalar, variance: float) -> Vector | None:
        """Return E[D_b] over mini-batches, None where it has no closed form.

        loss: of the whole training set. variance: c of the sample weights of b (see batch_variance).
        """
        return None

    @property
    def closed(self) -> bool:
        """Whether ``gaussian`` has a closed form."""
        return self.linear

    def gaussian(self, loss: Loss, w: Vector, strength: Scalar, s: float, h: float, x: Vector | None) -> Vector:
        """Return h E[D] + the noise of D along x, for gradients with the noise s Z, Z ~ N(0, I); x: a share of Z.

        loss: without the noise.
        """
        d = h * self.direction(loss, w, strength)
        return d if x is None else d + s * x


class PerturbedLimit(Limit):
    """D_b of a rule that takes the gradient at w + rho u_b, where u_b is made of the gradient g_b of the mini-batch.

    first: g_b + rho H_b u_b. second: + rho^2 / 2 D3f_b[u_b, u_b]. exact: gradient_b(w + rho u_b).
    """

    @abstractmethod
    def ascent(self, loss: Loss, w: Vector, g: Vector) -> Vector:
        """Return u_b, given g_b."""

    @abstractmethod
    def response(self, loss: Loss, g: Vector, s: float) -> Response:
        """Return a, b and c with E u = a g and E du/dg = b I + c e e', e = g / |g|, for gradients g + s Z.

        Then Cov(g + s Z, u) = s^2 (b I + c e e'), by Stein's identity.
        """

    def direction(self, loss: Loss, w: Vector, strength: Scalar) -> Vector:
        """Return D_b(w)."""
        if self.expansion == "exact":
            return loss.gradient(w + strength * self.ascent(loss, w, loss.gradient(w)))
        g, hvp = loss.linearize(w)
        u = self.ascent(loss, w, g)
        d = g + strength * hvp(u)
        return d + (strength * strength / 2) * loss.third(w, u) if self.expansion == "second" else d

    @property
    def closed(self) -> bool:
        """Whether ``gaussian`` has a closed form: to first order in rho."""
        return self.linear or self.expansion == "first"

    def gaussian(self, loss: Loss, w: Vector, strength: Scalar, s: float, h: float, x: Vector | None) -> Vector:
        """Return h (g + rho H E u) + s (I + rho H E du/dg) x, whose covariance is complete: positive semi-definite."""
        if self.linear:
            return super().gaussian(loss, w, strength, s, h, x)
        g, hvp = loss.linearize(w)
        a, b, c = self.response(loss, g, s)
        u, d = (h * a) * g, h * g
        if x is not None:
            u, d = u + (s * b) * x, d + s * x
            if not isinstance(c, float) or c:
                u = u + loss.ratio((s * c) * loss.inner(g, x), loss.inner(g, g)) * g
        return d + strength * hvp(u)


def length(loss: Loss, u: Vector) -> Tensor:
    """Return |u|, [b]."""
    return loss.root(loss.inner(u, u))
