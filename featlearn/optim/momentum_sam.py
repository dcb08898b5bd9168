"""Momentum-SAM: a perturbation that costs no gradient, against the direction of the momentum.

Source: Becker et al. 2024 (arXiv 2401.12033), with momentum and buffer as torch.optim.SGD has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.perturbed import Perturbed
from featlearn.optim.wrapper import Memory

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class MomentumSAM(Perturbed):
    """The base rule with gradient(w - rho v / |v|), v the momentum buffer of the base as the last step left it.

    The buffer is empty before the first step, which is therefore unperturbed.
    """

    reference: ClassVar[str] = "Becker et al. 2024, arXiv 2401.12033"

    def __post_init__(self) -> None:
        """Raise ValueError for a base that keeps no momentum."""
        super().__post_init__()
        momentum = getattr(self.base, "momentum", 0.0)  # an attribute of SGD, and of torch's SGD as a base
        if isinstance(momentum, float) and momentum == 0.0:
            raise ValueError("momentum_sam perturbs along the buffer of an SGD base: it needs momentum > 0")

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return -rho v / |v|."""
        return -self.radius(t) * loss.unit(memory.base), memory.own
