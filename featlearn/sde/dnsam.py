"""The limit of DNSAM: to first order in rho, and for noise that does not depend on w, its drift descends f + rho |g|.

It is that of USAM with the radius rho / |g|, g the gradient of the whole training set. The diffusion
(I + rho H / |g|) s grows without bound at a critical point. Exactly there the rule has no perturbation, and neither has
its limit.

Source: Compagnoni et al. 2023 (arXiv 2301.08203).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featlearn.sde.limit import length
from featlearn.sde.usam import USAMLimit

if TYPE_CHECKING:
    from featlearn.engines.loss import Loss
    from featlearn.engines.vector import Scalar, Vector


class DNSAMLimit(USAMLimit):
    """u_b = g_b / |g|, with g the gradient of the whole training set."""

    def strength(self, loss: Loss, w: Vector, rho: Scalar) -> Scalar:
        """Return rho / |g|, 0 where g = 0."""
        return loss.ratio(rho, length(loss, loss.full.gradient(w)))
