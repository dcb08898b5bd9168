"""Records of a block during training, and its outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.protocol import Engine, Rule, View
from featlearn.loop.columns import Columns
from featlearn.loop.next_step import NextStep
from featlearn.loop.state import State
from featlearn.optim.answers import columns
from featlearn.sde import Dynamics


@dataclass(frozen=True)
class Outcome:
    """The outcome of a block: its r records, and how every run ended.

    steps [b, r]: number of steps taken by the run's parameters; it and the row stay constant once a run has stopped.
    values: column -> [b, r], list columns [b, r, length]; NaN at a record at which a column was not written.
    end [b]: index into ENDS. stopped [b]: steps after which the parameters were frozen, n_steps if they were not.
    """

    steps: np.ndarray
    values: dict[str, np.ndarray]
    end: np.ndarray
    stopped: np.ndarray


class Observer:
    """Passes a block to the trackers, and collects their columns."""

    def __init__(self, engine: Engine, rule: Rule, trackers: Sequence[Callable[[View], dict[str, Tensor]]]) -> None:
        self._engine, self._rule, self._trackers = engine, rule, trackers
        self._active = torch.ones_like(engine.seeds, dtype=torch.bool)
        self._next: NextStep | None = None
        self._steps: list[np.ndarray] = []
        self._columns = Columns()

    def keep_stopped(self, state: State, t: int) -> None:
        """Store the last step of the runs that have stopped since the last call; t: number of steps taken.

        The rule's step has been the same since the last call, so that the last step of such a run is like step t - 1.
        """
        stopped, self._active = self._active & ~state.active, state.active
        if not stopped.any():
            return
        early, now = stopped & (state.stopped < t), stopped & (state.stopped == t)
        if early.any():
            loss, memory = state.before or (state.loss(self._engine, t - 1), state.memory)
            self._next = NextStep.of(self._rule, loss, state.w, memory, t - 1).where(early, self._next)
        if now.any():
            self._next = self._coming(state, t).where(now, self._next)

    def record(self, state: State, t: int) -> None:
        """Append a row for every run."""
        self._next = self._coming(state, t).where(state.active, self._next)
        view = self._next.view(self._engine, state.w, t)
        rule: Any = self._rule
        of_rule: list[Any] = [(rule, rule.columns(state.memory))] if isinstance(rule, Dynamics) else []
        tracked = [(tracker, columns(tracker, view, len(view.batch))) for tracker in self._trackers]
        self._columns.add([*of_rule, *tracked])
        self._steps.append(torch.where(state.active, t, state.stopped).cpu().numpy())

    def outcome(self, state: State) -> Outcome:
        """Return all rows, and how the runs ended."""
        stopped = torch.where(state.active, state.clock, state.stopped)
        return Outcome(np.stack(self._steps, 1), self._columns.arrays(), state.end.cpu().numpy(), stopped.cpu().numpy())

    def _coming(self, state: State, t: int) -> NextStep:
        return NextStep.of(self._rule, state.loss(self._engine, t), state.w, state.memory, t)
