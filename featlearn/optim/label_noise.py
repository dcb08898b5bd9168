"""Label-noise gradient descent: every label may be flipped, drawn anew in each step.

Source: Huang et al. 2025 (arXiv 2510.17526), on the signal-noise model: the flips suppress the memorization of noise,
while the signal is still learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from featlearn.optim.wrapper import Memory, Wrapper
from featlearn.types import Bound

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Vector


@dataclass(frozen=True, kw_only=True)
class LabelNoiseGD(Wrapper):
    """The base rule with the gradient of a loss in which each label is wrong with probability flip_rate.

    The flips are in addition to those of data.flip_prob, which are fixed for the whole run, and are drawn in each step
    from a stream of the run's own seed.

    flip_rate: probability of a flip.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    reference: ClassVar[str] = "Huang et al. 2025, arXiv 2510.17526"

    flip_rate: Annotated[float, Bound(ge=0, le=1)]

    def gradient(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return gradient(w) under this step's labels."""
        return loss.flipped(self.flip_rate).gradient(w), memory.own
