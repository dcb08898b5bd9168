"""Steps played in one compiled call from look to look: else time goes into calls and passes over memory."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, cast

import torch
from torch import Tensor

from featlearn.engines.protocol import Engine, Loss, Rule, Vector
from featlearn.engines.tape import Number, Program, Tape, TapeLoss
from featlearn.loop.state import State, Stepper, merge
from featlearn.optim import formula
from featlearn.optim.answers import pair


class ReplayStepper(Stepper):
    """Takes the same steps by playing a tape of one, one tape for each formula of the rule (see optim.formulas).

    What cannot be recorded is stepped as by ``otherwise``.
    """

    def __init__(self, engine: Engine, rule: Rule, level: float | None, otherwise: Stepper | None = None) -> None:
        super().__init__(engine, rule, level)
        self.peeks, self._otherwise = False, otherwise or Stepper(engine, rule, level)
        self._programs: dict[Hashable, Program | None] = {}

    def run(self, state: State, losses: Iterator[Loss], first: int, last: int) -> State:
        """Take the steps first ... last - 1."""
        program = self._program(state, first)
        if program is None:
            return self._otherwise.run(state, losses, first, last)
        upcoming = [next(losses).batch for _ in range(first, last)]
        same = all(batch is state.batch for batch in upcoming)
        batches = torch.stack([state.batch] if same else [state.batch, *upcoming[:-1]], 1)
        vectors, fate = vectors_of((state.w, state.memory)), (state.end, state.stopped)
        kept = [vectors[j] for j in program.kept]
        kept, fate = cast(Any, self._engine).play(program, kept, batches, range(first, last), self._level, fate)
        for j, vector in zip(program.kept, kept, strict=True):
            vectors[j] = vector
        left, (end, stopped) = iter(vectors), fate
        w, memory = merge(lambda _: next(left), (state.w, state.memory), whole=(Vector,))
        batch = state.batch
        if not same:
            lane, place = (
                torch.arange(len(end), device=end.device),
                (stopped - first).clamp(min=0, max=batches.shape[1] - 1),
            )
            batch = torch.where(((end == 0) | (stopped == last))[:, None], upcoming[-1], batches[lane, place])
        return State(w, memory, batch, state.clock + (last - first), end, stopped)

    def _program(self, state: State, t: int) -> Program | None:
        name = formula(self._rule, t)
        if name not in self._programs:
            self._programs[name] = None if name is None else record(self._rule, state, t)
        return self._programs[name]


def record(rule: Rule, state: State, t: int) -> Program | None:
    """Return the step that the rule takes at t as a tape has it, or None where it cannot be recorded."""
    tape = Tape(state.batch[:, 0])
    try:
        starts = iter([tape.start() for _ in vectors_of((state.w, state.memory))])
        w, memory = merge(lambda _: next(starts), (state.w, state.memory), whole=(Vector,))
        return tape.finish(vectors_of(pair(rule.step, TapeLoss(tape), w, memory, t)))
    except Exception:  # a mistake of the rule's own among them: in a plain step it is made again, and told
        return None


def vectors_of(tree: Any) -> list[Vector]:
    """Return the vectors in a tree. Raises TypeError where it holds other numbers."""
    found: list[Vector] = []

    def keep(leaf: Any) -> None:
        if not isinstance(leaf, Vector):
            raise TypeError(f"a memory of vectors alone can be recorded, not of a {type(leaf).__name__}")
        found.append(leaf)

    merge(keep, tree, whole=(Vector, Tensor, Number))
    return found
