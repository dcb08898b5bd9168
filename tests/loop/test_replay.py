"""Replayed steps are the steps, bit for bit, and steps that cannot be recorded are taken in Python."""

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from helpers import RECORDED, RULES, engine_of, make_run, mini_batches, programs_of, run_to

from featlearn.loop import GraphStepper, ReplayStepper, Stepper, tapes
from featlearn.loop.state import merge
from featlearn.optim import SAM, SGD

CAPTURED = {ReplayStepper: (), GraphStepper: (lambda body: body,)}


def crowd(rule, **changes):
    """Four runs of one block, one of which diverges."""
    return [
        make_run(rule, seed=seed, network__activation="relu3", network__init_std=0.1, data__noise_std=noise, **changes)
        for seed, noise in ((0, 1.0), (1, 3e5), (2, 0.5), (3, 1.0))
    ]


def pair(rule, level=None, kind=ReplayStepper, **changes):
    runs = crowd(rule, **changes)
    engine = engine_of(*runs)
    batches = mini_batches(engine.problem.labels, *runs)
    return Stepper(engine, rule, level), kind(engine, rule, level, *CAPTURED[kind]), lambda: batches.losses(engine)


def same(a, b):
    """Whether two states agree to the bit, except for the memory of runs that have ended."""
    moving, found = a.active, []

    def compare(x, y):
        found.append(torch.equal(x, y))
        return x

    merge(compare, (a.w, a.batch, a.clock, a.end, a.stopped), (b.w, b.batch, b.clock, b.end, b.stopped))
    merge(lambda x, y: compare(x[moving], y[moving]), a.memory, b.memory)
    return len(found) >= 6 and all(found)


def run_both(plain, replayed, losses, records=(0, 1, 5, 17, 18, 60, 61, 70)):
    one, other = losses(), losses()
    a, b = plain.start(next(one)), replayed.start(next(other))
    for first, last in pairwise(records):
        a, b = plain.run(a, one, first, last), run_to(replayed, b, other, first, last)
    return a, b


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("batch_size", [8, 3])
@pytest.mark.parametrize("level", [None, 0.5])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_replayed_steps_are_the_steps(name, batch_size, level, dtype):
    plain, replayed, losses = pair(RULES[name], level, train__batch_size=batch_size, dtype=dtype)
    a, b = run_both(plain, replayed, losses)
    assert set(a.end.tolist()) >= ({0, 2} if level is None else {1, 2})
    assert same(a, b)
    programs = programs_of(replayed)
    assert any(programs) and programs.count(None) <= 1  # a first step, that begins to remember


def test_other_shapes_are_replayed_too():
    """Bias, independent patches, and a last mini-batch that is smaller."""
    changes = {"network__bias": True, "data__noise": "independent", "data__n_patches": 4, "data__flip_prob": 0.3}
    assert same(*run_both(*pair(RULES["sam momentum, decay"], train__batch_size=5, **changes)))


@pytest.mark.parametrize("wrong", ["number", "operand"])
def test_a_wrong_tape_disagrees(wrong, monkeypatch):
    """Negative control: the comparison above must detect a factor off by 1e-12, and exchanged vectors."""
    plain, replayed, losses = pair(RULES["sam momentum, decay"])
    recorded = tapes.record_step(plain._rule, replayed.start(next(losses())), 0)
    program = recorded.program
    operations = program.operations.copy()
    add = int((operations[:, 0] == 2).nonzero()[0][-1])
    operations[add, 3] = operations[add, 2]
    changes = {"number": {"numbers": program.numbers * (1 + 1e-12)}, "operand": {"operations": operations}}
    false = recorded._replace(program=replace(program, **changes[wrong]))
    monkeypatch.setattr(tapes, "record_step", lambda *_: false)
    assert not same(*run_both(plain, replayed, losses))


@dataclass(frozen=True, kw_only=True)
class NormalizedSGD(SGD):
    """Gradient descent with steps of one length."""

    def update(self, loss, w, g, memory, t):
        return super().update(loss, w, loss.unit(g), memory, t)


@dataclass(frozen=True, kw_only=True)
class FullSAM(SAM):
    """SAM along the gradient of the whole training set, and a step along the sum of both."""

    def gradient(self, loss, w, memory, t):
        full = loss.full.gradient(w)
        return full + loss.gradient(w + -self.radius(t) * (0.5 * loss.unit(full))), memory.own


@dataclass(frozen=True, kw_only=True)
class Falling(SGD):
    """A rate that changes at every step, by a formula of its own."""

    def rate(self, t):
        return self.lr / (1 + t)


@dataclass(frozen=True, kw_only=True)
class Switching(SAM):
    """SAM in every other step only."""

    def gradient(self, loss, w, memory, t):
        return super().gradient(loss, w, memory, t) if t % 2 == 0 else (loss.gradient(w), memory.own)


@dataclass(frozen=True, kw_only=True)
class Late(SAM):
    """A radius that changes late, and once, as a table has it."""

    def radius(self, t):
        return [1.0, 0.1][t >= 13] * self.rho


