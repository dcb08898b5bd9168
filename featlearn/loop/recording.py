"""A rule's step as a tape has it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.protocol import Rule, Vector
from featlearn.engines.tape import Number, Program, Tape, TapeLoss
from featlearn.loop.state import State, merge
from featlearn.optim import formula, shape
from featlearn.optim.answers import AnswerError, pair

PROGRAMS = 8  # kept: every one holds numbers of all runs


class Recordings:
    """The programs of a rule, one for each of its formulas, the latest of them kept."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.kept: dict[Hashable, tuple[int, Program | None]] = {}  # and the step that it was recorded at

    def of(self, state: State, steps: range) -> Program | None:
        """Return what the rule does at each of ``steps``, one formula as it says, or None where it cannot be recorded.

        Raises AnswerError where a rule of the user's own does something else at one of them than at the step that
        stands for all of this formula.
        """
        name = formula(self._rule, steps[0])
        if name is None:
            return None
        if name not in self.kept:
            keep(self.kept, name, (steps[0], record(self._rule, state, steps[0])), PROGRAMS)
        first, program = self.kept[name]
        if program is not None:
            for t in steps:
                _hold(self._rule, state, t, first, program)
        return program


_SEEN: set[tuple[Hashable, int]] = set()  # rules of the user's own, each with a step that has been looked at


def _hold(rule: Rule, state: State, t: int, first: int, program: Program) -> None:
    """Look, once in a process, whether a rule of the user's own does at step t what it did at step ``first``."""
    classes = [type(part) for part in (rule, getattr(rule, "base", rule))]
    own = [cls for cls in classes if cls.__module__.partition(".")[0] != "featlearn"]
    if not own or (shape(rule), t) in _SEEN:
        return
    if t != first and not same(program, record(rule, state, t)):
        methods = [part for part in vars(own[0]).values() if hasattr(part, "__code__")]
        promise = f"at step {t} what it returns at step {first}: `steady` and `formula(t)` promise it"
        raise AnswerError(methods[0] if methods else own[0], promise, "another formula, or other numbers")
    _SEEN.add((shape(rule), t))


def keep(kept: dict[Any, Any], name: Hashable, value: Any, most: int) -> None:
    """Add what belongs to a formula and forget the oldest: with a schedule there may be as many as steps."""
    kept[name] = value
    if len(kept) > most:
        del kept[next(iter(kept))]


def record(rule: Rule, state: State, t: int) -> Program | None:
    """Return the step that the rule takes at t as a tape has it, or None where it cannot be recorded."""
    tape = Tape(state.batch[:, 0])
    try:
        starts = iter([tape.start() for _ in vectors_of((state.w, state.memory))])
        w, memory = merge(lambda _: next(starts), (state.w, state.memory), whole=(Vector,))
        after = pair(rule.step, TapeLoss(tape), w, memory, t)
        return tape.finish(vectors_of(after)) if frame(after[1]) == frame(memory) else None
    except Exception:  # a mistake of the rule's own among them: in a plain step it is made again, and told
        return None


def same(a: Program, b: Program | None) -> bool:
    """Return whether two programs do the same with the same numbers."""
    if b is None:
        return False
    formulas = np.array_equal(a.operations, b.operations) and np.array_equal(a.results, b.results)
    return a.kept == b.kept and formulas and torch.equal(a.numbers, b.numbers)


def frame(tree: Any) -> Any:
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
