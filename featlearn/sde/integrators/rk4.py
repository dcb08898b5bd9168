"""The drift by the classical Runge-Kutta method of order 4, and the noise by Euler's.

Source: Milstein and Tretyakov 1997, SIAM J. Numer. Anal. 34, 2142-2167, for weak methods whose error is a sum of
products of powers of the step and of the size of the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from featlearn.sde.integrators.protocol import Integrator, System

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.vector import Vector


@dataclass(frozen=True, kw_only=True)
class RK4(Integrator):
    """flow(w) + sum_j b_j(w) dW_j, with flow(w) a Runge-Kutta step of the drift: five evaluations per step.

    For noise of size eps the weak error is O(h^4 + eps^2 h).
    """

    reference: ClassVar[str] = "Milstein and Tretyakov 1997, SIAM J. Numer. Anal. 34"
    weak_order: ClassVar[float] = 1.0
    strong_order: ClassVar[float] = 0.5
    additive_weak_order: ClassVar[float] = 1.0
    additive_strong_order: ClassVar[float] = 1.0
    deterministic_order: ClassVar[float] = 4.0

    def step(self, system: System, w: Vector, h: float, dw: Tensor | None, uniforms: Tensor | None) -> Vector:
        """Return flow(w) + sum_j b_j(w) dW_j."""
        end = flow(system, w, h)
        return end if dw is None else end + system.increment(w, 0.0, dw)


def flow(system: System, w: Vector, h: float) -> Vector:
    """Return the state a time h after w without noise, by the classical Runge-Kutta method."""
    k1 = system.increment(w, h, None)
    k2 = system.increment(w + 0.5 * k1, h, None)
    k3 = system.increment(w + 0.5 * k2, h, None)
    k4 = system.increment(w + k3, h, None)
    return w + (1 / 6) * k1 + (1 / 3) * k2 + (1 / 3) * k3 + (1 / 6) * k4
