"""Friendly SAM: the perturbation without its full-gradient part, estimated by the moving average of gradients.

Source: Li et al. 2024 (arXiv 2403.12350) and their code, nblt/F-SAM. They differ: the code subtracts the average of the
gradients before g, the paper the average that includes g. The latter gives the same direction at sigma = 1, and at
another sigma the direction of sigma' = sigma lam / (1 - sigma (1 - lam)). The average starts as the first gradient, as
in the code (in the paper at zero), and the first step is plain SAM in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from featlearn.optim.averaged import Averaged
from featlearn.types import Fraction, NonNegative

if TYPE_CHECKING:
    from featlearn.engines.protocol import Scalar


@dataclass(frozen=True, kw_only=True)
class FSAM(Averaged):
    """The base rule with gradient(w + rho u / |u|), u = g - sigma m, m the moving average of the batch gradients g.

    On the full batch g - m is about -lr / (1 - lam) H g: the perturbation points downhill.

    lam: share of the average kept at each step.
    sigma: how much of the average is subtracted.
    updated: subtract the average with g in it (the paper), not the one of the gradients before (its code).
    """

    reference: ClassVar[str] = "Li et al. 2024, arXiv 2403.12350"

    lam: Fraction = 0.9
    sigma: NonNegative = 1.0
    updated: bool = False

    def mixture(self) -> tuple[Scalar, Scalar, Scalar]:
        """Return the weights of g and of the average before it, and lam."""
        if self.updated:
            return 1 - self.sigma * (1 - self.lam), -self.sigma * self.lam, self.lam
        return 1.0, -self.sigma, self.lam
