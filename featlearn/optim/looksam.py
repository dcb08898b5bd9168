"""LookSAM: SAM's second gradient only every k steps; its component orthogonal to the first is reused in between.

Source: Liu et al. 2022 (arXiv 2203.02714), with norms over all parameters jointly (not layer by layer).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.directions import norm, projection, significant
from featlearn.optim.sam import SAM
from featlearn.optim.wrapper import Memory
from featlearn.types import Count, NonNegative

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class LookSAM(SAM):
    """SAM in every k-th step of the window, from its first on; in between g + alpha |g| v / |v|, unperturbed.

    v is s - <s, g> / <g, g> g as of the last SAM step, g = gradient(w) and s = gradient(w + rho g / |g|); zero where it
    is shorter than 1e-6 |s|, which is rounding error. k = 1 is SAM.

    k: steps from one SAM step to the next.
    alpha: length of the vector added in between, as a share of |g|.
    """

    reference: ClassVar[str] = "Liu et al. 2022, arXiv 2203.02714"

    k: Count = 5
    alpha: NonNegative

    def remember(self, w: Vector) -> Vector:
        """Return v = 0."""
        return 0.0 * w

    def is_sam_step(self, t: int) -> bool:
        """Whether step t is a SAM step."""
        return (t - self.start) % self.k == 0

    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return rho g / |g| in a SAM step, zero in another."""
        return super().perturbation(loss, w, memory, t) if self.is_sam_step(t) else (0.0 * w, memory.own)

    def gradient(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return s and the new v in a SAM step, g + alpha |g| v / |v| and the old v in another."""
        if not self.is_sam_step(t):
            g, v = loss.gradient(w), memory.own
            return g + self.alpha * norm(loss, g) * loss.unit(v), v
        g, s = self.pair(loss, w, t)
        return s, significant(loss, s - projection(loss, s, g), s)
