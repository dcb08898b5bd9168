"""The limit of unnormalized SAM: to first order in rho, its drift descends f + rho/2 E|g_b|^2.

Source: Compagnoni et al. 2023 (arXiv 2301.08203).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featlearn.sde.limit import PerturbedLimit, Response

if TYPE_CHECKING:
    from featlearn.engines.loss import Loss
    from featlearn.engines.vector import Vector


class USAMLimit(PerturbedLimit):
    """u_b = g_b. For Gaussian noise the diffusion is (I + rho H) s."""

    def ascent(self, loss: Loss, w: Vector, g: Vector) -> Vector:
        """Return g_b."""
        return g

    def response(self, loss: Loss, g: Vector, s: float) -> Response:
        """Return those of u = g + s Z."""
        return 1.0, 1.0, 0.0
