"""A cosine of one parameter: minima and maxima side by side, at which SAM hallucinates minimizers.

Source: "SAM can hallucinate minimizers" (arXiv 2509.21818): SAM stops at x where the perturbed gradient vanishes and
the gradient does not, f'(x) != 0 = f'(x + rho sign f'(x)). Here these points are z - rho with z a multiple of pi and
sin(z - rho) > 0, and their mirror images. For rho < pi, z is the next maximum and the point repels: it bounds the
interval around the maximum from which SAM goes up to it. For pi < rho < 2 pi, z is the minimum behind the next
maximum, and the point attracts as that minimum does.
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
class Bump(Landscape):
    """curvature (1 - cos x), with minima at the even multiples of pi and maxima at the odd ones.

    curvature: at a minimum; minus it at a maximum.
    x: initial value.
    """

    curvature: Positive = 1.0
    x: float = 2.0

    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return ((1,),)."""
        return ((1,),)

    def initial(self, seed: int, data: Any) -> Arrays:
        """Return the start, the same for every seed."""
        return (np.array([self.x]),)

    def given(self, seed: int, data: Any) -> Arrays:
        """Return the curvature."""
        return (np.array(self.curvature),)

    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return curvature (1 - cos x)."""
        return given[0] * (1 - leaves[0][0].cos())
