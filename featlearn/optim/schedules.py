"""Learning rates and radii that change from step to step: a number times the factor of a schedule at step t.

Source: the formulas of StepLR, CosineAnnealingLR and LinearLR in torch.optim.lr_scheduler; a radius that follows the
learning rate is that of GSAM, Zhuang et al. 2022 (arXiv 2203.08065).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from featlearn.optim.answers import number
from featlearn.types import Bound, Count, Fraction, Named, Step

if TYPE_CHECKING:
    from featlearn.engines.protocol import Scalar


class Schedule(Protocol):
    """The factor of a number at each step."""

    def factor(self, t: int) -> Scalar:
        """Return the factor at step t, the first being t = 0."""


@dataclass(frozen=True, kw_only=True)
class WarmUp(ABC):
    """A linear warm-up, the factor (t + 1) / (warmup + 1) at step t < warmup, then the factor of a subclass.

    As LinearLR with start_factor = 1 / (warmup + 1) and total_iters = warmup, joined to the rest by SequentialLR.

    warmup: steps before the factor is 1; the rest of the schedule begins then.
    """

    reference: ClassVar[str] = "torch.optim.lr_scheduler.LinearLR"

    warmup: Step = 0

    def factor(self, t: int) -> Scalar:
        """Return the factor at step t."""
        return (t + 1) / (self.warmup + 1) if t < self.warmup else self.after(t - self.warmup)

    @abstractmethod
    def after(self, t: int) -> Scalar:
        """Return the factor t steps after the warm-up."""


@dataclass(frozen=True, kw_only=True)
class Constant(WarmUp):
    """The factor 1, after the warm-up."""

    def after(self, t: int) -> Scalar:
        """Return 1."""
        return 1.0


@dataclass(frozen=True, kw_only=True)
class StepDecay(WarmUp):
    """The factor gamma^floor(t / every), t counted from the end of the warm-up (StepLR).

    every: steps between two decays.
    gamma: factor of each decay.
    """

    reference: ClassVar[str] = "torch.optim.lr_scheduler.StepLR"

    every: Count
    gamma: Annotated[float, Bound(gt=0, le=1)] = 0.1

    def after(self, t: int) -> Scalar:
        """Return gamma^floor(t / every)."""
        return self.gamma ** (t // self.every)


@dataclass(frozen=True, kw_only=True)
class Cosine(WarmUp):
    """The factor final + (1 - final) (1 + cos(pi t / steps)) / 2, t counted from the end of the warm-up.

    As CosineAnnealingLR with eta_min = final lr, but constant after ``steps``, where CosineAnnealingLR rises again.

    steps: length of the decay.
    final: the factor at its end.
    """

    reference: ClassVar[str] = "torch.optim.lr_scheduler.CosineAnnealingLR"

    steps: Count
    final: Annotated[float, Bound(ge=0, le=1)] = 0.0

    def after(self, t: int) -> Scalar:
        """Return the factor of half a cosine wave, final from its end on."""
        height = (1 + math.cos(math.pi * min(t / self.steps, 1.0))) / 2
        return self.final + (1 - self.final) * height


@dataclass(frozen=True, kw_only=True)
class FollowLR:
    """The factor final + (1 - final) (x - lr_final) / (1 - lr_final) at the factor x of the base's learning rate.

    That is rho_t = rho_min + (rho_max - rho_min) (lr_t - lr_min) / (lr_max - lr_min) with rho_max = rho, lr_max = lr,
    rho_min = final rho and lr_min = lr_final lr; below lr_min the same line continues, but not below 0. By default
    rho / lr is the same at every step. A constant learning rate gives a constant radius.

    lr_final: the factor of the learning rate, usually its lowest, at which the factor of the radius is ``final``.
    final: the factor of the radius at lr_final.
    """

    reference: ClassVar[str] = "Zhuang et al. 2022, arXiv 2203.08065"

    lr_final: Fraction = 0.0
    final: Annotated[float, Bound(ge=0, le=1)] = 0.0

    def of(self, base: Any) -> Schedule:
        """Return the schedule of the radius around a base; ValueError where that has none to follow."""
        if not hasattr(base, "lr_schedule"):
            raise ValueError(f"rho_schedule cannot follow lr: {type(base).__name__} has no lr_schedule; give another")
        schedule: Schedule = base.lr_schedule
        in_proportion = all(isinstance(x, float) and x == 0.0 for x in (self.lr_final, self.final))
        return schedule if in_proportion else RadiusFactor(follow=self, schedule=schedule)


@dataclass(frozen=True, kw_only=True)
class RadiusFactor:
    """The factor of a radius that follows a learning rate with ``schedule``."""

    follow: FollowLR
    schedule: Schedule

    def factor(self, t: int) -> Scalar:
        """Return the factor at step t."""
        low, final = self.follow.lr_final, self.follow.final
        y = final + (1 - final) * (number(self.schedule.factor, t) - low) / (1 - low)
        return y * (y > 0)


UNCHANGED = Constant()
FOLLOW_LR = FollowLR()
SCHEDULES: dict[str, type] = {"constant": Constant, "step": StepDecay, "cosine": Cosine}
RADIUS_SCHEDULES: dict[str, type] = {**SCHEDULES, "lr": FollowLR}

LRSchedule = Annotated[Schedule, Named(SCHEDULES, ("factor",))]
RadiusSchedule = Annotated[Schedule | FollowLR, Named(RADIUS_SCHEDULES, ("factor",))]
