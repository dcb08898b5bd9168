"""A quadratic saddle at the origin, embedded in a function that has minima.

Source: the embedded saddle of Compagnoni et al. 2023 (arXiv 2301.08203), there with H = diag(-1, 2): it shows which
rules stay at the saddle, and which escape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featlearn.models.landscape import Arrays, Landscape, Tensors, gaussian
from featlearn.types import NonNegative, Numbers, Positive

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Saddle(Landscape):
    """sum_i (lambda_i w_i^2 / 2 - cubic w_i^3 / 3 + quartic w_i^4 / 4), a saddle at 0 where some lambda_i is negative.

    spectrum: lambda_i, the eigenvalues of the Hessian at the origin, as many as parameters.
    cubic: tilts the two minima along a negative direction against each other.
    quartic: bounds the function from below.
    start: initial point, one number a parameter; null to draw it.
    init_std: standard deviation of an initial coordinate that is drawn.
    """

    spectrum: Numbers = (-1.0, 2.0)
    cubic: NonNegative = 0.1
    quartic: Positive = 1.0
    start: Numbers | None = None
    init_std: NonNegative = 0.1

    def __post_init__(self) -> None:
        """Raise ValueError unless the start has as many coordinates as there are eigenvalues."""
        if self.start is not None and len(self.start) != len(self.spectrum):
            raise ValueError(f"start has {len(self.start)} coordinates, and spectrum {len(self.spectrum)}")

    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return ((number of eigenvalues,),)."""
        return ((len(self.spectrum),),)

    def initial(self, seed: int, data: Any) -> Arrays:
        """Return the start, or draw w from N(0, init_std^2)."""
        if self.start is not None:
            return (np.array(self.start),)
        return gaussian(seed, self.shapes(data), self.init_std)

    def given(self, seed: int, data: Any) -> Arrays:
        """Return the eigenvalues [d] and the two coefficients."""
        return np.array(self.spectrum), np.array(self.cubic), np.array(self.quartic)

    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return the function."""
        (w,), (eigenvalues, cubic, quartic) = leaves, given
        square = w.square()
        return (square * (eigenvalues / 2 - cubic / 3 * w + quartic / 4 * square)).sum()
