"""Where a block stands, and how it takes a step without waiting for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from featlearn.engines.protocol import Engine, Loss, Rule, Vector
from featlearn.engines.vector import spread
from featlearn.optim.answers import pair
from featlearn.runs import Status

ENDS: tuple[Status, ...] = ("ok", "fitted", "diverged")


@dataclass(frozen=True)
class State:
    """A block after ``clock`` steps (a tensor without axes).

    w, memory: of the rule. batch [b, n]: sample weights of the step to come. end [b]: how it ended, as a place in ENDS,
    0 while it moves. stopped [b]: steps it had taken when it did. A run that has stopped keeps w and batch from then
    on, and its memory where several steps are taken between two looks.
    samples: of the step to come (see Loss). before: loss and memory of the last step, None where it was replayed.
    """

    w: Vector
    memory: Any
    batch: Tensor
    clock: Tensor
    end: Tensor
    stopped: Tensor
    samples: Tensor | None = None
    before: tuple[Loss, Any] | None = None

    @property
    def active(self) -> Tensor:
        """Which runs still move, [b]."""
        return self.end == 0

    def loss(self, engine: Engine, t: int) -> Loss:
        """Return the loss of step t, the step to come."""
        return Loss(engine, self.batch, self.samples, t)

    def ended(self, which: Tensor, end: Status) -> State:
        """Return the state with the runs in ``which`` [b] stopped, those that still move."""
        which = which & self.active
        number = ENDS.index(end)
        return replace(
            self, end=torch.where(which, number, self.end), stopped=torch.where(which, self.clock, self.stopped)
        )


class Stepper:
    """Takes steps one by one, on any engine and with any rule; ``level`` is Train.stop_at_train_loss."""

    def __init__(self, engine: Engine, rule: Rule, level: float | None) -> None:
        self._engine, self._rule, self._level = engine, rule, level
        self.syncs_freely = engine.seeds.device.type == "cpu"  # there, looking costs less than copying

    def start(self, loss: Loss) -> State:
        """Return the state before the first step, which will be taken on ``loss``."""
        w = self._engine.initial()
        moving = torch.zeros_like(self._engine.seeds)
        clock = moving.new_zeros(())
        return self._fitted(State(w, self._rule.init(w), loss.batch, clock, moving, moving, loss.samples))

    def run(self, state: State, losses: Iterator[Loss], first: int, last: int) -> State:
        """Take the steps first ... last - 1; the rule's formula is the same at all of them (see optim.formulas)."""
        for t in range(first, last):
            loss, before = next(losses), (state.loss(self._engine, t), state.memory)
            new = self.step(state, loss.batch, t)
            state = replace(new if last - first == 1 else held(state, new), samples=loss.samples, before=before)
        return state

    def step(self, state: State, upcoming: Tensor, t: int) -> State:
        """Take step t, and check the parameters after it; ``upcoming`` [b, n] is the batch of the next step."""
        w, memory = pair(self._rule.step, state.loss(self._engine, t), state.w, state.memory, t)
        checked = state.ended(~w.finite(), "diverged")
        keep = checked.active
        if not (self.syncs_freely and keep.all()):
            w, upcoming = w.where(keep, state.w), torch.where(keep[:, None], upcoming, state.batch)
        return self._fitted(replace(checked, w=w, memory=memory, batch=upcoming, clock=state.clock + 1))

    def _fitted(self, state: State) -> State:
        if self._level is None:
            return state
        return state.ended(self._engine.losses(state.w).mean(1) <= self._level, "fitted")


def held(old: State, new: State) -> State:
    """Return ``new`` with the old memory in runs that had stopped, or have diverged; not if it is of another kind."""
    keep = old.active & (new.end != ENDS.index("diverged"))
    if [x.shape for x in _tensors(new.memory)] != [x.shape for x in _tensors(old.memory)]:
        return new
    return replace(new, memory=merge(lambda x, y: torch.where(spread(keep, x), x, y), new.memory, old.memory))


def _tensors(tree: Any) -> list[Tensor]:
    found: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        found.append(x)
        return x

    merge(keep, tree)
    return found


def merge(function: Callable[..., Any], *trees: Any, whole: tuple[type, ...] = (Tensor,)) -> Any:
    """Apply a function to what is of a type in ``whole`` at the same place of ``trees``.

    Where that leaves out Vector, to the tensors of one, its factor multiplied out. What is neither is taken from the
    first, and so is what is one and the same in two.
    """
    first = trees[0]
    if len(trees) == 2 and first is trees[1]:
        return first
    if isinstance(first, whole):
        return function(*trees)
    if isinstance(first, Vector):
        return first.with_leaves(merge(function, *(tree.leaves for tree in trees)))
    if is_dataclass(first) and not isinstance(first, type):
        names = [field.name for field in fields(first) if field.init]
        parts = [[getattr(tree, name) for tree in trees] for name in names]
        merged = (merge(function, *same, whole=whole) for same in parts)
        return replace(first, **dict(zip(names, merged, strict=True)))
    if isinstance(first, dict):
        return {key: merge(function, *(tree[key] for tree in trees), whole=whole) for key in first}
    if isinstance(first, tuple | list):
        parts = [merge(function, *same, whole=whole) for same in zip(*trees, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return first
