"""A valley of minima whose curvature varies along it: SAM drifts to the flat end, gradient descent stops.

Source: the drift of Bartlett, Long, Bousquet 2023 (arXiv 2210.01513): SAM bounces across the valley, and moves along
it by -lr rho^2 / 2 times the gradient of the curvature at small lr.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featlearn.models.landscape import Arrays, Landscape, Tensors
from featlearn.types import Positive

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Valley(Landscape):
    """(curvature + y) x^2 / 2, with minima along x = 0 where y > -curvature; the parameters are x and y.

    curvature: across the valley, at y = 0.
    x: initial value, across the valley.
    y: initial value, along the valley.
    """

    curvature: Positive = 5.0
    x: float = 0.01
    y: float = 0.0

    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return ((2,),)."""
        return ((2,),)

    def initial(self, seed: int, data: Any) -> Arrays:
        """Return the start, the same for every seed."""
        return (np.array([self.x, self.y]),)

    def given(self, seed: int, data: Any) -> Arrays:
        """Return the curvature at y = 0."""
        return (np.array(self.curvature),)

    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return (curvature + y) x^2 / 2."""
        x, y = leaves[0].unbind()
        return (given[0] + y) * x.square() / 2
