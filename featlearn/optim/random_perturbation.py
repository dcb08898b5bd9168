"""The control for SAM: a perturbation of the same length, in a direction independent of the loss.

Source: the random-perturbation baseline of Foret et al. 2021 (arXiv 2010.01412) and later work. A direction
uniform on the sphere is a Gaussian one divided by its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from featlearn.optim.perturbed import Perturbed
from featlearn.optim.wrapper import Memory

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class RandomPerturbation(Perturbed):
    """The base rule with gradient(w + eps), eps isotropic and drawn anew at each step.

    In dim dimensions almost all of eps is orthogonal to the data: rho moves an output less than SAM's does. The Gram
    engine draws the part of eps in the span of the data, exactly in law; the weight engine's draws are others.

    law: sphere (|eps| = rho), ball (uniform within it) or gaussian (the mean of |eps|^2 is rho^2).
    """

    reference: ClassVar[str] = "Foret et al. 2021, arXiv 2010.01412"

    law: Literal["sphere", "ball", "gaussian"] = "sphere"

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return rho times the step's draw."""
        return self.radius(t) * loss.isotropic(self.law), memory.own
