"""Weighted SAM: sharpness as a regularizer of its own weight.

Source: Yue et al. 2023 (arXiv 2305.15817): the loss L + gamma / (1 - gamma) (L_SAM - L). The whole of its gradient goes
through the base rule (coupled); the paper can also keep the sharpness out of the base's momentum, which without
momentum is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.sam import SAM
from featlearn.optim.wrapper import Memory
from featlearn.types import Fraction

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class WSAM(SAM):
    """The base rule with g + gamma / (1 - gamma) (s - g), g = gradient(w) and s SAM's gradient(w + rho g / |g|).

    gamma = 0 is the base rule, 1/2 is SAM; beyond, more than SAM.

    gamma: weight of the sharpness.
    """

    reference: ClassVar[str] = "Yue et al. 2023, arXiv 2305.15817"
    steady: ClassVar[bool] = True

    gamma: Fraction

    def gradient(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return g + gamma / (1 - gamma) (s - g)."""
        g, s = self.pair(loss, w, t)
        return g + self.gamma / (1 - self.gamma) * (s - g), memory.own
