"""The next step of a rule, for trackers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from featlearn.engines.protocol import Engine, Loss, Rule, Scalar, Vector, View
from featlearn.optim.answers import number, vector


@dataclass(frozen=True)
class NextStep:
    """The next step: the point of its gradient, its mini-batch [b, n], its radius and its learning rate [b].

    A run that has stopped keeps the values of its last step, so that they do not depend on when it is recorded.
    """

    rule: Rule
    probe: Vector
    batch: Tensor
    radius: Tensor
    rate: Tensor

    @classmethod
    def of(cls, rule: Rule, loss: Loss, w: Vector, memory: Any, t: int) -> NextStep:
        """Return the step t of the rule from w."""
        none = loss.batch.new_zeros(len(loss.batch))
        probe = vector(rule.probe, loss, w, memory, t)
        return cls(rule, probe, loss.batch, none + radius(rule, t), none + rate(rule, t))

    def where(self, keep: Tensor, other: NextStep | None) -> NextStep:
        """Return self in the runs where ``keep`` [b] is true, other (if any) elsewhere."""
        if other is None:
            return self
        batch = torch.where(keep[:, None], self.batch, other.batch)
        radii, rates = torch.where(keep, self.radius, other.radius), torch.where(keep, self.rate, other.rate)
        return NextStep(self.rule, self.probe.where(keep, other.probe), batch, radii, rates)

    def view(self, engine: Engine, w: Vector, step: int) -> View:
        """Return the view of the point w, reached after ``step`` steps, for trackers."""
        ahead = {name: getattr(self, name) for name in ("batch", "rule", "radius", "rate")}
        return engine.view(w, self.probe, engine=engine, step=step, **ahead)


def radius(rule: Any, t: int) -> Scalar:
    """Return the radius of the rule's perturbation at step t, 0 without a perturbation."""
    return number(rule.radius, t) if hasattr(rule, "radius") and rule.active(t) else 0.0


def rate(rule: Any, t: int) -> Scalar:
    """Return the learning rate of step t, that of the base where the rule wraps one; NaN for a rule that has none."""
    mover = getattr(rule, "base", rule)
    return number(mover.rate, t) if hasattr(mover, "rate") else math.nan
