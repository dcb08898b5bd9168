"""Sharpness-aware minimization: any base rule, with the gradient at distance rho along the gradient.

Source: Foret et al. 2021 (arXiv 2010.01412); the step window start, stop is the two-phase recipe of Chen et al. 2023
(2310.07269): SAM first, then its base.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.perturbed import Perturbed
from featlearn.optim.wrapper import Memory

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class SAM(Perturbed):
    """The base rule with gradient(w + rho g / |g|) in place of g = gradient(w), both on the same mini-batch.

    |g| is the norm over all parameters jointly. Where g = 0 there is no perturbation.
    """

    reference: ClassVar[str] = "Foret et al. 2021, arXiv 2010.01412"
    _edge: ClassVar[str | None] = "sam"

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return rho g / |g|."""
        return self.radius(t) * loss.unit(loss.gradient(w)), memory.own

    def pair(self, loss: Objective, w: Vector, t: int) -> tuple[Vector, Vector]:
        """Return g and gradient(w + rho g / |g|), for the variants that need both."""
        g = loss.gradient(w)
        return g, loss.gradient(w + self.radius(t) * loss.unit(g))
