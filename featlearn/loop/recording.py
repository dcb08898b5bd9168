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
from featlearn.optim import shape
from featlearn.optim.answers import AnswerError, pair


def record(rule: Rule, state: State, t: int) -> Program | None:
    """Return the step that the rule takes at t as a tape has it, or None where it cannot be recorded."""
    tape = Tape(state.batch[:, 0])
    try:
        starts = iter([tape.start() for _ in vectors_of((state.w, state.memory))])
        w, memory = merge(lambda _: next(starts), (state.w, state.memory), whole=(Vector,))
        return tape.finish(vectors_of(pair(rule.step, TapeLoss(tape), w, memory, t)))
    except Exception:  # a mistake of the rule's own among them: in a plain step it is made again, and told
        return None


_SEEN: set[tuple[Hashable, int]] = set()  # rules of the user's own, each with a step that has been looked at


def hold(rule: Rule, state: State, steps: range, program: Program) -> None:
    """Look whether a rule of the user's own does at all ``steps`` what ``program`` says, as it has promised.

    Every step is looked at once in a process, whatever the rule's numbers. Raises AnswerError.
    """
    classes = [type(part) for part in (rule, getattr(rule, "base", rule))]
    own = [cls for cls in classes if cls.__module__.partition(".")[0] != "featlearn"]
    for t in steps if own else ():
        if (shape(rule), t) in _SEEN:
            continue
        other = record(rule, state, t)
        if other is None or not same(other, program):
            methods = [part for part in vars(own[0]).values() if hasattr(part, "__code__")]
            promise = f"at step {t} what it returns at step {steps[0]}: `steady` and `formula(t)` promise it"
            raise AnswerError(methods[0] if methods else own[0], promise, "another formula, or other numbers")
        _SEEN.add((shape(rule), t))


def same(a: Program, b: Program) -> bool:
    """Return whether two programs do the same with the same numbers."""
    formulas = np.array_equal(a.operations, b.operations) and np.array_equal(a.results, b.results)
    return a.kept == b.kept and formulas and torch.equal(a.numbers, b.numbers)


def vectors_of(tree: Any) -> list[Vector]:
    """Return the vectors in a tree. Raises TypeError where it holds other numbers."""
    found: list[Vector] = []

    def keep(leaf: Any) -> None:
        if not isinstance(leaf, Vector):
            raise TypeError(f"a memory of vectors alone can be recorded, not of a {type(leaf).__name__}")
        found.append(leaf)

    merge(keep, tree, whole=(Vector, Tensor, Number))
    return found
