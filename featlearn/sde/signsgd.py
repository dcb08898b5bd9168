"""The limit of signSGD, alone and as the base of another rule: D_b = sign of the direction that the base takes.

For Gaussian noise, E sign(g_i + s Z_i) = erf(g_i / (s sqrt 2)), and the variance is 1 - erf^2.

Source: Compagnoni et al. 2025 (arXiv 2411.15958).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featlearn.sde.limit import Limit

if TYPE_CHECKING:
    from featlearn.engines.loss import Loss
    from featlearn.engines.vector import Scalar, Vector


@dataclass(frozen=True, kw_only=True)
class SignLimit(Limit):
    """D_b = sign(D'_b), coordinate by coordinate. inner: the limit with the direction D'_b, None for the gradient."""

    inner: Limit | None = None

    def direction(self, loss: Loss, w: Vector, strength: Scalar) -> Vector:
        """Return the sign of the inner direction; that of 0 is 0."""
        d = self.inner.direction(loss, w, strength) if self.inner else loss.gradient(w)
        return d.map(lambda x: x.sign())

    def strength(self, loss: Loss, w: Vector, rho: Scalar) -> Scalar:
        """Return that of the inner limit."""
        return self.inner.strength(loss, w, rho) if self.inner else rho

    def micro_batch(self, size: int) -> int:
        """Return the whole mini-batch: the sign is taken of a mean, so that micro-batches have no limit here."""
        return size

    @property
    def closed(self) -> bool:
        """Whether ``gaussian`` has a closed form: for the gradient itself."""
        return self.inner is None

    def gaussian(self, loss: Loss, w: Vector, strength: Scalar, s: float, h: float, x: Vector | None) -> Vector:
        """Return h erf(g / (s sqrt 2)) + sqrt(1 - erf^2) x."""
        mean = loss.gradient(w).map(lambda g: (g / (s * math.sqrt(2))).erf())
        return h * mean if x is None else h * mean + mean.map(lambda e, y: (1 - e * e).clamp(min=0).sqrt() * y, x)
