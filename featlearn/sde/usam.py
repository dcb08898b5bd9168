"""The limit of unnormalized SAM: to first order in rho, its drift descends f + rho/2 E|g_b|^2.

Source: Compagnoni et al. 2023 (arXiv 2301.08203).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featlearn.sde.limit import PerturbedLimit, Response

if TYPE_CHECKING:
    from featlearn.engines.loss import Loss
    from featlearn.engines.vector import Scalar, Vector


class USAMLimit(PerturbedLimit):
    """u_b = g_b. For Gaussian noise the diffusion is (I + rho H) s."""

    def ascent(self, loss: Loss, w: Vector, g: Vector) -> Vector:
        """Return g_b."""
        return g

    def mean(self, loss: Loss, w: Vector, strength: Scalar, variance: float) -> Vector | None:
        """Return g + rho ((1 - c) H g + c mean_i H_i g_i), the gradient of f + rho/2 (|g|^2 + c tr V).

        V is the covariance of the gradients g_i of single samples (divided by n).
        """
        if self.expansion != "first":
            return None
        g, hvp = loss.linearize(w)
        own: Vector = loss.engine.shards(loss, 1).average(_bent, w, strength)
        return g + ((1 - variance) * strength) * hvp(g) + variance * own

    def response(self, loss: Loss, g: Vector, s: float) -> Response:
        """Return those of u = g + s Z."""
        return 1.0, 1.0, 0.0


def _bent(loss: Loss, w: Vector, strength: Scalar) -> Vector:
    """Return rho H_i g_i of every sample."""
    g, hvp = loss.linearize(w)
    return strength * hvp(g)
