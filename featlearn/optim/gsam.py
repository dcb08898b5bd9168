"""Surrogate-gap guided SAM: descend the perturbed loss, and ascend along the part of the gradient orthogonal to that.

Source: Zhuang et al. 2022 (arXiv 2203.08065), where rho_t follows the learning rate between its lowest and its highest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.directions import projection
from featlearn.optim.sam import SAM
from featlearn.optim.schedules import FOLLOW_LR, RadiusSchedule
from featlearn.optim.wrapper import Memory
from featlearn.types import NonNegative

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class GSAM(SAM):
    """The base rule with s - alpha (g - <g, s> / <s, s> s), g = gradient(w) and s SAM's gradient(w + rho g / |g|).

    The radius follows the learning rate (rho_schedule: lr, whose parameters set a rho_min) unless another rho_schedule
    is given. alpha = 0 is SAM with that radius.

    alpha: how much of the orthogonal part of g is subtracted.
    """

    reference: ClassVar[str] = "Zhuang et al. 2022, arXiv 2203.08065"

    rho_schedule: RadiusSchedule = FOLLOW_LR
    alpha: NonNegative

    def gradient(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return s - alpha times the part of g orthogonal to s."""
        g, s = self.pair(loss, w, t)
        return s - self.alpha * (g - projection(loss, g, s)), memory.own
