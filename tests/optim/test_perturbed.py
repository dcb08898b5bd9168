"""Every rule around a base: radius 0 gives the base, gradient 0 no perturbation, and no rule equals another."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from equations import HEAVY, run_of
from helpers import IN_LAW, ROUTES, RULES, advance, drawn_batches, engine_of, full_batches, loss_on

from featlearn.config.resolve import needs
from featlearn.engines import ENGINES as PROVIDED
from featlearn.engines.protocol import Loss, Vector
from featlearn.optim import OPTIMIZERS, SAM, SGD, LabelNoiseGD, SAMPa
from featlearn.optim.perturbed import Perturbed
from featlearn.optim.schedules import UNCHANGED
from featlearn.optim.wrapper import Memory


def distinct(rules):
    """The rules without those equal to an earlier one."""
    found = {}
    for name, rule in rules.items():
        if rule not in found.values():
            found[name] = rule
    return found


WRAPPERS = {
    name: replace(rule, start=0, stop=None, base=HEAVY) for name, rule in RULES.items() if hasattr(rule, "base")
}
WRAPPERS = distinct(WRAPPERS)
PERTURBED = distinct(
    {
        name: replace(rule, rho=0.1, rho_schedule=UNCHANGED)
        for name, rule in WRAPPERS.items()
        if isinstance(rule, Perturbed)
    }
)
ENGINES = pytest.mark.parametrize("engine", ["gram", "weights"])


def routes(names):
    """Parametrize by rule and engine that serves it."""
    return pytest.mark.parametrize(("name", "engine"), [route for route in ROUTES if route[0] in names])


LATE = ("sampa", "sampa momentum, decay")  # gradients of the batch before


def equal(u, v):
    return all(torch.equal(a, b) for a, b in zip(u.leaves, v.leaves, strict=True))


def distance(engine, u, v):
    return float(engine.inner(u - v, u - v).sqrt())


@routes([name for name in PERTURBED if name not in LATE])
def test_radius_zero_is_the_base_bit_for_bit(name, engine):
    """Whether the zero is a float or the block's tensor."""
    run = run_of(PERTURBED[name], engine=engine)
    built, (batches, _) = engine_of(run), drawn_batches(run, 12)
    base, _ = advance(built, HEAVY, batches)
    for rho in (0.0, torch.zeros(1, dtype=torch.float64)):
        assert equal(advance(built, replace(PERTURBED[name], rho=rho), batches)[0], base)
    assert not equal(advance(built, PERTURBED[name], batches)[0], base)


@ENGINES
def test_late_gradients_are_the_base_where_all_batches_are_one(engine):
    rule = SAMPa(rho=0.0, lam=0.0, base=HEAVY)
    built = engine_of(run_of(rule, engine=engine))
    (batch,) = full_batches(built, 1)
    assert equal(advance(built, rule, [batch])[0], advance(built, HEAVY, [batch])[0])


@pytest.mark.parametrize("name", [name for name in WRAPPERS if name not in IN_LAW])
def test_dead_filters_are_not_perturbed(name):
    """Every ReLU off, the gradient is exactly zero: no perturbation, no NaN, the point stays where it is."""
    rule = replace(WRAPPERS[name], base=replace(HEAVY, weight_decay=0.0))
    run = run_of(rule, engine="weights")
    built, (batches, _) = engine_of(run), drawn_batches(run, 8)
    weight, bias = built.initial().leaves
    dead = Vector((weight, bias - 100))
    gradient = built.gradient(dead, batches[0])
    assert not any(leaf.any() for leaf in gradient.leaves)
    end, memory = advance(built, rule, batches, dead, rule.init(dead))
    assert equal(end, dead)
    assert all(equal(rule.probe(loss_on(built, batches[0], t), end, memory, t), dead) for t in range(8, 12))


@routes(WRAPPERS)
def test_a_gradient_that_vanishes_on_the_way_does_no_harm(name, engine):
    """As for a mini-batch without gradient: averages and buffers continue."""

    class Flat(Loss):
        def gradient(self, w):
            return 0.0 * super().gradient(w)

    rule = WRAPPERS[name]
    run = run_of(rule, engine=engine)
    built, (batches, _) = engine_of(run), drawn_batches(run, 9)
    w, memory = built.initial(), rule.init(built.initial())
    for t, batch in enumerate(batches):
        loss = loss_on(built, batch, t)
        w, memory = rule.step(Flat(**vars(loss)) if t in (3, 4) else loss, w, memory, t)
    assert w.finite().all()


