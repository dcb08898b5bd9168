"""Closures as sources of gradients: called with the parameters at a point, which are then restored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor, nn

from featlearn.engines.protocol import Vector
from featlearn.optim.torch.space import ParameterSpace

Closure = Callable[[], Any]


class Of(IntEnum):
    """The data of a closure; the batch statistics of the first kind are preferred."""

    MINI_BATCH = 0
    OTHERS = 1
    AFTERWARDS = 2


class Statistics:
    """The buffers of a model (running means of batch norm): a step keeps those of its first unperturbed pass.

    They are those of the mini-batch if it has such a pass (updated by each micro-batch in turn), else of ``full`` or
    ``other``; without an unperturbed pass, those of the first pass. No other pass changes them, nor does a step that
    fails.
    """

    def __init__(self, model: nn.Module | None) -> None:
        """Manage the buffers of the model, if there is one."""
        self._model = model
        self._start: list[Tensor] = []
        self._kept: list[Tensor] = []
        self._rank: tuple[bool, Of] | None = None
        self._stray = False  # whether the buffers differ from those kept

    def save(self) -> list[Tensor]:
        """Return a copy of the buffers."""
        return [] if self._model is None else [buffer.clone() for buffer in self._model.buffers()]

    def put_back(self, saved: list[Tensor]) -> None:
        """Set the buffers to what was saved."""
        for buffer, old in zip([] if self._model is None else self._model.buffers(), saved, strict=True):
            buffer.copy_(old)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Keep, at the end of a step, the buffers of the preferred pass."""
        self._start = self._kept = self.save()
        self._rank, self._stray = None, False
        try:
            yield
        except BaseException:
            self.put_back(self._start)
            raise
        if self._stray:
            self.put_back(self._kept)
        self._start = self._kept = []

    @contextmanager
    def during(self, rank: tuple[bool, Of], first: bool) -> Iterator[None]:
        """Let a pass of this rank (perturbed or not, kind of data) change the buffers; first: the first there."""
        better = first and (self._rank is None or rank < self._rank)
        joins = first and rank == self._rank
        if better and self._rank is not None:
            self.put_back(self._start)
        elif joins and self._stray:
            self.put_back(self._kept)
        yield
        self._stray = not (better or joins)
        if not self._stray:
            self._kept, self._rank = self.save(), rank


class Passes:
    """The gradient of a closure at any point. value: what the closure returned first."""

    def __init__(
        self, space: ParameterSpace, w: Vector, closure: Closure, statistics: Statistics, of: Of = Of.MINI_BATCH
    ) -> None:
        self._space, self._w, self._closure, self._statistics, self._of = space, w, closure, statistics, of
        self._seen: set[bool] = set()
        self.value: Any = None

    def __call__(self, point: Vector) -> Vector:
        """Return the gradient at a point."""
        away = point is not self._w
        with self._statistics.during((away, self._of), away not in self._seen):
            if away:
                self._space.write(point)
            try:
                self._call()
                if away:
                    self._space.void_gradients(unless=self._space.finite(point))
                self._seen.add(away)
                return self._space.gradients("the closure")
            finally:
                if away:
                    self._space.write(self._w)

    def _call(self) -> None:
        self._space.clear_gradients()
        with torch.enable_grad():
            value = self._closure()
        if not self._seen:
            self.value = value


def mean_value(passes: Sequence[Passes]) -> Any:
    """Return what a closure returned first; of several the mean, or the list where they are not all numbers."""
    values = [each.value for each in passes]
    if len(values) == 1:
        return values[0]
    numbers = all(isinstance(value, int | float | Tensor) for value in values)
    return sum(values) / len(values) if numbers else values
