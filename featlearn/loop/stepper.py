"""The steps of a block, without waiting for the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from featlearn.engines.protocol import Engine, Loss, Rule
from featlearn.loop.state import State, held
from featlearn.loop.tapes import Tapes
from featlearn.optim.answers import pair
from featlearn.sde import Dynamics


class Stepper:
    """Takes steps one by one, on any engine and with any rule; level, error: Train.stop_at_train_loss, its _error."""

    def __init__(self, engine: Engine, rule: Rule, level: float | None, error: float | None = None) -> None:
        self._engine, self._rule, self._level, self._error = engine, rule, level, error
        self._on_host = engine.seeds.device.type == "cpu"  # there a check costs less than a copy
        self._counts = isinstance(rule, Dynamics)  # its memory is recorded, so that of a stopped run must not change
        self.tapes = Tapes(rule)

    def start(self, loss: Loss) -> State:
        """Return the state before the first step, whose loss is ``loss``."""
        w = self._engine.initial()
        moving = torch.zeros_like(self._engine.seeds)
        clock = moving.new_zeros(())
        first = State(w, self._rule.init(w), loss.batch, clock, moving, moving, loss.samples)
        return self._fitted(replace(first, replacement=loss.replacement, gradient_noise=loss.gradient_noise))

    def until(self, state: State, first: int, last: int) -> int:
        """Return the step, at most ``last``, up to which the rule's step stays that of ``first``, for ``run``."""
        alone = self._on_host or state.gradient_noise  # each step has its own noise, which no tape holds
        return first + 1 if alone else self.tapes.until(state, first, last)

    def run(self, state: State, losses: Iterator[Loss], first: int, last: int) -> State:
        """Take the steps first ... last - 1, which are the same for the rule (see ``until``)."""
        for t in range(first, last):
            loss, before = next(losses), (state.loss(self._engine, t), state.memory)
            new = self.step(state, loss.batch, t)
            kept = held(state, new) if last - first > 1 or self._counts else new
            state = replace(kept, samples=loss.samples, before=before)
        return state

    def step(self, state: State, upcoming: Tensor, t: int) -> State:
        """Take step t, and check the parameters after it; ``upcoming`` [b, n] is the batch of the next step."""
        w, memory = pair(self._rule.step, state.loss(self._engine, t), state.w, state.memory, t)
        checked = state.ended(~w.finite(), "diverged")
        keep = checked.active
        if not (self._on_host and keep.all()):
            w, upcoming = w.where(keep, state.w), torch.where(keep[:, None], upcoming, state.batch)
        return self._fitted(replace(checked, w=w, memory=memory, batch=upcoming, clock=state.clock + 1))

    def _fitted(self, state: State) -> State:
        if self._level is not None:
            state = state.ended(self._engine.losses(state.w).mean(1) <= self._level, "fitted")
        if self._error is not None:
            engine: Any = self._engine
            state = state.ended(engine.mistakes(state.w).mean(1) <= self._error, "fitted")
        return state
