"""VaSSO, variance-suppressed SAM: the perturbation follows a moving average of the mini-batch gradients.

Source: Li and Giannakis 2023 (arXiv 2309.15639) and their code, BingcongLi/VaSSO: the average starts as the first
gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from featlearn.optim.averaged import Averaged
from featlearn.types import Bound

if TYPE_CHECKING:
    from featlearn.engines.protocol import Scalar


@dataclass(frozen=True, kw_only=True)
class VaSSO(Averaged):
    """The base rule with gradient(w + rho m / |m|), m <- (1 - theta) m + theta g before the perturbation.

    theta = 1 is SAM.

    theta: weight of the new gradient in the average.
    """

    reference: ClassVar[str] = "Li and Giannakis 2023, arXiv 2309.15639"

    theta: Annotated[float, Bound(gt=0, le=1)]

    def mixture(self) -> tuple[Scalar, Scalar, Scalar]:
        """Return the weights theta and 1 - theta, and lam = 1 - theta."""
        return self.theta, 1 - self.theta, 1 - self.theta
