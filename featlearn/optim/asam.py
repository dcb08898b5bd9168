"""Adaptive SAM: the perturbation is measured relative to the weights, so that their scale does not matter.

Source: Kwon et al. 2021 (arXiv 2102.11600) and their code, SamsungLabs/ASAM (element-wise: rho = .5, eta = .01).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.directions import norm
from featlearn.optim.perturbed import Perturbed
from featlearn.optim.wrapper import Memory
from featlearn.types import NonNegative

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class ASAM(Perturbed):
    """The base rule with gradient(w + rho T^2 g / |T g|), g = gradient(w), T = |w_r| on all of filter r.

    A filter is its weights, its bias, and its second layer where that is trained. One that is zero is not
    perturbed, nor is anything where T g = 0."""

    needs: ClassVar[frozenset[str]] = frozenset({"patches"})
    reference: ClassVar[str] = "Kwon et al. 2021, arXiv 2102.11600"

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return rho T^2 g / |T g|, where |T g| is that over all parameters jointly."""
        tg, ttg = self.stretched(loss, w, loss.gradient(w))
        return self.radius(t) * (loss.ratio(1.0, norm(loss, tg)) * ttg), memory.own

    def stretched(self, loss: Objective, w: Vector, g: Vector) -> tuple[Vector, Vector]:
        """Return T g and T^2 g."""
        square = loss.engine.rows_square(w)
        return loss.engine.scale_rows(g, square.sqrt()), loss.engine.scale_rows(g, square)


@dataclass(frozen=True, kw_only=True)
class ElementwiseASAM(ASAM):
    """The base rule with gradient(w + rho T^2 g / |T g|), g = gradient(w), T = |w| + eta for every weight and bias.

    eta: value of T for a weight of zero.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"coordinates"})

    eta: NonNegative = 0.01

    def stretched(self, loss: Objective, w: Vector, g: Vector) -> tuple[Vector, Vector]:
        """Return T g and T^2 g."""
        scale = w.map(lambda x: x.abs()) + self.eta * w.map(lambda x: x.new_ones(x.shape))
        tg = scale.map(lambda t, x: t * x, g)
        return tg, scale.map(lambda t, x: t * x, tg)
