"""A step captured once and replayed: on a GPU, hundreds of small kernels cost more to launch than to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from featlearn.engines.protocol import Engine, Rule, Vector
from featlearn.loop.state import State, Stepper, merge

Capture = Callable[[Callable[[], None]], Callable[[], None]]


def cuda_graph(body: Callable[[], None]) -> Callable[[], None]:
    """Capture the kernels of ``body`` in a CUDA graph, after a warm-up aside, and return what replays them."""
    aside, current = torch.cuda.Stream(), torch.cuda.current_stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(current)
    with torch.cuda.stream(aside):
        for _ in range(2):
            body()
    current.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        body()
    return graph.replay


class GraphStepper(Stepper):
    """Takes the same steps by replaying a capture of one, made anew where the rule changes (see Rule.edges).

    The step reads a state and the next batch at fixed places in memory, and writes the new state over the old one,
    of which it holds no part: it never peeks, so every tensor of it is new.
    """

    def __init__(self, engine: Engine, rule: Rule, level: float | None, capture: Capture = cuda_graph) -> None:
        super().__init__(engine, rule, level)
        self._capture, self._peeks = capture, False
        self._replays: dict[int, Callable[[], None]] = {}
        self._state: State | None = None

    def run(self, state: State, batches: Iterator[Tensor], first: int, last: int) -> State:
        """Take the steps first ... last - 1; what is returned is not written over by later ones."""
        if self._state is None:
            self._state = merge(torch.clone, _multiplied_out(state))
            self._upcoming = state.batch.clone()
        replay = self._replay(self._state, first)
        _write(self._state, _multiplied_out(state))
        for _ in range(first, last):
            self._upcoming.copy_(next(batches))
            replay()
        copy: State = merge(torch.clone, self._state)
        return copy

    def _replay(self, state: State, t: int) -> Callable[[], None]:
        """Return what takes a step of the formula that the rule has at t."""
        edges: tuple[int, ...] = getattr(self._rule, "edges", ())
        phase = sum(edge <= t for edge in edges)
        if phase not in self._replays:
            self._replays[phase] = self._capture(lambda: _write(state, self.step(state, self._upcoming, t)))
        return self._replays[phase]


def _multiplied_out(state: State) -> State:
    """Return the state with memory in the form that it has after a step: no factor is kept aside."""
    memory = state.memory
    if isinstance(memory, Vector):
        memory = Vector(memory.leaves)
    return State(state.w, memory, state.batch, state.clock, state.end, state.stopped)


def _write(target: State, source: State) -> None:
    """Copy every tensor of ``source`` to its place in ``target``."""
    merge(lambda to, new: to if to is new else to.copy_(new), target, source)
