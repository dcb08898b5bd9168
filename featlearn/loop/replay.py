"""Recorded steps replayed in one compiled call from look to look: else time goes into calls and passes over memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch

from featlearn.engines.protocol import Engine, Loss, Rule, Vector
from featlearn.loop.recording import Recordings, vectors_of
from featlearn.loop.state import State, Stepper, merge


class ReplayStepper(Stepper):
    """Takes the same steps by playing a tape of one, one tape for each formula of the rule (see optim.formulas).

    What cannot be recorded is stepped as if there were no tape.
    """

    def __init__(self, engine: Engine, rule: Rule, level: float | None) -> None:
        super().__init__(engine, rule, level)
        self.syncs_freely = False
        self._recordings = Recordings(rule)

    def run(self, state: State, losses: Iterator[Loss], first: int, last: int) -> State:
        """Take the steps first ... last - 1."""
        program = self._recordings.of(state, range(first, last))
        if program is None:
            return super().run(state, losses, first, last)
        coming = [next(losses) for _ in range(first, last)]
        upcoming = [loss.batch for loss in coming]
        same = all(batch is state.batch for batch in upcoming)
        batches = torch.stack([state.batch] if same else [state.batch, *upcoming[:-1]], 1)
        vectors, status = vectors_of((state.w, state.memory)), (state.end, state.stopped)
        kept = [vectors[j] for j in program.kept]
        kept, status = cast(Any, self._engine).replay(program, kept, batches, range(first, last), self._level, status)
        for j, vector in zip(program.kept, kept, strict=True):
            vectors[j] = vector
        left, (end, stopped) = iter(vectors), status
        w, memory = merge(lambda _: next(left), (state.w, state.memory), whole=(Vector,))
        batch = state.batch
        if not same:
            lane, place = (
                torch.arange(len(end), device=end.device),
                (stopped - first).clamp(min=0, max=batches.shape[1] - 1),
            )
            batch = torch.where(((end == 0) | (stopped == last))[:, None], upcoming[-1], batches[lane, place])
        return State(w, memory, batch, state.clock + (last - first), end, stopped, coming[-1].samples)
