"""The limits of n-SAM and n-USAM, whose perturbation is that of the whole training set: it has no noise.

Source: Luo et al. 2025, "Unveiling m-Sharpness" (arXiv 2509.18001).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from featlearn.sde.limit import PerturbedLimit, Response

if TYPE_CHECKING:
    from featlearn.engines.loss import Loss
    from featlearn.engines.vector import Vector


class NUSAMLimit(PerturbedLimit):
    """u = g, the gradient of the whole training set: the drift descends f + rho/2 |g|^2."""

    linear: ClassVar[bool] = True

    def ascent(self, loss: Loss, w: Vector, g: Vector) -> Vector:
        """Return the gradient of the whole training set."""
        return loss.full.gradient(w)

    def response(self, loss: Loss, g: Vector, s: float) -> Response:
        """Return that the perturbation does not respond to noise; not used, as the direction is linear."""
        return 1.0, 0.0, 0.0


class NSAMLimit(NUSAMLimit):
    """u = g / |g|, with the gradient of the whole training set: the drift descends f + rho |g|."""

    def ascent(self, loss: Loss, w: Vector, g: Vector) -> Vector:
        """Return the unit vector along the gradient of the whole training set."""
        return loss.unit(super().ascent(loss, w, g))
