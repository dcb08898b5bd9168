"""n-SAM: the perturbation uses all samples, the descent only those of the mini-batch.

Source: Andriushchenko and Flammarion 2022 (arXiv 2206.06232). Their code leaves the perturbation unnormalized; here it
has length rho as in SAM, so that radii are comparable with SAM's and not with theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.perturbed import Perturbed
from featlearn.optim.wrapper import Memory

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class NSAM(Perturbed):
    """The base rule with gradient(w + rho full / |full|) on the batch, full the gradient of the whole training set."""

    reference: ClassVar[str] = "Andriushchenko and Flammarion 2022, arXiv 2206.06232"

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return rho full / |full|."""
        return self.radius(t) * loss.unit(loss.full.gradient(w)), memory.own

    def on_full_batch(self) -> str:
        """Return that it equals SAM on the full batch."""
        return "is SAM"
