"""The state of a block: parameters, memory, the next mini-batch, and which runs have stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from featlearn.engines.protocol import Engine, Loss, Vector
from featlearn.engines.vector import spread
from featlearn.runs import Status

ENDS: tuple[Status, ...] = ("ok", "fitted", "diverged")


@dataclass(frozen=True)
class State:
    """A block after ``clock`` steps (a tensor without axes).

    w, memory: of the rule. batch [b, n]: sample weights of the next step. end [b]: how a run ended, as an index into
    ENDS, 0 while it is active. stopped [b]: steps taken until then. A run that has stopped keeps w and batch from then
    on, and its memory where that is recorded or several steps are taken in one call.
    samples: of the next step (see Loss). before: loss and memory of the last step, None where it was replayed.
    replacement, gradient_noise: of every step (see Loss).
    """

    w: Vector
    memory: Any
    batch: Tensor
    clock: Tensor
    end: Tensor
    stopped: Tensor
    samples: Tensor | None = None
    before: tuple[Loss, Any] | None = None
    replacement: bool = False
    gradient_noise: float = 0.0

    @property
    def active(self) -> Tensor:
        """Which runs have not stopped, [b]."""
        return self.end == 0

    def loss(self, engine: Engine, t: int) -> Loss:
        """Return the loss of step t, the next one."""
        noise = self.gradient_noise
        return Loss(engine, self.batch, self.samples, t, replacement=self.replacement, gradient_noise=noise)

    def ended(self, which: Tensor, end: Status) -> State:
        """Return the state with the active runs in ``which`` [b] stopped."""
        which = which & self.active
        number = ENDS.index(end)
        return replace(
            self, end=torch.where(which, number, self.end), stopped=torch.where(which, self.clock, self.stopped)
        )


def held(old: State, new: State) -> State:
    """Return ``new`` with the old memory in runs that had stopped or have diverged, unless its structure changed."""
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
    """Apply a function to corresponding leaves of ``trees``: objects of a type in ``whole``.

    A Vector that is no leaf is split into its tensors, multiplied by its factor. Everything else comes from the
    first tree, as does a subtree that two trees share.
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