@dataclass(frozen=True, kw_only=True)
class ByType(SGD):
    """Another rate if t is no int, which a recording with a TracedStep takes as the rate."""

    def rate(self, t):
        return self.lr if isinstance(t, int) else 2 * self.lr


OWN = {
    "normalized": (NormalizedSGD(lr=0.1), 1),
    "full": (FullSAM(rho=0.1, base=SGD(lr=0.1, momentum=0.5)), 1),
    "falling": (Falling(lr=0.1), 70),
    "switching": (Switching(rho=0.1, base=SGD(lr=0.1)), 2),
    "late": (Late(rho=0.1, base=SGD(lr=0.1)), 2),
}


@pytest.mark.parametrize("kind", CAPTURED)
@pytest.mark.parametrize("name", OWN)
def test_a_rule_of_ones_own_is_recorded_without_a_word(name, kind):
    rule, count = OWN[name]
    plain, replayed, losses = pair(rule, kind=kind, train__batch_size=3)
    assert same(*run_both(plain, replayed, losses))
    programs = programs_of(replayed)
    assert all(programs) and len(programs) == min(count, tapes.KEPT)


@pytest.mark.parametrize("kind", CAPTURED)
def test_a_rule_that_is_recorded_wrongly_is_stepped(kind, monkeypatch):
    monkeypatch.setattr(tapes, "_CHECKED", {})
    plain, replayed, losses = pair(ByType(lr=0.1), kind=kind)
    assert same(*run_both(plain, replayed, losses)) and not replayed.tapes.at(replayed.start(next(losses())), 0).program


@dataclass(frozen=True, kw_only=True)
class Clipped(SGD):
    """A step that computes the norm of its gradient itself."""

    def update(self, loss, w, g, memory, t):
        return super().update(loss, w, loss.inner(g, g).sqrt().clamp(min=1).reciprocal() * g, memory, t)


@dataclass(frozen=True, kw_only=True)
class Branching(SGD):
    """A step that branches on a number that it has computed."""

    def update(self, loss, w, g, memory, t):
        square = loss.inner(g, g)
        return super().update(loss, w, g if bool(square.sum() > 0) and square is not None else w, memory, t)


@dataclass(frozen=True, kw_only=True)
class Truthful(SGD):
    """A step that checks whether a number is None."""

    def update(self, loss, w, g, memory, t):
        largest = loss.ratio(1.0, loss.inner(g, g))
        zero = largest == 0 if isinstance(largest, torch.Tensor) else largest == 0 or not largest
        return super().update(loss, w, (1.0 + 0.0 * zero) * g, memory, t)


@dataclass(frozen=True, kw_only=True)
class Counting(SGD):
    """A memory that holds a number."""

    def init(self, w):
        return (super().init(w), torch.zeros(len(w.leaves[0]), dtype=w.leaves[0].dtype))

    def update(self, loss, w, g, memory, t):
        w, buffer = super().update(loss, w, g, memory[0], t)
        return w - (0.01 * memory[1]) * g, (buffer, memory[1] + 1)


@dataclass(frozen=True, kw_only=True)
class Growing(SGD):
    """A memory that is not there before the first step."""

    def init(self, w):
        return ()

    def update(self, loss, w, g, memory, t):
        if not memory:
            return w - self.rate(t) * g, (g,)
        return w - self.rate(t) * loss.inner(g, g).sqrt().reciprocal() * (g + 0.5 * memory[0]), (g,)


@dataclass(frozen=True, kw_only=True)
class CountingInPython(SGD):
    """A memory that holds a number, the same for all runs."""

    def init(self, w):
        return super().init(w), 0

    def update(self, loss, w, g, memory, t):
        return w - (self.lr / (1 + memory[1])) * g, (memory[0], memory[1] + 1)


@pytest.mark.parametrize("kind", [Clipped, Branching, Truthful, Counting, CountingInPython, Growing])
def test_a_step_that_cannot_be_recorded_is_taken_in_python(kind):
    plain, replayed, losses = pair(kind(lr=0.1))
    assert same(*run_both(plain, replayed, losses, records=(0, 17, 70)))
    assert not any(programs_of(replayed))


@dataclass(frozen=True, kw_only=True)
class OtherNowAndThen(SGD):
    """A step that cannot be recorded among steps that can."""

    def step(self, loss, w, memory, t):
        return self.update(loss, w, (loss.other if t % 10 == 9 else loss).gradient(w), memory, t)


@pytest.mark.parametrize("kind", CAPTURED)
def test_a_step_that_is_not_replayed_has_its_samples(kind):
    """Another mini-batch is of the size of the step's own."""
    plain, other, losses = pair(OtherNowAndThen(lr=0.1), kind=kind, train__batch_size=3)
    assert same(*run_both(plain, other, losses, records=(0, 20)))
    assert [bool(program) for program in programs_of(other)] == [True, False]


class Mistaken(SGD):
    def update(self, loss, w, g, memory, t):
        raise ValueError("a mistake of the rule's own")


def test_a_plain_step_reports_a_mistake():
    _, replayed, losses = pair(Mistaken(lr=0.1))
    batches = losses()
    with pytest.raises(ValueError, match="a mistake of the rule's own"):
        run_to(replayed, replayed.start(next(batches)), batches, 0, 5)
