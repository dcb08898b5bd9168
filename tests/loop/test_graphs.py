"""Captured steps without a GPU: a capture that runs its body when replayed shows what a CUDA graph would do.

The buffers, the phases of a rule and what is handed out are the real ones; only the device's replay is stood in for.
"""

from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import ClassVar

import pytest
import torch
from helpers import RULES, STEADY, engine_of, make_run, mini_batches

from featlearn.loop import GraphStepper, Stepper, sync_steps
from featlearn.loop.graphs import CAPTURES
from featlearn.loop.state import merge
from featlearn.optim import SAM, SGD, changes, formula
from featlearn.optim.schedules import Cosine, StepDecay


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


@pytest.mark.parametrize("name", STEADY)
@pytest.mark.parametrize("batch_size", [8, 3])
@pytest.mark.parametrize("level", [None, 0.5])
def test_captured_steps_are_the_steps(name, batch_size, level):
    """Bits, whatever the rule remembers, while runs fit and diverge, and between any two looks."""
    rule = RULES[name]
    eager, graph, losses, _ = pair(rule, level, train__batch_size=batch_size)
    one, other = losses(), losses()
    a, b = eager.start(next(one)), graph.start(next(other))
    for first, last in pairwise(sorted({0, 1, 5, 17, 18, 60, 61, 70, *changes(rule, 70)})):
        a, b = eager.run(a, one, first, last), graph.run(b, other, first, last)
        assert same(a, b), last
    assert set(a.end.tolist()) >= ({0, 2} if level is None else {1, 2})


def test_what_was_handed_out_is_not_written_over():
    _, graph, losses, _ = pair(RULES["sam momentum, decay"], None, train__batch_size=3)
    batches = losses()
    state = graph.run(graph.start(next(batches)), batches, 0, 3)
    kept = merge(torch.clone, state)
    graph.run(state, batches, 3, 9)
    assert same(kept, state)


def test_a_step_is_captured_once_a_formula():
    rule = RULES["sam window"]  # from 5 to 60
    _, graph, losses, capture = pair(rule, None)
    batches = losses()
    state = graph.start(next(batches))
    for first, last in ((0, 5), (5, 30), (30, 60), (60, 80)):
        state = graph.run(state, batches, first, last)
    assert capture.bodies == 2 and capture.replays == 80  # within the window, and without


def test_captures_do_not_pile_up():
    """On a GPU each holds the memory of a step."""
    rule = replace(RULES["sgd"], lr_schedule=StepDecay(every=3, gamma=0.9))
    eager, graph, losses, capture = pair(rule, None)
    one, other = losses(), losses()
    a, b = eager.start(next(one)), graph.start(next(other))
    for first, last in pairwise(range(0, 19, 3)):
        a, b = eager.run(a, one, first, last), graph.run(b, other, first, last)
    assert same(a, b) and capture.bodies == 6 and len(graph._replays) == CAPTURES


@dataclass(frozen=True, kw_only=True)
class Remembering(SGD):
    """A memory that is not there before the first step, and one that counts."""

    steady: ClassVar[bool] = True
    counts: bool

    def init(self, w):
        return 0 if self.counts else ()

    def update(self, loss, w, g, memory, t):
        if self.counts:
            return w - (self.lr / (1 + memory)) * g, memory + 1
        return w - self.lr * (g + 0.5 * memory[0] if memory else g), (g,)


@pytest.mark.parametrize("counts", [True, False])
def test_a_step_that_changes_what_the_memory_is_made_of_is_not_captured(counts):
    eager, graph, losses, capture = pair(Remembering(lr=0.1, counts=counts), None)
    one, other = losses(), losses()
    a, b = eager.run(eager.start(next(one)), one, 0, 9), graph.run(graph.start(next(other)), other, 0, 9)
    assert same(a, b) and capture.bodies == 0


def test_a_capture_across_a_change_would_be_wrong():
    """Negative control: what ``changes`` is for."""
    eager, graph, losses, _ = pair(RULES["sam window"], None)
    one, other = losses(), losses()
    assert not same(eager.run(eager.start(next(one)), one, 0, 20), graph.run(graph.start(next(other)), other, 0, 20))


class Slower(SGD):
    """A rule whose rate falls."""

    def rate(self, t):
        return self.lr / (1 + t)


def test_only_what_a_class_says_of_itself_counts():
    assert changes(SGD(lr=0.1), 99) == []
    assert changes(RULES["sam window"], 99) == [5, 60] and changes(RULES["sam"], 99) == []
    assert changes(Slower(lr=0.1), 99) is None and changes(SAM(rho=0.1, base=Slower(lr=0.1)), 99) is None
    assert formula(object(), 0) is None and formula(RULES["component_sam other_batch"], 0) is None


def test_formulas_of_rules_that_begin_or_return():
    """A first step without an average; a step of SAM now and then; gradients kept for the next step."""
    assert changes(RULES["f_sam"], 99) == [1] and changes(RULES["ema_sam window"], 99) == [5, 6, 60]
    assert changes(replace(RULES["looksam window"], stop=12), 99) == [4, 5, 7, 8, 10, 11, 12]
    assert len({formula(RULES["looksam window"], t) for t in range(4, 99)}) == 2
    assert changes(RULES["sampa"], 99) == [1]
    assert changes(replace(RULES["sampa"], start=3, stop=9), 99) == [2, 3, 4, 8, 9]
    assert changes(RULES["sam, schedules"], 20) == list(range(1, 20))
    falling = replace(RULES["sam"], rho_schedule=Cosine(steps=50), start=2, stop=6)
    assert changes(falling, 99) == [2, 3, 4, 5, 6]


def test_the_host_looks_where_it_must():
    assert sync_steps(RULES["sam window"], 100, (0, 7, 100), 64) == [0, 5, 7, 60, 64, 100]
    assert sync_steps(Slower(lr=0.1), 4, (0, 4), 64) == [0, 1, 2, 3, 4]
    assert sync_steps(RULES["sgd"], 4, (4,), 1) == [0, 1, 2, 3, 4]
    assert sync_steps(RULES["sam window"], 3, (3,), 64) == [0, 3]


def test_batches_are_taken_one_a_step():
    _, graph, losses, _ = pair(RULES["sgd"], None, train__batch_size=3)
    batches, again = losses(), losses()
    graph.run(graph.start(next(batches)), batches, 0, 7)
    left, expected = next(batches), next(islice(again, 8, None))
    assert torch.equal(left.batch, expected.batch)
