"""The Euler-Maruyama scheme.

Source: Maruyama 1955, Rend. Circ. Mat. Palermo 4; its orders: Kloeden and Platen 1992, sections 10.2 and 14.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from featlearn.sde.integrators.protocol import Integrator, System

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.vector import Vector


@dataclass(frozen=True, kw_only=True)
class EulerMaruyama(Integrator):
    """w + a(w) h + sum_j b_j(w) dW_j: one evaluation per step."""

    reference: ClassVar[str] = "Kloeden and Platen 1992, section 14.1"
    weak_order: ClassVar[float] = 1.0
    strong_order: ClassVar[float] = 0.5
    additive_weak_order: ClassVar[float] = 1.0
    additive_strong_order: ClassVar[float] = 1.0
    deterministic_order: ClassVar[float] = 1.0

    def step(self, system: System, w: Vector, h: float, dw: Tensor | None, uniforms: Tensor | None) -> Vector:
        """Return w + a(w) h + sum_j b_j(w) dW_j."""
        return w + system.increment(w, h, dw)
