"""Stochastic gradient descent, with momentum, Nesterov momentum and weight decay as in torch.optim.SGD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from featlearn.optim.answers import number
from featlearn.optim.schedules import UNCHANGED, LRSchedule
from featlearn.types import Fraction, NonNegative, Positive

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Scalar, Vector


@dataclass(frozen=True, kw_only=True)
class SGD:
    """w <- w - lr d, where g = gradient + weight_decay w, v <- momentum v + g, and d = v (Nesterov: g + momentum v).

    lr: learning rate; the highest one of a schedule.
    momentum: share of the buffer kept at each step.
    nesterov: step along g + momentum v.
    weight_decay: coefficient of w in g (coupled, as in torch.optim.SGD).
    lr_schedule: schedule of the factor of lr.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    reference: ClassVar[str] = "torch.optim.SGD"

    lr: Positive
    momentum: Fraction = 0.0
    nesterov: bool = False
    weight_decay: NonNegative = 0.0
    lr_schedule: LRSchedule = UNCHANGED

    def __post_init__(self) -> None:
        """Raise ValueError for nesterov without momentum."""
        if self.nesterov and not _used(self.momentum):
            raise ValueError("nesterov needs a momentum > 0")

    @property
    def edge(self) -> str | None:
        """The name of its edge of stability in theory.EDGES: known only without momentum and weight decay."""
        return None if _used(self.momentum) or _used(self.weight_decay) else "sgd"

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
        """Take step t with the gradient g; a factor of zero leaves every bit of the plain rule unchanged."""
        if _used(self.weight_decay):
            g = g + self.weight_decay * w
        if not _used(self.momentum):
            return w - self.rate(t) * g, memory
        memory = self.momentum * memory + g
        direction = g + self.momentum * memory if self.nesterov else memory
        return w - self.rate(t) * direction, memory

    def probe(self, loss: Objective, w: Vector, memory: Vector, t: int) -> Vector:
        """Return w: the gradient is taken where the parameters are."""
        return w


def _used(factor: float) -> bool:
    """Whether any run of the block has the term; a number that is 0 in all runs is a float (see optim.stack)."""
    return not isinstance(factor, float) or factor != 0.0
