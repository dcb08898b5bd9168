"""SAMPa: SAM whose two gradients can be computed side by side, each on its own device.

Source: Xie et al. 2024 (arXiv 2410.10683), and the authors' code, LIONS-EPFL/SAMPa. The code recovers grad(y) by a
division by lam, and so does not perturb at lam = 0; here grad(y) is stored. Nor does it perturb in the first step,
where the paper and this implementation start with y = x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from featlearn.optim.perturbed import Perturbed
from featlearn.optim.wrapper import Memory
from featlearn.types import Bound

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class SAMPa(Perturbed):
    """x <- x - lr [(1 - lam) grad(x~) + lam grad(y+)], x~ = x + rho grad(y) / |grad(y)|, y+ = x - lr grad(y).

    grad(y) and grad(x~) are on the batch of the step before (at first on the step's own, at y = x), grad(y+) on the
    step's own; it is the next grad(y). The base takes both steps: y+ is its step with grad(y), momentum included.
    rho = 0 is not the base: gradients are delayed. Trackers see x~, whose batch is the one before.

    lam: weight of the gradient at y+.
    """

    reference: ClassVar[str] = "Xie et al. 2024, arXiv 2410.10683"

    lam: Annotated[float, Bound(ge=0, le=1)] = 0.2

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return rho grad(y) / |grad(y)|."""
        at_y = memory.own[0] if memory.own else loss.gradient(w)
        return self.radius(t) * loss.unit(at_y), memory.own

    def gradient(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return (1 - lam) grad(x~) + lam grad(y+), and grad(y+)."""
        at_y, perturbed = memory.own or self.pair(loss, w, loss.gradient(w), t)
        ahead, _ = self.base.update(loss, w, at_y, memory.base, t)
        following = loss.gradient(ahead)
        return (1 - self.lam) * perturbed + self.lam * following, following

    def after(self, loss: Objective, w: Vector, own: Any, t: int) -> Any:
        """Return the next step's grad(y) and grad(x~), both on this step's batch; None if the window ends here."""
        return self.pair(loss, w, own, t + 1) if self.active(t + 1) else None

    def pair(self, loss: Objective, w: Vector, at_y: Vector, t: int) -> tuple[Vector, Vector]:
        """Return grad(y) and, with x = w, grad(x~)."""
        return at_y, loss.gradient(w + self.radius(t) * loss.unit(at_y))
