"""Recordings of a rule's steps, and which steps of a run share one.

A rule declares nothing: its step is recorded (see engines.tape) with a TracedStep in place of t, which determines the
other steps at which the recording holds. Recording costs as much as a replayed step of 100 runs, so it is done once for
each formula and not at every step. It is as safe as recording at every step if the rule is a function of its arguments.
The package's own rules are: a test compares their recordings at every step. A user's rule is recorded again with t
itself, once per step in a process, and compared; if the recordings differ (because it counts its calls, or draws its
own random numbers), the rule is stepped without a tape from then on.

A step cannot be recorded if it reads the numbers of its vectors, asks the loss for more than gradients and products, or
changes the structure of its memory. Tapes also hold the probe, the radius and the rate of a step, for trackers.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from featlearn.engines.protocol import Rule, Vector
from featlearn.engines.tape import Number, Operation, Program, Tape, TapeLoss
from featlearn.loop.next_step import radius, rate
from featlearn.loop.state import State, merge
from featlearn.loop.traced_step import Trace
from featlearn.optim import shape
from featlearn.optim.answers import pair, vector

KEPT = 8  # recordings: each holds the numbers of all runs, and with a schedule there may be one per step
_CHECKED: dict[Any, set[int]] = {}  # for users' rules: the steps at which they have been recorded again


class Recorded(NamedTuple):
    """A step's program, and all operations of the tape with the numbers [b, c], which identify a step."""

    program: Program
    operations: tuple[Operation, ...]
    numbers: Tensor

    def same(self, other: Recorded | None) -> bool:
        """Return whether both have the same operations and numbers."""
        if other is None or self.operations != other.operations or self.numbers.shape != other.numbers.shape:
            return False
        return torch.allclose(self.numbers, other.numbers, rtol=0, atol=0, equal_nan=True)


@dataclass(eq=False)
class Recording:
    """The step of a rule wherever one of ``traces`` holds, for a memory of this layout.

    recorded: None for a step that cannot be recorded.
    """

    recorded: Recorded | None
    memory: Any
    traces: list[Trace]

    @property
    def program(self) -> Program | None:
        """The program to replay; None if there is none."""
        return self.recorded and self.recorded.program

    def holds(self, t: int) -> bool:
        """Whether it is the rule's step at t, for such a memory."""
        return any(trace.holds(t) for trace in self.traces)


PLAIN = Recording(None, None, [])


class Tapes:
    """The latest recordings of a rule."""

    def __init__(self, rule: Rule) -> None:
        self._rule, self._reliable = rule, True
        self._checked = None if _is_ours(rule) else _checked_steps(rule)
        self.kept: list[Recording] = []

    def until(self, state: State, first: int, last: int) -> int:
        """Return the first step after ``first``, ``last`` at most, at which the rule's step differs."""
        memory, t = layout(state.memory), first + 1
        found = self._at(state, memory, first)
        while found.recorded is not None and t < last:
            again = self._compared(found, state, t) if found.holds(t) else self._at(state, memory, t)
            if again is not found:
                break
            t += 1
        return t

    def at(self, state: State, t: int) -> Recording:
        """Return the recording of the rule's step at t."""
        return self._at(state, layout(state.memory), t)

    def _at(self, state: State, memory: Any, t: int) -> Recording:
        if not self._reliable:
            return PLAIN
        found = next((kept for kept in self.kept if kept.holds(t) and _equal(memory, kept.memory)), None)
        return self._compared(found or self._new(state, memory, t), state, t)

    def _new(self, state: State, memory: Any, t: int) -> Recording:
        """Record step t; if the recording exists already, extend the steps at which it holds."""
        trace = Trace()
        recorded = record_step(self._rule, state, trace.step(t))
        for kept in self.kept:
            if recorded is not None and recorded.same(kept.recorded) and _equal(memory, kept.memory):
                kept.traces.append(trace)
                return kept
        self.kept = [*self.kept, Recording(recorded, memory, [trace])][-KEPT:]
        return self.kept[-1]

    def _compared(self, found: Recording, state: State, t: int) -> Recording:
        """Return ``found``, unless a user's rule gives a different recording at t."""
        if self._checked is None or found.recorded is None or t in self._checked:
            return found
        if not found.recorded.same(record_step(self._rule, state, t)):
            self._reliable = False
            return PLAIN
        self._checked.add(t)
        return found


def record_step(rule: Rule, state: State, t: int) -> Recorded | None:
    """Return the recorded step of the rule at t, or None where it cannot be recorded."""
    tape = Tape(state.batch[:, 0])
    try:
        starts = iter([tape.start() for _ in vectors_of((state.w, state.memory))])
        w, memory = merge(lambda _: next(starts), (state.w, state.memory), whole=(Vector,))
        loss: Any = TapeLoss(tape)
        after = pair(rule.step, loss, w, memory, t)
        if not _equal(layout(after[1]), layout(memory)):
            return None
        program = tape.finish(vectors_of(after))
        tape.show(vector(rule.probe, loss, w, memory, t), radius(rule, t), rate(rule, t))
        return Recorded(program, *tape.contents())
    except Exception:  # also an error of the rule itself: the plain step raises it again, and it is reported
        return None


def layout(tree: Any) -> Any:
    """Return the structure of a memory without its Vectors and tensors: steps that change it cannot be replayed."""
    return merge(lambda _: "a place", tree, whole=(Vector, Tensor, Number))


def vectors_of(tree: Any) -> list[Vector]:
    """Return the vectors in a tree. Raises TypeError if it contains tensors."""
    found: list[Vector] = []

    def keep(leaf: Any) -> None:
        if not isinstance(leaf, Vector):
            raise TypeError(f"only a memory of vectors can be recorded, not one with a {type(leaf).__name__}")
        found.append(leaf)

    merge(keep, tree, whole=(Vector, Tensor, Number))
    return found


def _equal(a: Any, b: Any) -> bool:
    """Whether two layouts are equal; False where the comparison gives no bool, as for arrays."""
    try:
        return bool(a == b)
    except Exception:
        return False


def _is_ours(rule: Any) -> bool:
    """Whether all classes of a rule, including its base and schedules, are the package's."""
    parts = [getattr(rule, field.name) for field in fields(rule)]
    ours = type(rule).__module__.partition(".")[0] == __name__.partition(".")[0]
    return ours and all(_is_ours(part) for part in parts if is_dataclass(part))


def _checked_steps(rule: Any) -> set[int]:
    try:
        return _CHECKED.setdefault(shape(rule), set())
    except TypeError:  # a parameter that cannot be hashed: checked in this block alone
        return set()
