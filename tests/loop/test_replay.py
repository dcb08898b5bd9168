"""Played steps are the steps, bit for bit, and what a tape cannot hold is stepped as if there were none."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import pytest
import torch
from helpers import RULES, STEADY, engine_of, make_run, mini_batches, programs_of

from featlearn.loop import GraphStepper, ReplayStepper, Stepper, recording
from featlearn.loop.state import merge
from featlearn.optim import SAM, SGD, changes
from featlearn.optim.answers import AnswerError

CAPTURED = {ReplayStepper: (), GraphStepper: (lambda body: body,)}


def crowd(rule, **changes):
    """Four runs of one block, one of which diverges."""
    return [
        make_run(rule, seed=seed, network__activation="relu3", network__init_std=0.1, data__noise_std=noise, **changes)
        for seed, noise in ((0, 1.0), (1, 3e5), (2, 0.5), (3, 1.0))
    ]


def pair(rule, level=None, **changes):
    runs = crowd(rule, **changes)
    engine = engine_of(*runs)
    batches = mini_batches(engine.problem.labels, *runs)
    return Stepper(engine, rule, level), ReplayStepper(engine, rule, level), lambda: batches.losses(engine)


def same(a, b):
    """Whether two states agree to the bit, but for what a run that has ended keeps besides w and its batch."""
    moving, found = a.active, []

    def compare(x, y):
        found.append(torch.equal(x, y))
        return x

    merge(compare, (a.w, a.batch, a.clock, a.end, a.stopped), (b.w, b.batch, b.clock, b.end, b.stopped))
    merge(lambda x, y: compare(x[moving], y[moving]), a.memory, b.memory)
    return len(found) >= 6 and all(found)


def run_both(plain, played, losses, syncs=(0, 1, 5, 17, 18, 60, 61, 70)):
    one, other = losses(), losses()
    a, b = plain.start(next(one)), played.start(next(other))
    for first, last in pairwise(sorted({*syncs, *(changes(plain._rule, syncs[-1]) or ())})):
        a, b = plain.run(a, one, first, last), played.run(b, other, first, last)
    return a, b


@pytest.mark.parametrize("name", STEADY)
@pytest.mark.parametrize("batch_size", [8, 3])
@pytest.mark.parametrize("level", [None, 0.5])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_played_steps_are_the_steps(name, batch_size, level, dtype):
    plain, played, losses = pair(RULES[name], level, train__batch_size=batch_size, dtype=dtype)
    a, b = run_both(plain, played, losses)
    assert set(a.end.tolist()) >= ({0, 2} if level is None else {1, 2})
    assert same(a, b)
    programs = programs_of(played)
    assert any(programs) and programs.count(None) <= 1  # a first step, that begins to remember


def test_other_shapes_are_played_too():
    """Bias, independent patches, and a last mini-batch that is smaller."""
    changes = {"network__bias": True, "data__noise": "independent", "data__n_patches": 4, "data__flip_prob": 0.3}
    assert same(*run_both(*pair(RULES["sam momentum, decay"], train__batch_size=5, **changes)))


@pytest.mark.parametrize("wrong", ["number", "operand"])
def test_a_wrong_tape_disagrees(wrong, monkeypatch):
    """Negative control: the comparison above must see a factor off by 1e-12, and a vector taken for another."""
    plain, played, losses = pair(RULES["sam momentum, decay"])
    state = played.start(next(losses()))
    program = recording.record(plain._rule, state, 0)
    operations = program.operations.copy()
    add = int((operations[:, 0] == 2).nonzero()[0][-1])
    operations[add, 3] = operations[add, 2]
    changes = {"number": {"numbers": program.numbers * (1 + 1e-12)}, "operand": {"operations": operations}}
    monkeypatch.setattr(recording, "record", lambda *_: replace(program, **changes[wrong]))
    assert not same(*run_both(plain, played, losses))


@dataclass(frozen=True, kw_only=True)
class NormalizedSGD(SGD):
    """Gradient descent with steps of one length; says that it can be captured."""

    steady: ClassVar[bool] = True

    def update(self, loss, w, g, memory, t):
        return super().update(loss, w, loss.unit(g), memory, t)


@dataclass(frozen=True, kw_only=True)
class FullSAM(SAM):
    """SAM along the gradient of the whole training set, and a step along the sum of both."""

    steady: ClassVar[bool] = True

    def gradient(self, loss, w, memory, t):
        full = loss.full.gradient(w)
        return full + loss.gradient(w + -self.radius(t) * (0.5 * loss.unit(full))), memory.own


@pytest.mark.parametrize("rule", [NormalizedSGD(lr=0.1), FullSAM(rho=0.1, base=SGD(lr=0.1, momentum=0.5))])
def test_a_rule_of_ones_own_is_played(rule):
    plain, played, losses = pair(rule, train__batch_size=3)
    assert same(*run_both(plain, played, losses))
    assert all(programs_of(played))


@dataclass(frozen=True, kw_only=True)
class Clipped(SGD):
    """A step that looks at the norm of its gradient in a way of its own."""

    steady: ClassVar[bool] = True

    def update(self, loss, w, g, memory, t):
        return super().update(loss, w, loss.inner(g, g).sqrt().clamp(min=1).reciprocal() * g, memory, t)


@dataclass(frozen=True, kw_only=True)
class Counting(SGD):
    """A memory that holds a number."""

    steady: ClassVar[bool] = True

    def init(self, w):
        return (super().init(w), torch.zeros(len(w.leaves[0]), dtype=w.leaves[0].dtype))

    def update(self, loss, w, g, memory, t):
        w, buffer = super().update(loss, w, g, memory[0], t)
        return w - (0.01 * memory[1]) * g, (buffer, memory[1] + 1)


@dataclass(frozen=True, kw_only=True)
class Growing(SGD):
    """A memory that is not there before the first step."""

    steady: ClassVar[bool] = True

    def init(self, w):
        return ()

    def update(self, loss, w, g, memory, t):
        return w - self.rate(t) * (g if not memory else g + 0.5 * memory[0]), (g,)


@dataclass(frozen=True, kw_only=True)
class CountingInPython(SGD):
    """A memory that holds a number, the same for all runs."""

    steady: ClassVar[bool] = True

    def init(self, w):
        return super().init(w), 0

    def update(self, loss, w, g, memory, t):
        return w - (self.lr / (1 + memory[1])) * g, (memory[0], memory[1] + 1)


@pytest.mark.parametrize("kind", [Clipped, Counting, CountingInPython, Growing])
def test_what_cannot_be_recorded_steps_by_itself(kind):
    plain, played, losses = pair(kind(lr=0.1))
    assert same(*run_both(plain, played, losses, syncs=(0, 17, 70)))
    assert programs_of(played) == [None]


@dataclass(frozen=True, kw_only=True)
class Falling(SGD):
    """A promise that is not kept: the rate changes with t."""

    steady: ClassVar[bool] = True

    def rate(self, t):
        return self.lr / (1 + t)


@dataclass(frozen=True, kw_only=True)
class Switching(SAM):
    """Another: SAM in every other step only, but with a longer way to tell it."""

    steady: ClassVar[bool] = True

    def gradient(self, loss, w, memory, t):
        return super().gradient(loss, w, memory, t) if t % 2 == 0 else (loss.gradient(w), memory.own)


@dataclass(frozen=True, kw_only=True)
class Late(SAM):
    """Another: it changes late, and once."""

    steady: ClassVar[bool] = True

    def radius(self, t):
        return self.rho if t < 13 else 0.1 * self.rho


BROKEN = {
    "rate": Falling(lr=0.1),
    "gradient": Switching(rho=0.1, base=SGD(lr=0.1)),
    "radius": Late(rho=0.1, base=SGD(lr=0.1)),
}


@pytest.mark.parametrize("method", BROKEN)
@pytest.mark.parametrize(("kind", "every"), [("replay", 1), ("replay", 2), ("replay", 20), ("graph", 5)])
def test_a_promise_that_is_not_kept_is_told(method, kind, every, monkeypatch):
    """However often one looks, and of which method it is."""
    monkeypatch.setattr(recording, "_SEEN", set())
    rule = BROKEN[method]
    _, played, losses = pair(rule)
    batches, engine = losses(), played._engine
    replays = GraphStepper(engine, rule, None, capture=lambda body: body)
    stepper = replays if kind == "graph" else ReplayStepper(engine, rule, None)
    state = stepper.start(next(batches))
    promise = rf"{method} must return at step \d+ what it returns at step \d+: `steady`"
    with pytest.raises(AnswerError, match=promise) as told:
        for first in range(0, 20, every):
            state = stepper.run(state, batches, first, first + every)
    assert told.value.place[0] == __file__


def test_what_is_looked_at_once_is_not_looked_at_again(monkeypatch):
    monkeypatch.setattr(recording, "_SEEN", set())
    recorded, record = [], recording.record
    monkeypatch.setattr(recording, "record", lambda *rest: recorded.append(rest[2]) or record(*rest))
    for lr in (0.1, 0.2):
        plain, played, losses = pair(NormalizedSGD(lr=lr))
        run_both(plain, played, losses, syncs=(0, 3, 8))
    assert recorded == [*range(8), 0]


@dataclass(frozen=True, kw_only=True)
class OtherNowAndThen(SGD):
    """A step that cannot be recorded among steps that can."""

    steady: ClassVar[bool] = True

    def formula(self, t):
        return None if t % 10 == 9 else ()

    def step(self, loss, w, memory, t):
        return self.update(loss, w, (loss.other if t % 10 == 9 else loss).gradient(w), memory, t)


@pytest.mark.parametrize("kind", [ReplayStepper, GraphStepper])
def test_a_step_that_is_not_played_has_its_samples(kind):
    """Another mini-batch is of the size of the step's own."""
    rule = OtherNowAndThen(lr=0.1)
    plain, played, losses = pair(rule, train__batch_size=3)
    other = kind(played._engine, rule, None, *CAPTURED[kind])
    assert same(*run_both(plain, other, losses, syncs=(0, 9, 10, 19, 20)))


def test_programs_of_a_schedule_do_not_pile_up():
    """Each holds numbers of all runs, and a schedule may have one a step."""
    rule = RULES["sam, schedules"]
    _, played, losses = pair(rule)
    run_both(played, played, losses, syncs=(0, 30))
    assert len(changes(rule, 30)) == 29 and len(programs_of(played)) == recording.PROGRAMS


class Mistaken(SGD):
    steady: ClassVar[bool] = True

    def update(self, loss, w, g, memory, t):
        raise ValueError("a mistake of the rule's own")


def test_a_mistake_is_told_by_a_plain_step():
    _, played, losses = pair(Mistaken(lr=0.1))
    batches = losses()
    with pytest.raises(ValueError, match="a mistake of the rule's own"):
        played.run(played.start(next(batches)), batches, 0, 5)
