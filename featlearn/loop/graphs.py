"""A step captured once and replayed: on a GPU, hundreds of small kernels cost more to launch than to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from featlearn.engines.protocol import Engine, Loss, Rule
from featlearn.loop.state import State, Stepper, merge
from featlearn.optim import edges

Capture = Callable[[Callable[[], object]], Callable[[], object]]


def cuda_graph(body: Callable[[], object]) -> Callable[[], object]:
    """Capture the kernels of ``body`` in a CUDA graph, after a warm-up, and return what replays them.

    Not by torch.cuda.graph, which would give all free memory back to the device before every capture.
    """
    aside, graph = _aside(), torch.cuda.CUDAGraph()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(2):
            body()
        torch.cuda.synchronize()
        graph.capture_begin()
        body()
        graph.capture_end()
    torch.cuda.current_stream().wait_stream(aside)
    return graph.replay


@cache
def _aside() -> torch.cuda.Stream:
    """Return the stream of all captures: what the libraries set up for a stream is set up once."""
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


class GraphStepper(Stepper):
    """Takes the same steps by replaying a capture of one, made anew where the rule changes (see optim.edges).

    The step reads a state and the next batch at fixed places in memory, and writes the new state over the old one,
    of which it holds no part: it never peeks, so every tensor of it is new.
    """

    def __init__(self, engine: Engine, rule: Rule, level: float | None, capture: Capture = cuda_graph) -> None:
        super().__init__(engine, rule, level)
        self._capture, self.peeks = capture, False
        self._replays: dict[int, Callable[[], object]] = {}
        self._state: State | None = None

    def run(self, state: State, losses: Iterator[Loss], first: int, last: int) -> State:
        """Take the steps first ... last - 1; what is returned is not written over by later ones."""
        state = replace(state, samples=None, before=None)  # a steady rule has no use for them
        if self._state is None:
            self._state, self._upcoming = merge(torch.clone, state), state.batch.clone()
        place: State = self._state
        replay = self._replay(place, first)
        merge(Tensor.copy_, place, state)
        for _ in range(first, last):
            self._upcoming.copy_(next(losses).batch)
            replay()
        done: State = merge(torch.clone, place)
        return done

    def _replay(self, place: State, t: int) -> Callable[[], object]:
        """Return what takes a step of the formula that the rule has at t, from the state at ``place`` to there."""
        phase = sum(edge <= t for edge in edges(self._rule) or ())
        if phase not in self._replays:
            self._replays[phase] = self._capture(
                lambda: merge(Tensor.copy_, place, self.step(place, self._upcoming, t))
            )
        return self._replays[phase]
