"""What is watched of a block while it trains, and what is left of it at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.protocol import Engine, Loss, Rule, Scalar, Vector, View
from featlearn.loop.records import Records
from featlearn.loop.state import State
from featlearn.optim.answers import columns, number, vector


@dataclass(frozen=True)
class Prospect:
    """What a rule is about to do: where it takes its gradient, the mini-batch [b, n], its radius and its rate [b].

    A run that has stopped keeps the prospect of its last step, so that it does not matter when it is recorded.
    """

    rule: Rule
    probe: Vector
    batch: Tensor
    radius: Tensor
    rate: Tensor

    @classmethod
    def of(cls, rule: Rule, loss: Loss, w: Vector, memory: Any, t: int) -> Prospect:
        """Look ahead at step t, from w."""
        none = loss.batch.new_zeros(len(loss.batch))
        probe = vector(rule.probe, loss, w, memory, t)
        return cls(rule, probe, loss.batch, none + _radius(rule, t), none + _rate(rule, t))

    def where(self, keep: Tensor, other: Prospect | None) -> Prospect:
        """Return self in the runs where ``keep`` [b] is true, other (if any) elsewhere."""
        if other is None:
            return self
        batch = torch.where(keep[:, None], self.batch, other.batch)
        radius, rate = torch.where(keep, self.radius, other.radius), torch.where(keep, self.rate, other.rate)
        return Prospect(self.rule, self.probe.where(keep, other.probe), batch, radius, rate)


def _radius(rule: Any, t: int) -> Scalar:
    """Return the radius of the rule's perturbation at step t, 0 where it perturbs nothing."""
    return number(rule.radius, t) if hasattr(rule, "radius") and rule.active(t) else 0.0


def _rate(rule: Any, t: int) -> Scalar:
    """Return the learning rate of step t, that of the base where the rule wraps one; NaN for a rule that has none."""
    mover = getattr(rule, "base", rule)
    return number(mover.rate, t) if hasattr(mover, "rate") else math.nan


def observe(engine: Engine, w: Vector, step: int, prospect: Prospect) -> View:
    """Describe the point w after ``step`` steps to the trackers."""
    ahead = {name: getattr(prospect, name) for name in ("batch", "rule", "radius", "rate")}
    return engine.view(w, prospect.probe, engine=engine, step=step, **ahead)


@dataclass(frozen=True)
class Outcome:
    """A block at its end: what was recorded r times, and how every run ended.

    steps [b, r]: how many steps the run's parameters had taken; it stays the same once a run has stopped, and so does
    its row. values: column -> [b, r], list columns [b, r, length]; NaN at a record at which a column was not written.
    end [b]: place in ENDS. stopped [b]: steps after which the parameters were frozen, n_steps if they were not.
    """

    steps: np.ndarray
    values: dict[str, np.ndarray]
    end: np.ndarray
    stopped: np.ndarray


class Recorder:
    """Collects what the trackers say of a block."""

    def __init__(self, engine: Engine, rule: Rule, trackers: Sequence[Callable[[View], dict[str, Tensor]]]) -> None:
        self._engine, self._rule, self._trackers = engine, rule, trackers
        self._active = torch.ones_like(engine.seeds, dtype=torch.bool)
        self._prospect: Prospect | None = None
        self._steps: list[np.ndarray] = []
        self._records = Records()

    def notice(self, state: State, t: int) -> None:
        """Keep the prospects of runs that have stopped since the last look; t is how many steps have been taken.

        Those that stopped at an earlier step did so under the formula that the rule had until now.
        """
        stopped, self._active = self._active & ~state.active, state.active
        if not stopped.any():
            return
        early, now = stopped & (state.stopped < t), stopped & (state.stopped == t)
        if early.any():
            loss, memory = state.before or (state.loss(self._engine, t - 1), state.memory)
            self._prospect = Prospect.of(self._rule, loss, state.w, memory, t - 1).where(early, self._prospect)
        if now.any():
            self._prospect = self._prospect_at(state, t).where(now, self._prospect)

    def record(self, state: State, t: int) -> None:
        """Append a row for every run."""
        self._prospect = self._prospect_at(state, t).where(state.active, self._prospect)
        view = observe(self._engine, state.w, t, self._prospect)
        self._records.add([(tracker, columns(tracker, view, len(view.batch))) for tracker in self._trackers])
        self._steps.append(torch.where(state.active, t, state.stopped).cpu().numpy())

    def outcome(self, state: State) -> Outcome:
        """Return all rows, and how the runs ended."""
        stopped = torch.where(state.active, state.clock, state.stopped)
        return Outcome(
            np.stack(self._steps, 1), self._records.columns(), state.end.cpu().numpy(), stopped.cpu().numpy()
        )

    def _prospect_at(self, state: State, t: int) -> Prospect:
        return Prospect.of(self._rule, state.loss(self._engine, t), state.w, state.memory, t)
