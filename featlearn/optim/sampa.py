"""SAMPa: SAM whose two gradients can be computed side by side, each on its own device.

Source: Xie et al. 2024 (arXiv 2410.10683), and the authors' code, LIONS-EPFL/SAMPa. The code recovers grad(y) by a
division by lam, and so does not perturb at lam = 0; here grad(y) is kept. Nor does it perturb in the first step, where
the paper, and this, begins with y = x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from featlearn.optim.perturbed import Perturbed
from featlearn.optim.wrapper import Memory
from featlearn.types import Bound

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


class Ahead(NamedTuple):
    """The loss on the last step's batch, and its gradient at the point y that looked ahead there."""

    loss: Objective
    gradient: Vector


@dataclass(frozen=True, kw_only=True)
class SAMPa(Perturbed):
    """x <- x - lr [(1 - lam) grad(x~) + lam grad(y+)], x~ = x + rho grad(y) / |grad(y)|, y+ = x - lr grad(y).

    grad(y) and grad(x~) are on the batch of the step before (at first on the step's own, at y = x), grad(y+) on the
    step's own; it is the next grad(y). The base takes both steps: with momentum, y+ is where it would go with grad(y).
    rho = 0 is not the base: gradients come late. Trackers see x~, whose batch is the one before.

    lam: weight of the gradient at the point that looks ahead.
    """

    reference: ClassVar[str] = "Xie et al. 2024, arXiv 2410.10683"

    lam: Annotated[float, Bound(ge=0, le=1)] = 0.2

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return rho grad(y) / |grad(y)|, and with what grad(y) and its loss have come."""
        last = memory.own or Ahead(loss, loss.gradient(w))
        return self.radius(t) * loss.unit(last.gradient), last

    def gradient(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return (1 - lam) grad(x~) + lam grad(y+)."""
        eps, last = self.perturbation(loss, w, memory, t)
        ahead, _ = self.base.update(loss, w, last.gradient, memory.base, t)
        following = loss.gradient(ahead)
        return (1 - self.lam) * last.loss.gradient(w + eps) + self.lam * following, Ahead(loss, following)
