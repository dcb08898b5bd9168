"""A step captured once and replayed: on a GPU, hundreds of small kernels cost more to launch than to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from featlearn.engines.protocol import Engine, Loss, Rule
from featlearn.loop.state import State, held, merge
from featlearn.loop.stepper import Stepper
from featlearn.loop.tapes import Recording

Capture = Callable[[Callable[[], object]], Callable[[], object]]
Captured = tuple[State, Tensor, Callable[[], object]]
CAPTURES = 2  # kept: each holds the memory of a step


def cuda_graph(body: Callable[[], object]) -> Callable[[], object]:
    """Capture the kernels of ``body`` in a CUDA graph, after a warm-up, and return the function that replays them.

    Not with torch.cuda.graph, which would release all cached memory to the device before every capture.
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
    """Return the stream of all captures, so that libraries initialise it once."""
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


class GraphStepper(Stepper):
    """Takes equal steps by replaying the capture of one step, one capture for each recording of the rule (see Tapes).

    It is the fast path on a GPU for networks that do not fit on chip, and for activations and losses that the kernel of
    engines.gpu does not have: it replaces hundreds of launches per step.

    The step reads a state and the next batch at fixed addresses, and overwrites the old state with the new one. They
    share no tensor: nothing is checked on the host, so every tensor of the new state is new. A run that has stopped
    keeps its memory. A single step is not captured, nor is one that cannot be recorded: it may draw random numbers, or
    change the structure of the memory.
    """

    def __init__(self, engine: Engine, rule: Rule, level: float | None, capture: Capture | None = None) -> None:
        super().__init__(engine, rule, level)
        self._capture, self._on_host = capture or cuda_graph, False
        self._replays: dict[Recording, Captured] = {}

    def run(self, state: State, losses: Iterator[Loss], first: int, last: int) -> State:
        """Take the steps first ... last - 1; later steps do not overwrite the returned state."""
        recording = self.tapes.at(state, first)
        if last - first == 1 or recording.program is None:
            return super().run(state, losses, first, last)
        place, upcoming, replay = self._captured(recording, state, first)
        merge(Tensor.copy_, place, replace(state, samples=None, before=None))
        for _ in range(first, last):
            loss = next(losses)
            upcoming.copy_(loss.batch)
            replay()
        done: State = merge(torch.clone, place)
        return replace(done, samples=loss.samples)

    def _captured(self, recording: Recording, state: State, t: int) -> Captured:
        """Return buffers for a state and the next batch, and the function that takes step t on them."""
        if recording not in self._replays:
            state = replace(state, samples=None, before=None)  # a recorded step does not use them
            place, upcoming = merge(torch.clone, state), state.batch.clone()
            replay = self._capture(lambda: merge(Tensor.copy_, place, held(place, self.step(place, upcoming, t))))
            self._replays[recording] = place, upcoming, replay
            if len(self._replays) > CAPTURES:
                del self._replays[next(iter(self._replays))]
        return self._replays[recording]
