"""n-USAM: the perturbation is rho times the gradient of all samples, the descent uses only those of the mini-batch.

Source: Luo, Harandi, Phung, Le 2025, "Unveiling m-Sharpness" (arXiv 2509.18001); the code of Andriushchenko and
Flammarion 2022 (2206.06232) for n-SAM is of this form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.usam import USAM
from featlearn.optim.wrapper import Memory

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class NUSAM(USAM):
    """The base rule with gradient(w + rho full) on the batch, full the gradient of the whole training set."""

    reference: ClassVar[str] = "Luo et al. 2025, arXiv 2509.18001"

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return rho full."""
        return self.radius(t) * loss.full.gradient(w), memory.own

    def on_full_batch(self) -> str:
        """Return that it equals USAM on the full batch."""
        return "is USAM"
