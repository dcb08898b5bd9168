"""The two-parameter family that contains SAM, VaSSO and Friendly SAM, with one parameter for each of its parts.

Source: the form is ours; its members are Foret et al. 2021 (arXiv 2010.01412), Li and Giannakis 2023 (2309.15639) and
Li et al. 2024 (2403.12350).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from featlearn.optim.averaged import Averaged
from featlearn.types import Fraction

if TYPE_CHECKING:
    from featlearn.engines.protocol import Scalar


@dataclass(frozen=True, kw_only=True)
class EMASAM(Averaged):
    """The base rule with gradient(w + rho u / |u|), u = a g + b m, m the moving average of the gradients before g.

    (a, b) = (1, 0) is SAM, (theta, 1 - theta) with lam = 1 - theta is VaSSO, (1, -sigma) is F-SAM.

    batch_weight: a, the weight of the mini-batch gradient.
    ema_weight: b, the weight of the average.
    lam: share of the average kept at each step.
    """

    reference: ClassVar[str] = "Li and Giannakis 2023, arXiv 2309.15639; Li et al. 2024, 2403.12350"

    batch_weight: float
    ema_weight: float
    lam: Fraction = 0.9

    def mixture(self) -> tuple[Scalar, Scalar, Scalar]:
        """Return a, b and lam."""
        return self.batch_weight, self.ema_weight, self.lam