def alone(rule):
    """A base unchanged; a wrapper with the common base, radius and window, and its own other options."""
    if not hasattr(rule, "base"):
        return rule
    numbers = {"rho": 0.1, "rho_schedule": UNCHANGED} if isinstance(rule, Perturbed) else {}
    return replace(rule, start=0, stop=None, base=HEAVY, **numbers)


BASES = {f"base of {name}": rule.base for name, rule in RULES.items() if hasattr(rule, "base")}
COMPARED = distinct({"base": HEAVY} | {name: alone(rule) for name, rule in (RULES | BASES).items()})


def ends(engine, batch_size, rules):
    """The engine, and the point after 12 steps of each rule that it serves."""
    run = run_of(HEAVY, engine=engine, batch_size=batch_size)
    built, (batches, _) = engine_of(run), drawn_batches(run, 12)
    served = {name: rule for name, rule in rules.items() if needs(rule) <= PROVIDED[engine]}
    return built, {name: advance(built, rule, batches)[0] for name, rule in served.items()}


def alike(built, found):
    """The pairs that end at the same point."""
    return [(a, b) for a, b in combinations(found, 2) if distance(built, found[a], found[b]) < 1e-4]


def test_every_rule_of_the_dict_is_compared_in_the_engine_that_serves_all():
    assert {type(rule) for rule in COMPARED.values()} == set(OPTIMIZERS.values())
    assert all(needs(rule) <= PROVIDED["weights"] for rule in COMPARED.values())


@ENGINES
def test_on_mini_batches_no_two_rules_are_the_same(engine):
    built, found = ends(engine, 3, COMPARED)
    assert alike(built, found) == [("n_sam", "component_sam full")]
    assert {"sam", "label_noise"} < found.keys() and (len(found) == len(COMPARED)) == (engine == "weights")


@ENGINES
def test_a_rule_silently_equal_to_another_is_found(engine):
    """Negative control: a new rule that does nothing else than SAM, or than its base."""

    class Forgetful(SAM):
        def perturbation(self, loss, w, memory, t):
            return super().perturbation(loss, w, memory, t)

    class Idle(LabelNoiseGD):
        def gradient(self, loss, w, memory, t):
            return loss.gradient(w), memory.own

    twins = {"new": alone(Forgetful(rho=0.3, base=SGD(lr=1.0))), "idle": alone(Idle(flip_rate=0.2, base=HEAVY))}
    built, found = ends(engine, 3, {"base": HEAVY, "sam": COMPARED["sam"]} | twins)
    assert alike(built, found) == [("base", "idle"), ("sam", "new")]


def test_on_the_full_batch_those_that_differ_by_its_noise_are_sam_or_the_base():
    built, found = ends("gram", 8, COMPARED)
    sam = {name for name in found if distance(built, found[name], found["sam"]) < 1e-10}
    assert sam == {"sam", "dnsam", "n_sam", "component_sam full", "component_sam other_batch"}
    assert {name for name in found if distance(built, found[name], found["usam"]) < 1e-10} == {"usam", "n_usam"}
    base = {name for name in found if equal(found[name], found["base"])}
    assert base == {"base", "component_sam noise", "component_sam orthogonal"}


@pytest.mark.parametrize("name", WRAPPERS)
def test_the_base_continues_with_its_momentum_after_the_window(name):
    rule = WRAPPERS[name]
    run = run_of(rule)
    built, (batches, _) = engine_of(run), drawn_batches(run, 12)
    w, memory = advance(built, rule, batches[:6])
    by_hand, _ = advance(built, HEAVY, batches[6:], w, memory.base, 6)
    windowed, kept = advance(built, replace(rule, stop=6), batches)
    assert equal(windowed, by_hand)
    assert kept.own is None or type(kept.own) is type(memory.own)
    fresh, _ = advance(built, HEAVY, batches[6:], w, None, 6)
    assert not equal(windowed, fresh)


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_window_opens_as_a_run_begins_with_the_momentum_kept(name):
    """The rule's own memory starts with its window."""
    rule = WRAPPERS[name]
    run = run_of(rule)
    built, (batches, _) = engine_of(run), drawn_batches(run, 12)
    w, buffer = advance(built, HEAVY, batches[:6])
    late = replace(rule, start=6)
    by_hand, _ = advance(built, late, batches[6:], w, Memory(buffer, late.remember(w)), 6)
    assert equal(advance(built, late, batches)[0], by_hand)


def test_the_full_batch_is_spoken_of_by_the_rules_that_it_changes():
    silent = {name for name, rule in WRAPPERS.items() if not rule.on_full_batch()}
    spoken = {"dnsam", "n_sam", "n_usam", "f_sam", "f_sam updated, momentum"}
    assert set(WRAPPERS) - silent == spoken | {name for name in WRAPPERS if name.startswith("component_sam")}
