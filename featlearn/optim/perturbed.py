"""Rules that take the gradient at a perturbed point w + eps, with |eps| of the order of a radius rho."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from featlearn.optim.answers import number, pair
from featlearn.optim.schedules import UNCHANGED, FollowLR, RadiusSchedule
from featlearn.optim.wrapper import Memory, Wrapper
from featlearn.types import Bound, TheoryScale

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Scalar, Vector
    from featlearn.optim.schedules import Schedule


@dataclass(frozen=True, kw_only=True)
class Perturbed(Wrapper):
    """The base rule with gradient(w + eps) in place of gradient(w), both on the same mini-batch.

    A variant defines eps in ``perturbation``. rho = 0 is the base, bit for bit.

    rho: radius of the perturbation; a number or {theory: c}.
    rho_schedule: schedule of the factor of rho; lr to follow the learning rate.
    """

    rho: Annotated[float, Bound(ge=0), TheoryScale("sam_radius")]
    rho_schedule: RadiusSchedule = UNCHANGED

    def __post_init__(self) -> None:
        """Raise ValueError where the radius follows the learning rate of a base that has no schedule."""
        super().__post_init__()
        self._schedule()

    def _schedule(self) -> Schedule:
        return self.rho_schedule.of(self.base) if isinstance(self.rho_schedule, FollowLR) else self.rho_schedule

    @abstractmethod
    def perturbation(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return eps, and the rule's own memory after the step."""

    def radius(self, t: int) -> Scalar:
        """Return the radius at step t."""
        return number(self._schedule().factor, t) * self.rho

    def gradient(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return gradient(w + eps)."""
        eps, own = pair(self.perturbation, loss, w, memory, t)
        return loss.gradient(w + eps), own

    def probe(self, loss: Objective, w: Vector, memory: Memory, t: int) -> Vector:
        """Return w + eps within the window, w outside."""
        return w + pair(self.perturbation, loss, w, memory, t)[0] if self.active(t) else w
