"""A rule's steps as tapes, and which steps of a run follow the same one.

Nothing is declared by a rule: its step is recorded (see engines.tape) with a TracedStep in place of t, so that the
recording itself tells at which other steps it holds. Recording costs as much as a replayed step of 100 runs, so it is
done once for each formula and not at every step. It is as safe as recording at every step if the rule is a function of
its arguments. The package's own rules are: a test compares their recordings at every step. A rule from elsewhere is
recorded again, at each step once in a process, with t itself, and compared; one that does something else then (it
counts its calls, say, or draws numbers by itself) is stepped without a tape from there on.

A step is not recorded where it reads the numbers of its vectors, asks the loss for more than gradients and products, or
changes what its memory is made of. Tapes also hold what trackers see of a step: the probe, the radius and the rate.
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

KEPT = 8  # recordings: each holds numbers of all runs, and with a schedule there may be as many as steps
_CHECKED: dict[Any, set[int]] = {}  # of rules from elsewhere: at which steps they have been recorded again


class Recorded(NamedTuple):
    """A step's program, and all that was asked of the tape, with the numbers [b, c]: what tells two steps apart."""

    program: Program
    operations: tuple[Operation, ...]
    numbers: Tensor

    def same(self, other: Recorded | None) -> bool:
        """Return whether both do the same with the same numbers."""
        if other is None or self.operations != other.operations or self.numbers.shape != other.numbers.shape:
            return False
        return torch.allclose(self.numbers, other.numbers, rtol=0, atol=0, equal_nan=True)


@dataclass(eq=False)
class Recording:
    """What a rule does at the steps for which one of ``traces`` holds, with a memory of this layout.

    recorded: None for a step that cannot be recorded.
    """

    recorded: Recorded | None
    memory: Any
    traces: list[Trace]

    @property
    def program(self) -> Program | None:
        """What to replay, if anything."""
        return self.recorded and self.recorded.program

    def holds(self, t: int) -> bool:
        """Whether it is what the rule does at step t with such a memory."""
        return any(trace.holds(t) for trace in self.traces)


PLAIN = Recording(None, None, [])


class Tapes:
    """The recordings of a rule, the latest of them kept."""

    def __init__(self, rule: Rule) -> None:
        self._rule, self._reliable = rule, True
        self._checked = None if _is_ours(rule) else _checked_steps(rule)
        self.kept: list[Recording] = []

    def until(self, state: State, first: int, last: int) -> int:
        """Return the first step after ``first``, ``last`` at most, at which the rule does not do the same."""
        memory, t = layout(state.memory), first + 1
        found = self._at(state, memory, first)
        while found.recorded is not None and t < last:
            again = self._compared(found, state, t) if found.holds(t) else self._at(state, memory, t)
            if again is not found:
                break
            t += 1
        return t

    def at(self, state: State, t: int) -> Recording:
        """Return what the rule does at step t."""
        return self._at(state, layout(state.memory), t)

    def _at(self, state: State, memory: Any, t: int) -> Recording:
        if not self._reliable:
            return PLAIN
        found = next((kept for kept in self.kept if kept.holds(t) and _equal(memory, kept.memory)), None)
        return self._compared(found or self._new(state, memory, t), state, t)

    def _new(self, state: State, memory: Any, t: int) -> Recording:
        """Record step t; where that gives what is kept already, it holds at more steps."""
        trace = Trace()
        recorded = record_step(self._rule, state, trace.step(t))
        for kept in self.kept:
            if recorded is not None and recorded.same(kept.recorded) and _equal(memory, kept.memory):
                kept.traces.append(trace)
                return kept
        self.kept = [*self.kept, Recording(recorded, memory, [trace])][-KEPT:]
        return self.kept[-1]

    def _compared(self, found: Recording, state: State, t: int) -> Recording:
        """Return what was found, unless a rule from elsewhere does something else at t when it is asked again."""
        if self._checked is None or found.recorded is None or t in self._checked:
            return found
        if not found.recorded.same(record_step(self._rule, state, t)):
            self._reliable = False
            return PLAIN
        self._checked.add(t)
        return found


def record_step(rule: Rule, state: State, t: int) -> Recorded | None:
    """Return the step that the rule takes at t as a tape has it, or None where it cannot be recorded."""
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
    except Exception:  # a mistake of the rule's own among them: the plain step makes it again, and reports it
        return None


def layout(tree: Any) -> Any:
    """Return what a memory holds besides Vectors and tensors: steps that change it cannot be repeated."""
    return merge(lambda _: "a place", tree, whole=(Vector, Tensor, Number))


def vectors_of(tree: Any) -> list[Vector]:
    """Return the vectors in a tree. Raises TypeError where it holds other numbers."""
    found: list[Vector] = []

    def keep(leaf: Any) -> None:
        if not isinstance(leaf, Vector):
            raise TypeError(f"a memory of vectors alone can be recorded, not of a {type(leaf).__name__}")
        found.append(leaf)

    merge(keep, tree, whole=(Vector, Tensor, Number))
    return found


def _equal(a: Any, b: Any) -> bool:
    """Whether two layouts are equal; not where they do not say, as arrays do."""
    try:
        return bool(a == b)
    except Exception:
        return False


def _is_ours(rule: Any) -> bool:
    """Whether all classes of a rule, its base and its schedules among them, are the package's."""
    parts = [getattr(rule, field.name) for field in fields(rule)]
    ours = type(rule).__module__.partition(".")[0] == __name__.partition(".")[0]
    return ours and all(_is_ours(part) for part in parts if is_dataclass(part))


def _checked_steps(rule: Any) -> set[int]:
    try:
        return _CHECKED.setdefault(shape(rule), set())
    except TypeError:  # a parameter that cannot be hashed: in this block alone
        return set()
