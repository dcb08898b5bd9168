"""A rule's step as a tape has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from featlearn.engines.protocol import Rule, Vector
from featlearn.engines.tape import Number, Program, Tape, TapeLoss
from featlearn.loop.state import State, merge
from featlearn.optim.answers import AnswerError, pair


def record_all(rule: Rule, state: State, steps: range) -> Program | None:
    """Return what the rule does at each of ``steps``, one formula as it says, or None where it cannot be recorded.

    Raises AnswerError where it does something else at the last of them than at the first.
    """
    first = record(rule, state, steps[0])
    last = first if len(steps) == 1 else record(rule, state, steps[-1])
    if (first is None) != (last is None) or (first and last and not same(first, last)):
        promise = f"at step {steps[-1]} what it does at step {steps[0]}, as its steady and its formula(t) promise"
        raise AnswerError(type(rule), promise, "another formula or other numbers")
    return first


def record(rule: Rule, state: State, t: int) -> Program | None:
    """Return the step that the rule takes at t as a tape has it, or None where it cannot be recorded."""
    tape = Tape(state.batch[:, 0])
    try:
        starts = iter([tape.start() for _ in vectors_of((state.w, state.memory))])
        w, memory = merge(lambda _: next(starts), (state.w, state.memory), whole=(Vector,))
        return tape.finish(vectors_of(pair(rule.step, TapeLoss(tape), w, memory, t)))
    except Exception:  # a mistake of the rule's own among them: in a plain step it is made again, and told
        return None


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
