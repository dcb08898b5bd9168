"""The objective that a rule sees in a training loop: a closure, or the gradients that the user has computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from featlearn.engines.protocol import Scalar, Vector, normalized
from featlearn.optim.torch.space import ParameterSpace, Statistics

Closure = Callable[[], Any]
GradientAt = Callable[[Vector], Vector]


class Refused(ValueError):
    """A rule asks for what the training loop does not give."""


class Elsewhere(Exception):
    """The rule asks for the gradient at a point where it is not known."""

    def __init__(self, point: Vector) -> None:
        super().__init__()
        self.point = point


def known(w: Vector, here: Vector, there: Vector | None = None) -> GradientAt:
    """Return a source of the gradient at w, and of the one at the first other point asked for, if that is given."""
    left = [] if there is None else [there]

    def gradient_at(point: Vector) -> Vector:
        if point is w:
            return here
        if not left:
            raise Elsewhere(point)
        return left.pop()

    return gradient_at


class Evaluated:
    """The objective whose gradient is found by ``gradient_at``; that at ``w`` is found once.

    others: the further objectives that can be had, by the name a rule asks for.
    """

    def __init__(
        self, space: ParameterSpace, w: Vector, gradient_at: GradientAt, others: dict[str, Evaluated] | None = None
    ) -> None:
        self._space, self._w, self._gradient_at = space, w, gradient_at
        self._others = others or {}
        self._here: Vector | None = None

    def gradient(self, w: Vector) -> Vector:
        """Return the gradient at w."""
        if w is not self._w:
            return self._gradient_at(w)
        if self._here is None:
            self._here = self._gradient_at(w)
        return self._here

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v> over all parameters, [1]."""
        return self._space.inner(u, v)

    def unit(self, u: Vector) -> Vector:
        """Return u / |u| over all parameters, zero for zero."""
        return normalized(u, self.inner(u, u))

    @property
    def full(self) -> Evaluated:
        """The loss on the whole training set."""
        return self._other("full", "the whole training set")

    @property
    def other(self) -> Evaluated:
        """The loss on another mini-batch."""
        return self._other("other", "another mini-batch")

    def flipped(self, odds: Scalar) -> Evaluated:
        """Refuse: the labels are the closure's own."""
        raise Refused("the rule flips labels, and these are out of its reach here: flip them in the data loader")

    def _other(self, name: str, meaning: str) -> Evaluated:
        if name not in self._others:
            raise Refused(f"the rule asks for the loss on {meaning}: give it in step(closure, {name}=closure)")
        return self._others[name]

    def __getattr__(self, name: str) -> Any:
        """Refuse whatever else a rule may ask of its objective."""
        raise AttributeError(f"the rule asks its loss for {name!r}, which a closure over one mini-batch does not have")


class Passes:
    """Calls a closure wherever the gradient is asked for, and brings the parameters back after each call.

    value: what the closure returned first. counted: whether its first pass may change the model's statistics.
    """

    def __init__(
        self, space: ParameterSpace, w: Vector, closure: Closure, statistics: Statistics, counted: bool = True
    ) -> None:
        self._space, self._w, self._closure, self._statistics = space, w, closure, statistics
        self._counted = counted
        self.value: Any = None

    def __call__(self, point: Vector) -> Vector:
        """Return the gradient at a point."""
        saved = None if self._counted else self._statistics.save()
        if point is not self._w:
            self._space.write(point)
        try:
            value = self._call()
            if self._counted:
                self._counted, self.value = False, value
            if point is not self._w:
                self._space.void_gradients(unless=point.finite())
            return self._space.gradients()
        finally:
            if point is not self._w:
                self._space.write(self._w)
            if saved is not None:
                self._statistics.put_back(saved)

    def _call(self) -> Any:
        self._space.clear_gradients()
        with torch.enable_grad():
            return self._closure()
