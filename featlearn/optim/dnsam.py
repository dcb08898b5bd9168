"""SAM with a deterministic normalizer: the mini-batch gradient, divided by the length of the full one.

Source: Compagnoni et al. 2023 (arXiv 2301.08203), who use it between SAM and USAM: its SDE is that of neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.directions import norm
from featlearn.optim.perturbed import Perturbed
from featlearn.optim.wrapper import Memory

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class DNSAM(Perturbed):
    """The base rule with gradient(w + rho g / |full|), g = gradient(w) on the batch, full that of the training set.

    |eps| = rho |g| / |full| varies from batch to batch. Where the full gradient is zero there is no perturbation.
    """

    reference: ClassVar[str] = "Compagnoni et al. 2023, arXiv 2301.08203"

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return rho g / |full|."""
        length = norm(loss, loss.full.gradient(w))
        return self.radius(t) * loss.ratio(1.0, length) * loss.gradient(w), memory.own

    def on_full_batch(self) -> str:
        """Return that it equals SAM on the full batch."""
        return "is SAM"
