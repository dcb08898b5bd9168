"""(x y)^2 / 2: two crossing valleys of minima, with curvature y^2 across the valley x = 0.

The smallest network: one linear neuron with one output weight, on the target 0. Gradient
descent stops wherever y^2 < 2 / lr; SAM drifts on to y = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featlearn.models.landscape import Arrays, Landscape, Tensors

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Product(Landscape):
    """(x y)^2 / 2, with minima along both axes; the parameters are x and y.

    x: initial value.
    y: initial value; the curvature of the valley x = 0 is y^2.
    """

    x: float = 0.01
    y: float = 6.0

    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return ((2,),)."""
        return ((2,),)

    def initial(self, seed: int, data: Any) -> Arrays:
        """Return the start, the same for every seed."""
        return (np.array([self.x, self.y]),)

    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return (x y)^2 / 2."""
        x, y = leaves[0].unbind()
        return (x * y).square() / 2
