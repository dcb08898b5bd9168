"""A rule around a base rule: within a window of steps the base uses another gradient.

Nearly every variant of SAM is of this form, so that a variant is one short method (see sam.py, and perturbed.py for
those that take the gradient at a perturbed point).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from featlearn.optim.answers import pair
from featlearn.types import Step

if TYPE_CHECKING:
    from featlearn.engines.protocol import Base, Objective, Vector


class Memory(NamedTuple):
    """The memory of a wrapper between steps: that of its base, and its own."""

    base: Any
    own: Any


@dataclass(frozen=True, kw_only=True)
class Wrapper(ABC):
    """The base rule with ``gradient`` in place of the mini-batch gradient in the steps start <= t < stop.

    Outside the window the base runs alone. Its memory (momentum) is kept throughout; the wrapper's own does not change
    outside. Weight decay and momentum belong to the base: they act on the step, not on ``gradient``.

    start: first step of the phase; before it the base rule takes the steps.
    stop: first step after the phase, null for never; from then on the base rule takes the steps, with its memory.
    base: the rule that takes the step; in a config its parameters are keys of the optimizer too.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    reference: ClassVar[str] = ""

    start: Step = 0
    stop: Step | None = None
    base: Base

    def __post_init__(self) -> None:
        """Raise ValueError for a window without a step, and for a base that wraps another."""
        if hasattr(self.base, "base"):
            inner = type(self.base).__name__
            raise ValueError(f"the base of {type(self).__name__} is a rule without a base of its own, not {inner}")
        if self.stop is not None and self.start >= self.stop:
            raise ValueError(f"start = {self.start} leaves no step before stop = {self.stop}")

    @abstractmethod
    def gradient(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return the gradient that the base steps with, and the wrapper's own memory after the step."""

    def remember(self, w: Vector) -> Any:
        """Return the wrapper's own memory before the first step."""
        return None

    def conclude(self, w: Vector, own: Any, t: int) -> tuple[Vector, Any]:
        """Return the parameters after step t and the wrapper's own memory, given w, the point after the base's step."""
        return w, own

    def after(self, loss: Objective, w: Vector, own: Any, t: int) -> Any:
        """Return the wrapper's own memory given the point after step t: for the next step, from this mini-batch."""
        return own

    @property
    def edge(self) -> str | None:
        """The name of its edge of stability in theory.EDGES, None where none is known, as with momentum."""
        own: str | None = vars(type(self)).get("_edge")  # a variant of SAM does not inherit SAM's
        return own if getattr(self.base, "edge", None) else None

    def on_full_batch(self) -> str:
        """Return a warning of what the rule does if every batch is the whole training set, such as "is SAM"; or ""."""
        return ""

    def active(self, t: int) -> bool:
        """Whether step t is within the window."""
        return self.start <= t and (self.stop is None or t < self.stop)

    def init(self, w: Vector) -> Memory:
        """Return the memories before the first step."""
        return Memory(self.base.init(w), self.remember(w))

    def descent(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return the gradient that the base steps with, this wrapper's within the window, and its own memory."""
        return pair(self.gradient, loss, w, memory, t) if self.active(t) else (loss.gradient(w), memory.own)

    def step(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Memory]:
        """Take step t of the base rule, with this wrapper's gradient within the window."""
        g, own = self.descent(loss, w, memory, t)
        w, base = pair(self.base.update, loss, w, g, memory.base, t)
        if self.active(t):
            w, own = self.conclude(w, own, t)
            own = self.after(loss, w, own, t)
        return w, Memory(base, own)

    def probe(self, loss: Objective, w: Vector, memory: Memory, t: int) -> Vector:
        """Return w: the gradient is taken where the parameters are."""
        return w
