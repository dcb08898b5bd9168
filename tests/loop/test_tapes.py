"""The steps at which a recording holds, determined by recording, and compared with a recording at every step."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from helpers import PLAIN, RULES, engine_of, full_batches, loss_on, make_run, run_to

from featlearn.loop import ReplayStepper, Stepper, tapes
from featlearn.loop.tapes import KEPT, Tapes, record_step
from featlearn.optim import GSAM, SAM, SGD, stack
from featlearn.optim.schedules import Constant, Cosine, StepDecay

STEPS = 80


def states(rule, lanes=1):
    """The states of a block before each of its steps."""
    engine = engine_of(*(make_run(rule if lanes == 1 else SGD(lr=0.1), seed=seed) for seed in range(lanes)))
    losses = iter(loss_on(engine, batch, t) for t, batch in enumerate(full_batches(engine, STEPS + 1)))
    stepper = Stepper(engine, rule, None)
    state = stepper.start(next(losses))
    for t in range(STEPS):
        yield state
        state = stepper.run(state, losses, t, t + 1)


@pytest.mark.parametrize("name", RULES)
def test_a_recording_holds_at_the_steps_at_which_the_same_is_recorded(name):
    """A recording found by the results of another step equals that of the step itself."""
    kept, found = Tapes(RULES[name]), []
    for t, state in enumerate(states(RULES[name])):
        found.append(kept.at(state, t).recorded)
        fresh = record_step(RULES[name], state, t)
        assert fresh is None if found[-1] is None else found[-1].same(fresh), t
    assert any(found) == (name not in PLAIN)


def changes(rule, lanes=1):
    """The steps at which the rule's step differs from the one before."""
    kept, found = Tapes(rule), []
    for t, state in enumerate(states(rule, lanes)):
        found.append(kept.at(state, t))
    return [t for t in range(1, STEPS) if found[t] is not found[t - 1]]


BASE = SGD(lr=0.1)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (BASE, []),
        (RULES["sam"], []),
        (RULES["sam window"], [5, 60]),
        (RULES["f_sam"], [1]),
        (RULES["ema_sam window"], [5, 6, 60]),
        (replace(RULES["looksam window"], stop=12), [4, 5, 7, 8, 10, 11, 12]),
        (RULES["sampa"], [1]),
        (replace(RULES["sampa"], start=3, stop=9), [3, 4, 8, 9]),
        (replace(RULES["sam"], rho_schedule=Cosine(steps=50), start=2, stop=6), [2, 3, 4, 5, 6]),
        (replace(BASE, lr_schedule=StepDecay(every=30)), [30, 60]),
        (SAM(rho=0.1, base=replace(BASE, lr_schedule=Constant(warmup=3))), [1, 2, 3]),
        (SAM(rho=0.1, rho_schedule=StepDecay(every=20), base=BASE), [20, 40, 60]),
        (SAM(rho=0.1, base=replace(BASE, lr_schedule=Cosine(steps=10, warmup=3))), list(range(1, 14))),
        (GSAM(rho=0.1, alpha=0.2, base=BASE), []),  # its radius follows a rate that does not change
    ],
)
def test_the_steps_at_which_a_rule_changes(rule, expected):
    """A window; a first step without an average; every third step; gradients kept for the next step; schedules."""
    assert changes(rule) == expected


def test_a_factor_for_each_run_of_a_block():
    rules = [SAM(rho=0.1, rho_schedule=StepDecay(every=30, gamma=gamma), base=BASE) for gamma in (0.1, 0.5)]
    assert changes(stack(rules, lambda numbers: torch.tensor(numbers, dtype=torch.float64)), lanes=2) == [30, 60]


class Worded:
    """A schedule that returns something else than a number."""

    def factor(self, t):
        return "half"


def test_a_wrong_answer_is_not_recorded():
    assert record_step(replace(BASE, lr_schedule=Worded()), next(states(BASE)), 0) is None


def test_after_its_window_a_rule_has_the_recording_of_before_it():
    kept = Tapes(RULES["sam window"])
    found = [kept.at(state, t) for t, state in enumerate(states(RULES["sam window"]))]
    assert found[0] is found[-1] is not found[5] and len(kept.kept) == 2


def test_recordings_of_a_schedule_do_not_pile_up():
    """Each holds numbers of all runs, and a schedule may have one per step."""
    rule = replace(BASE, lr_schedule=Cosine(steps=STEPS))
    kept = Tapes(rule)
    assert len({id(kept.at(state, t)) for t, state in enumerate(states(rule))}) > KEPT == len(kept.kept)


def test_until_the_rule_does_something_else():
    kept, state = Tapes(RULES["sam window"]), next(states(RULES["sam window"]))
    assert [kept.until(state, first, last) for first, last in ((0, 64), (3, 4), (5, 64), (60, 64))] == [5, 4, 60, 64]
    assert Tapes(RULES["muon"]).until(state, 0, 64) == 1


def test_steps_that_differ_for_trackers_differ():
    """A probe that a step does not use: runs that have stopped keep it, so that it must be that of their step."""

    class Shown(SGD):
        def probe(self, loss, w, memory, t):
            return w + 0.1 * loss.gradient(w) if t < 7 else w

    assert changes(Shown(lr=0.1)) == [7]


@dataclass(frozen=True, kw_only=True)
class Calling(SGD):
    """Not a function of its arguments: the rate falls with every call, from the given one on."""

    calls: ClassVar[list[int]] = []
    even: int

    def rate(self, t):
        self.calls.append(t)
        return self.lr / max(1, len(self.calls) - self.even)


@pytest.mark.parametrize("even", [0, 20])
def test_a_rule_that_is_no_function_of_its_arguments_is_not_replayed(even, monkeypatch):
    monkeypatch.setattr(tapes, "_CHECKED", {})
    Calling.calls.clear()
    rule = Calling(lr=0.1, even=even)
    engine = engine_of(make_run(rule))
    stepper = ReplayStepper(engine, rule, None)
    losses = iter(loss_on(engine, batch, t) for t, batch in enumerate(full_batches(engine, 41)))
    state = run_to(stepper, stepper.start(next(losses)), losses, 0, 40)
    assert stepper.tapes.at(state, 40) is tapes.PLAIN


def test_a_rule_from_elsewhere_is_compared_once_at_each_step(monkeypatch):
    monkeypatch.setattr(tapes, "_CHECKED", {})
    recorded, record = [], tapes.record_step
    monkeypatch.setattr(tapes, "record_step", lambda *rest: recorded.append(rest[2]) or record(*rest))

    class Own(SGD):
        pass

    for lr in (0.1, 0.2):
        kept, state = Tapes(Own(lr=lr)), next(states(Own(lr=lr)))
        assert kept.until(state, 0, 8) == 8
    traced = [t for t in recorded if not isinstance(t, int)]
    assert [t for t in recorded if isinstance(t, int)] == [*range(8)] and len(traced) == 2


def test_recordings_with_other_numbers_differ():
    """Negative control, to the last bit; a NaN in both is equal."""
    state = next(states(BASE))
    one, other = record_step(BASE, state, 0), record_step(replace(BASE, lr=0.1 + 1e-18), state, 0)
    further = record_step(replace(BASE, lr=0.1 + 2e-17), state, 0)
    assert one.same(other) and not one.same(further) and not one.same(None)
    none = one._replace(numbers=torch.full_like(one.numbers, torch.nan))
    assert none.same(none) and not none.same(one)
