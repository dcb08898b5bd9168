"""signSGD: a step of the same length in every coordinate.

Source: Bernstein et al. 2018 (arXiv 1802.04434); with momentum it is their Signum, with the sum momentum v + g
in place of an average.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from featlearn.optim.answers import number
from featlearn.optim.schedules import UNCHANGED, LRSchedule
from featlearn.types import Fraction, NonNegative, Positive

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Scalar, Vector


@dataclass(frozen=True, kw_only=True)
class SignSGD:
    """w <- (1 - lr weight_decay) w - lr sign(v), where v <- momentum v + g; the sign of 0 is 0.

    lr: learning rate, the step of every coordinate.
    momentum: share of the buffer kept at each step.
    weight_decay: decoupled decay, at the rate lr weight_decay.
    lr_schedule: schedule of the factor of lr.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"coordinates"})
    reference: ClassVar[str] = "Bernstein et al. 2018, arXiv 1802.04434"

    lr: Positive
    momentum: Fraction = 0.0
    weight_decay: NonNegative = 0.0
    lr_schedule: LRSchedule = UNCHANGED

    def init(self, w: Vector) -> Vector:
        """Return the empty momentum buffer."""
        return 0.0 * w

    def rate(self, t: int) -> Scalar:
        """Return the learning rate of step t."""
        return number(self.lr_schedule.factor, t) * self.lr

    def step(self, loss: Objective, w: Vector, memory: Vector, t: int) -> tuple[Vector, Vector]:
        """Take step t."""
        return self.update(loss, w, loss.gradient(w), memory, t)

    def update(self, loss: Objective, w: Vector, g: Vector, memory: Vector, t: int) -> tuple[Vector, Vector]:
        """Take step t with the gradient g."""
        memory = self.momentum * memory + g
        kept = (1 - self.rate(t) * self.weight_decay) * w
        return kept - self.rate(t) * memory.map(lambda v: v.sign()), memory

    def probe(self, loss: Objective, w: Vector, memory: Vector, t: int) -> Vector:
        """Return w: the gradient is taken where the parameters are."""
        return w
