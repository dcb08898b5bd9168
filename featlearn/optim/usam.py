"""Unnormalized SAM: the perturbation is rho times the gradient.

Source: Andriushchenko and Flammarion 2022 (arXiv 2206.06232); Compagnoni et al. 2023 (2301.08203).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.perturbed import Perturbed
from featlearn.optim.wrapper import Memory
from featlearn.types import NonNegative

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class USAM(Perturbed):
    """The base rule with gradient(w + rho g) in place of g = gradient(w), both on the same mini-batch.

    rho: factor of the gradient; not a length, so not comparable with SAM's radius.
    """

    reference: ClassVar[str] = "Andriushchenko and Flammarion 2022, arXiv 2206.06232"
    _edge: ClassVar[str | None] = "usam"

    rho: NonNegative

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return rho g."""
        return self.radius(t) * loss.gradient(w), memory.own
