"""Captured steps without a GPU: a capture that runs its body when replayed shows what a CUDA graph would do.

The buffers, the phases of a rule and the returned states are the real ones; only the device's replay is mocked.
"""

from dataclasses import dataclass, replace
from itertools import islice, pairwise

import pytest
import torch
from helpers import RECORDED, RULES, engine_of, make_run, mini_batches, run_to

from featlearn.loop import GraphStepper, Stepper
from featlearn.loop.graphs import CAPTURES
from featlearn.loop.state import merge
from featlearn.optim import SGD
from featlearn.optim.schedules import StepDecay


class Capture:
    """Runs the body twice to warm up and once to capture, as on CUDA, and again at every replay."""

    def __init__(self):
        self.bodies, self.replays = 0, 0

    def __call__(self, body):
        self.bodies += 1
        for _ in range(3):
            body()

        def replay():
            self.replays += 1
            body()

        return replay


def runs_of(rule, **changes):
    """Four runs of one block, one of which diverges."""
    return [
        make_run(rule, seed=seed, network__activation="relu3", network__init_std=0.1, data__noise_std=noise, **changes)
        for seed, noise in ((0, 1.0), (1, 3e5), (2, 0.5), (3, 1.0))
    ]


def pair(rule, level, **changes):
    runs = runs_of(rule, **changes)
    engine, capture = engine_of(*runs), Capture()
    batches = mini_batches(engine.problem.labels, *runs)
    eager, graph = Stepper(engine, rule, level), GraphStepper(engine, rule, level, capture)
    return eager, graph, lambda: batches.losses(engine), capture


def same(a, b):
    """Whether two states agree to the bit, but for the memory of a run that has ended."""
    moving, found = a.active, []

    def compare(x, y):
        found.append(torch.allclose(x, y, rtol=0, atol=0, equal_nan=True))
        return x

    merge(compare, (a.w, a.batch, a.clock, a.end, a.stopped), (b.w, b.batch, b.clock, b.end, b.stopped))
    merge(lambda x, y: compare(x[moving], y[moving]), a.memory, b.memory)
    return len(found) >= 6 and all(found)


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("batch_size", [8, 3])
@pytest.mark.parametrize("level", [None, 0.5])
def test_captured_steps_are_the_steps(name, batch_size, level):
    """Equal bits for any memory of a rule and any number of steps in one call, while runs fit and diverge."""
    rule = RULES[name]
    eager, graph, losses, _ = pair(rule, level, train__batch_size=batch_size)
    one, other = losses(), losses()
    a, b = eager.start(next(one)), graph.start(next(other))
    for first, last in pairwise((0, 1, 5, 17, 18, 60, 61, 70)):
        a, b = eager.run(a, one, first, last), run_to(graph, b, other, first, last)
        assert same(a, b), last
    assert set(a.end.tolist()) >= ({0, 2} if level is None else {1, 2})


def test_a_returned_state_is_not_written_over():
    _, graph, losses, _ = pair(RULES["sam momentum, decay"], None, train__batch_size=3)
    batches = losses()
    state = graph.run(graph.start(next(batches)), batches, 0, 3)
    kept = merge(torch.clone, state)
    graph.run(state, batches, 3, 9)
    assert same(kept, state)


def test_a_step_is_captured_once_for_each_recording():
    rule = RULES["sam window"]  # from 5 to 60
    _, graph, losses, capture = pair(rule, None)
    batches = losses()
    state = graph.start(next(batches))
    for first, last in ((0, 30), (30, 80)):
        state = run_to(graph, state, batches, first, last)
    assert capture.bodies == 2 and capture.replays == 80  # within the window, and without


def test_captures_do_not_pile_up():
    """On a GPU each holds the memory of a step."""
    rule = replace(RULES["sgd"], lr_schedule=StepDecay(every=3, gamma=0.9))
    eager, graph, losses, capture = pair(rule, None)
    one, other = losses(), losses()
    a, b = eager.start(next(one)), graph.start(next(other))
    a, b = eager.run(a, one, 0, 18), run_to(graph, b, other, 0, 18)
    assert same(a, b) and capture.bodies == 6 and len(graph._replays) == CAPTURES


@dataclass(frozen=True, kw_only=True)
class Remembering(SGD):
    """A memory that is not there before the first step, and one that counts."""

    counts: bool

    def init(self, w):
        return 0 if self.counts else ()

    def update(self, loss, w, g, memory, t):
        if self.counts:
            return w - (self.lr / (1 + memory)) * g, memory + 1
        return w - self.lr * (g + 0.5 * memory[0] if memory else g), (g,)


@pytest.mark.parametrize("counts", [True, False])
def test_a_step_that_changes_the_structure_of_the_memory_is_not_captured(counts):
    """The first step, which fills a memory, is not captured, those after it are; none of a rule that counts."""
    eager, graph, losses, capture = pair(Remembering(lr=0.1, counts=counts), None)
    one, other = losses(), losses()
    a, b = eager.run(eager.start(next(one)), one, 0, 9), run_to(graph, graph.start(next(other)), other, 0, 9)
    assert same(a, b) and capture.bodies == (0 if counts else 1)


def test_a_capture_across_a_change_would_be_wrong():
    """Negative control: steps beyond ``until``."""
    eager, graph, losses, _ = pair(RULES["sam window"], None)
    one, other = losses(), losses()
    assert not same(eager.run(eager.start(next(one)), one, 0, 20), graph.run(graph.start(next(other)), other, 0, 20))


def test_batches_are_taken_one_a_step():
    _, graph, losses, _ = pair(RULES["sgd"], None, train__batch_size=3)
    batches, again = losses(), losses()
    graph.run(graph.start(next(batches)), batches, 0, 7)
    left, expected = next(batches), next(islice(again, 8, None))
    assert torch.equal(left.batch, expected.batch)
