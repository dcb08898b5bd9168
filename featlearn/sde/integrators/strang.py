"""Half of the noise, the drift, the other half of the noise: a symmetric splitting for small noise.

Source: Strang 1968, SIAM J. Numer. Anal. 5, 506-517, for the splitting; the error is measured in powers of the step and
of the size of the noise, as in Milstein and Tretyakov 1997, SIAM J. Numer. Anal. 34, 2142-2167.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from featlearn.sde.integrators.protocol import Integrator, System, signs
from featlearn.sde.integrators.rk4 import flow

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.vector import Vector


@dataclass(frozen=True, kw_only=True)
class Strang(Integrator):
    """N_2(flow(N_1(w))), with N_i(w) = w + sum_j b_j(w) dW_ij and flow as in rk4: six evaluations per step.

    dW_1 and dW_2 = dW - dW_1 have the variance h/2 and are uncorrelated: dW_1 = (dW + s sqrt h) / 2, s a random sign.
    For noise of size eps the weak error is O(h^4 + eps^2 h^2 + eps^4 h), without the last term for additive noise: the
    splitting is exact to order h^2, the law of the noise alone to order eps^2.
    """

    reference: ClassVar[str] = "Strang 1968, SIAM J. Numer. Anal. 5; Milstein and Tretyakov 1997, ibid. 34"
    weak_order: ClassVar[float] = 1.0
    strong_order: ClassVar[float] = 0.5
    additive_weak_order: ClassVar[float] = 2.0
    additive_strong_order: ClassVar[float] = 1.0
    deterministic_order: ClassVar[float] = 4.0

    def n_uniforms(self, m: int) -> int:
        """Return m, one sign per noise."""
        return m

    def step(self, system: System, w: Vector, h: float, dw: Tensor | None, uniforms: Tensor | None) -> Vector:
        """Return N_2(flow(N_1(w)))."""
        if dw is None:
            return flow(system, w, h)
        first = 0.5 * (dw + h**0.5 * signs(uniforms, dw, dw.shape[1]))
        middle = flow(system, w + system.increment(w, 0.0, first), h)
        return middle + system.increment(middle, 0.0, dw - first)
