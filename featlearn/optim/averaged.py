"""Rules that perturb along a mixture of the mini-batch gradient and its moving average."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featlearn.optim.directions import significant
from featlearn.optim.perturbed import Perturbed
from featlearn.optim.wrapper import Memory

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Scalar, Vector


@dataclass(frozen=True, kw_only=True)
class Averaged(Perturbed):
    """The base rule with gradient(w + rho u / |u|), u = a g + b m, g the batch gradient, m the average of those before.

    After the step m <- lam m + (1 - lam) g. The average starts as the first gradient; in the first step of the window
    u = a g. Where |u| <= 1e-6 |a g|, u is rounding error and there is no perturbation.
    """

    @abstractmethod
    def mixture(self) -> tuple[Scalar, Scalar, Scalar]:
        """Return a, b and lam."""

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return rho u / |u|, and the average after the step."""
        (a, b, lam), m = self.mixture(), memory.own
        g = loss.gradient(w)
        if m is None:
            return self.radius(t) * loss.unit(a * g), g
        u = significant(loss, a * g + b * m, a * g)
        return self.radius(t) * loss.unit(u), lam * m + (1 - lam) * g

    def on_full_batch(self) -> str:
        """Return the effect of a subtracted average on the full batch, where g - m is about -lr / (1 - lam) H g."""
        rest = "its average is nearly the gradient, and the little that is left is stretched to the radius"
        return f"perturbs downhill: {rest}" if self.mixture()[1] < 0 else ""
