"""SAM along one component of the mini-batch gradient: the experiment behind Friendly SAM.

Source: Li et al. 2024 (arXiv 2403.12350), who split the batch gradient into the full gradient and the noise
of the batch, perturb with one of them alone, and find that the former harms and the latter helps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, assert_never

from featlearn.optim.directions import projection, significant
from featlearn.optim.perturbed import Perturbed
from featlearn.optim.wrapper import Memory

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class ComponentSAM(Perturbed):
    """The base rule with gradient(w + rho u / |u|) on the batch, u a component of the batch gradient g.

    With full the gradient of the whole training set: u = full, g - full, or g - its projection on full; or the gradient
    of another batch of the same size, drawn independently. A difference shorter than 1e-6 |g| is rounding error: u = 0.

    component: full (n-SAM), noise (g - full), orthogonal (g - its projection on full), or other_batch.
    """

    reference: ClassVar[str] = "Li et al. 2024, arXiv 2403.12350"

    component: Literal["full", "noise", "orthogonal", "other_batch"]

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return rho u / |u|."""
        return self.radius(t) * loss.unit(self._direction(loss, w)), memory.own

    def _direction(self, loss: Objective, w: Vector) -> Vector:
        if self.component == "other_batch":
            return loss.other.gradient(w)
        full = loss.full.gradient(w)
        if self.component == "full":
            return full
        g = loss.gradient(w)
        if self.component == "noise":
            return significant(loss, g - full, g)
        if self.component == "orthogonal":
            return significant(loss, g - projection(loss, g, full), g)
        assert_never(self.component)

    def on_full_batch(self) -> str:
        """Return what the rule equals on the full batch: its base or SAM."""
        left = "its base, without a perturbation" if self.component in ("noise", "orthogonal") else "SAM"
        return f"is {left}: component = {self.component}"
