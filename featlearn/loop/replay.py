"""Recorded steps, replayed many at a time in one compiled call, which saves calls and passes over memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from featlearn.engines.protocol import Loss, Vector
from featlearn.loop.state import State, merge
from featlearn.loop.stepper import Stepper
from featlearn.loop.tapes import vectors_of


class ReplayStepper(Stepper):
    """Takes equal steps by replaying the recording of one, on an engine with ``replay`` (see Tapes).

    A step that cannot be recorded is taken in Python.
    """

    def until(self, state: State, first: int, last: int) -> int:
        """Return the step, at most ``last``, up to which the rule's step stays that of ``first``, for ``run``."""
        return self.tapes.until(state, first, last)

    def run(self, state: State, losses: Iterator[Loss], first: int, last: int) -> State:
        """Take the steps first ... last - 1, which are the same for the rule."""
        program = self.tapes.at(state, first).program
        if program is None:
            return super().run(state, losses, first, last)
        coming = [next(losses) for _ in range(first, last)]
        upcoming = [loss.batch for loss in coming]
        same = all(batch is state.batch for batch in upcoming)
        batches = torch.stack([state.batch] if same else [state.batch, *upcoming[:-1]], 1)
        vectors, ends = vectors_of((state.w, state.memory)), (state.end, state.stopped)
        kept = [vectors[j] for j in program.kept]
        kept, ends = cast(Any, self._engine).replay(program, kept, batches, range(first, last), self._level, ends)
        for j, vector in zip(program.kept, kept, strict=True):
            vectors[j] = vector
        left, (end, stopped) = iter(vectors), ends
        w, memory = merge(lambda _: next(left), (state.w, state.memory), whole=(Vector,))
        batch = state.batch if same else _next_batch(batches, upcoming[-1], end, stopped, range(first, last))
        clock, samples = state.clock + (last - first), coming[-1].samples
        after = {"batch": batch, "clock": clock, "end": end, "stopped": stopped, "samples": samples}
        return replace(state, w=w, memory=memory, before=None, **after)


def _next_batch(batches: Tensor, following: Tensor, end: Tensor, stopped: Tensor, steps: range) -> Tensor:
    """Return the batch that follows the steps; of a run that has stopped, the one that would have followed then."""
    lane, place = torch.arange(len(end), device=end.device), (stopped - steps.start).clamp(min=0, max=len(steps) - 1)
    moving = (end == 0) | (stopped == steps.stop)
    return torch.where(moving[:, None], following, batches[lane, place])
