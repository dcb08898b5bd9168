"""Beale's function of two parameters: a minimum, a saddle, and steep walls.

Source: Beale 1958; the test problem of Kim, Park, Choi, Lee (arXiv 2301.06308) for SAM at a saddle, which start from
(1, 2). With r_k = c_k - x (1 - y^k), all r_k vanish at the minimum (3, 1/2), and all their derivatives at the
saddle (0, 1), where the Hessian has the eigenvalues +- 27.75.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featlearn.models.landscape import Arrays, Landscape, Tensors

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Beale(Landscape):
    """(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2; minimum 0 at (3, 1/2), saddle at (0, 1).

    x: initial value.
    y: initial value.
    """

    x: float = 1.0
    y: float = 2.0

    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return ((2,),)."""
        return ((2,),)

    def initial(self, seed: int, data: Any) -> Arrays:
        """Return the start, the same for every seed."""
        return (np.array([self.x, self.y]),)

    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return the function."""
        x, y = leaves[0].unbind()
        residuals = (1.5 - x + x * y), (2.25 - x + x * (y * y)), (2.625 - x + x * (y * y * y))
        first, second, third = (residual.square() for residual in residuals)
        return first + second + third
