"""Two minima of equal loss, one sharp and one flat, with one barrier between them: which does a rule prefer?

With z = x / distance and q(z) = (sharp (1 - z)^2 + flat (1 + z)^2) / 4 the function is

    q(z) (distance^2 (1 - z^2)^2 / 8 + |u|^2 / 2)

q is positive, with q(-1) = sharp and q(1) = flat. So the function is 0 at u = 0, z = -1 and 1, and positive elsewhere;
its Hessian is sharp I and flat I there. Between them it has one more critical point, the top of the barrier: the real
root of 3 z^3 - 5 t z^2 + z + t = 0 with t = (sharp - flat) / (sharp + flat).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from featlearn.models.landscape import Arrays, Landscape, Tensors
from featlearn.types import MOST, Bound, Positive

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class TwoValleys(Landscape):
    """A double well along x, with minima of loss 0 at x = -distance and x = distance, and transverse coordinates u.

    sharp: curvature at x = -distance, in all directions.
    flat: curvature at x = distance, in all directions.
    distance: of either minimum from x = 0; the barrier's height is proportional to its square, and is
    (sharp + flat) / 32 times that square if both curvatures are equal.
    n_transverse: coordinates u besides x.
    x: initial value along the wells; initially u = 0.
    """

    sharp: Positive = 4.0
    flat: Positive = 1.0
    distance: Positive = 1.0
    n_transverse: Annotated[int, Bound(ge=0, le=MOST)] = 0
    x: float = 0.0

    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return ((1 + n_transverse,),): x, then u."""
        return ((1 + self.n_transverse,),)

    def initial(self, seed: int, data: Any) -> Arrays:
        """Return the start, the same for every seed."""
        return (np.array([self.x, *[0.0] * self.n_transverse]),)

    def given(self, seed: int, data: Any) -> Arrays:
        """Return both curvatures and the distance."""
        return np.array(self.sharp), np.array(self.flat), np.array(self.distance)

    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return the function."""
        (w,), (sharp, flat, distance) = leaves, given
        z = w[0] / distance
        curvature = (sharp * (1 - z).square() + flat * (1 + z).square()) / 4
        wells = (distance * (1 - z.square())).square() / 8
        return curvature * (wells + w[1:].square().sum() / 2)
