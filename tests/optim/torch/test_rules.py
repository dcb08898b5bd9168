"""The optimizers of featlearn.optim.torch follow the rules: the weight engine's, and the equations by hand."""

import math
from dataclasses import replace
from itertools import islice

import pytest
import torch
import torch.nn.functional as F
from helpers import IN_LAW, make_run, mini_batches
from torch import nn
from torch_rules import ALLOWED, NEED_MORE, ONE_OF_EACH, REFUSED, TWO_STEP, WRAPPERS, like, own_numbers
from training import apart, batches, closure_of, loss_of, network, plain_train, same, samples, step, train, weights

from featlearn.engines.explicit.engine import TwoLayerModule
from featlearn.engines.protocol import batch_weights
from featlearn.optim import ASAM, SAMPa
from featlearn.optim import SAM as SAMRule
from featlearn.optim.schedules import UNCHANGED
from featlearn.optim.torch import RULES, SAM, Refused, RuleOptimizer, optimizer_class
from featlearn.simulation import build_engine

STYLES = pytest.mark.parametrize("style", ["closure", "two steps"])


def in_both_worlds(rule, steps):
    """How far the weights move in the weight engine, and how far the torch optimizer ends from them."""
    bias = type(rule) is not ASAM  # whose filters hold their biases in the engines only
    run = make_run(rule, engine="weights", train__batch_size=4, network__bias=bias, network__init_std=0.3)
    engine = build_engine([run], "cpu")
    problem, start = engine.problem, engine.initial()
    parts = [*(leaf[0].clone() for leaf in start.leaves), *([] if bias else [None])]
    module = TwoLayerModule(*parts, problem.head, problem.scale, problem.activation, trained=False)
    patches = engine._patches[0]
    optimizer = like(rule, module.parameters(), torch.optim.SGD, **own_numbers(rule.base))
    n_shards = getattr(rule, "n_shards", 1)

    def closure_on(batch):
        def closure():
            loss = (batch[0] * F.softplus(-problem.labels[0] * module(patches)[:, 0])).sum()
            loss.backward()
            return loss

        return closure

    w, memory = start, rule.init(start)
    for t, loss in zip(range(steps), mini_batches(problem.labels, run).losses(engine), strict=False):
        w, memory = rule.step(loss, w, memory, t)
        others = {"full": closure_on(loss.full.batch), "other": closure_on(loss.other.batch)}
        shards = [batch_weights(part, loss.batch) for part in loss.samples.chunk(n_shards, 1)]
        optimizer.step([closure_on(batch) for batch in shards], **others)
    ends = [leaf[0] for leaf in w.leaves]
    return apart(ends, [leaf[0] for leaf in start.leaves]), apart(ends, module)


@pytest.mark.parametrize("name", [name for name in ALLOWED if name not in IN_LAW])
def test_it_agrees_with_the_weight_engine(name):
    moved, difference = in_both_worlds(ALLOWED[name], 15)
    assert difference < 1e-12 < 1e-2 < moved


@pytest.mark.parametrize("name", TWO_STEP)
def test_both_styles_take_the_same_steps(name):
    models = network(), network()
    for model, style in zip(models, ("closure", "two steps"), strict=True):
        train(model, like(TWO_STEP[name], model.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9), 8, style=style)
    assert same(*models) and apart(models[0], network()) > 1e-2


@pytest.mark.parametrize("name", [name for name, rule in WRAPPERS.items() if type(rule).__name__ in REFUSED])
def test_a_rule_that_cannot_be_is_refused_when_it_is_made(name):
    with pytest.raises(Refused, match=REFUSED[type(WRAPPERS[name]).__name__]):
        like(WRAPPERS[name], network().parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)


@pytest.mark.parametrize("name", [name for name in ONE_OF_EACH if name not in TWO_STEP])
def test_a_rule_that_needs_more_is_refused_in_two_steps(name):
    model, rule = network(), ONE_OF_EACH[name]
    optimizer = like(rule, model.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)
    with pytest.raises(Refused, match=NEED_MORE[type(rule).__name__]):
        train(model, optimizer, 1, style="two steps")
    assert same(model, network())


@STYLES
def test_a_step_of_sam_by_hand(style):
    model = network()
    optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.3, lr=0.1, weight_decay=0.05)
    start, batch = weights(model), next(batches())

    def gradient(at):
        twin = network()
        for p, value in zip(twin.parameters(), at, strict=True):
            p.data = value
        return torch.autograd.grad(loss_of(twin, batch), list(twin.parameters()))

    g = gradient(start)
    length = math.sqrt(sum(float((part * part).sum()) for part in g))
    there = gradient([w + 0.3 * part / length for w, part in zip(start, g, strict=True)])
    expected = [w - 0.1 * (part + 0.05 * w) for w, part in zip(start, there, strict=True)]
    train(model, optimizer, 1, style=style)
    assert apart(expected, model) < 1e-15
    plain = network()
    plain_train(plain, torch.optim.SGD(plain.parameters(), lr=0.1, weight_decay=0.05), 1)
    assert apart(plain, model) > 1e-4


def test_a_step_returns_the_loss_before_it():
    model = network()
    optimizer, batch = SAM(model.parameters(), torch.optim.SGD, rho=0.3, lr=0.1), next(batches())
    before = loss_of(model, batch).item()
    assert optimizer.step(closure_of(model, batch)).item() == before


BASES = {
    "sgd": (torch.optim.SGD, {"lr": 0.1}),
    "momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "adam": (torch.optim.Adam, {"lr": 0.01}),
    "adamw": (torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
    "adagrad": (torch.optim.Adagrad, {"lr": 0.01}),  # it has a state before the first step
    "rmsprop": (torch.optim.RMSprop, {"lr": 0.01, "momentum": 0.5}),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_radius_zero_is_the_base_bit_for_bit(name):
    """For every rule but SAMPa, whose gradients are delayed."""
    rule, ours, plain, other = ALLOWED[name], network(), network(), network()
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    train(ours, like(replace(rule, rho=0.0), ours.parameters(), torch.optim.SGD, **options), 8)
    base = torch.optim.SGD(plain.parameters(), **options)
    plain_train(plain, base, 8, n_parts=getattr(rule, "n_shards", 1))
    assert same(ours, plain) != isinstance(rule, SAMPa)
    train(other, like(rule, other.parameters(), torch.optim.SGD, **options), 8)
    assert not same(other, plain)


@pytest.mark.parametrize("base", BASES)
@STYLES
def test_radius_zero_is_any_base(base, style):
    base_class, options = BASES[base]
    ours, plain, other = network(), network(), network()
    train(ours, SAM(ours.parameters(), base_class, rho=0.0, **options), 8, style=style)
    plain_train(plain, base_class(plain.parameters(), **options), 8)
    assert same(ours, plain)
    train(other, SAM(other.parameters(), base_class, rho=0.1, **options), 8, style=style)
    assert not same(other, plain)


@STYLES
def test_outside_its_window_it_is_the_base(style):
    ours, plain = network(), network()
    optimizer = SAM(ours.parameters(), torch.optim.SGD, rho=0.2, start=4, lr=0.1, momentum=0.9)
    train(ours, optimizer, 4, style=style)
    plain_train(plain, torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9), 4)
    assert same(ours, plain)
    train(ours, optimizer, 1, start=4, style=style)
    plain_train(twin := network(), torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9), 5)
    assert not same(ours, twin)


def flat(model):
    """A closure with zero gradient."""
    return lambda: (0.0 * sum(p.sum() for p in model.parameters())).backward()


@pytest.mark.parametrize("name", ALLOWED)
def test_a_zero_gradient_moves_nothing(name):
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        model = network(dtype)
        optimizer = like(ALLOWED[name], model.parameters(), torch.optim.SGD, lr=0.1, momentum=0.5)
        for _ in range(8):
            step(model, optimizer, samples(), lambda *_, model=model: flat(model), full=flat(model), other=flat(model))
        assert same(model, network(dtype))


@pytest.mark.parametrize("name", TWO_STEP)
def test_a_zero_gradient_moves_nothing_in_two_steps(name):
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        model = network(dtype)
        optimizer = like(TWO_STEP[name], model.parameters(), torch.optim.SGD, lr=0.1, momentum=0.5)
        for _ in range(3):
            flat(model)(), optimizer.first_step(), flat(model)(), optimizer.second_step()
        assert same(model, network(dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_perturbed_by_the_radius(dtype):
    """Gradients of 1e-6, whose squares underflow in half precision, still give a perturbation of length rho."""
    p = nn.Parameter(torch.zeros(100, dtype=dtype))
    optimizer = SAM([p], torch.optim.SGD, rho=0.5, lr=1.0)
    (1e-6 * p.sum()).backward()
    optimizer.first_step()
    assert p.detach().float().norm().item() == pytest.approx(0.5, rel=0.01)
    (1e-6 * p.sum()).backward()
    optimizer.second_step()
    assert p.isfinite().all() and p.dtype == dtype and p.detach().abs().max() < 2e-6


def test_parameters_are_where_they_were_between_the_passes():
    """Same storage, restored by copy, and the radius over all parameters jointly."""
    model = network()
    optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.25, lr=0.1)
    start, places = weights(model), [p.data_ptr() for p in model.parameters()]
    seen = []

    def closure():
        seen.append(weights(model))
        assert [p.data_ptr() for p in model.parameters()] == places
        loss = loss_of(model, samples())
        loss.backward()
        return loss

    optimizer.step(closure)
    assert len(seen) == 2 and same(seen[0], start)
    squares = [float((a - b).square().sum()) for a, b in zip(seen[1], start, strict=True)]
    assert math.sqrt(sum(squares)) == pytest.approx(0.25, rel=1e-12) and min(squares) > 0
    assert [p.data_ptr() for p in model.parameters()] == places


def test_a_closure_that_fails_leaves_the_weights():
    model = network()
    optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.25, lr=0.1)
    start, calls = weights(model), []

    def closure():
        calls.append(0)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return closure_of(model, samples())()

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert same(model, start)
    optimizer.step(closure)
    assert not same(model, start)


def test_your_own_rule_is_an_optimizer_too():
    class Doubled(SAMRule):
        """SAM with twice the radius."""

        def radius(self, t):
            return 2.0 * self.rho

    ours, sam = network(), network()
    train(ours, optimizer_class(Doubled)(ours.parameters(), torch.optim.SGD, rho=0.1, lr=0.1), 5)
    train(sam, SAM(sam.parameters(), torch.optim.SGD, rho=0.2, lr=0.1), 5)
    assert same(ours, sam)


def test_the_two_steps_come_in_turn():
    model = network()
    optimizer, closure = SAM(model.parameters(), torch.optim.SGD, rho=0.1, lr=0.1), closure_of(model, samples())
    with pytest.raises(RuntimeError, match=r"second_step\(\) comes after first_step\(\)"):
        optimizer.second_step()
    start = weights(model)
    closure(), optimizer.first_step()
    assert optimizer.perturbed and not same(model, start) and all(p.grad is None for p in model.parameters())
    for call in (optimizer.first_step, optimizer.state_dict, lambda: optimizer.step(closure)):
        with pytest.raises(RuntimeError, match=r"first_step\(\) waits for second_step\(\)"):
            call()
    optimizer.restore()
    assert same(model, start) and not optimizer.perturbed
    optimizer.restore()
    assert same(model, start)


def test_every_wrapper_is_there_under_its_name():
    import featlearn.optim.torch as rules
    from featlearn.optim import OPTIMIZERS

    assert {type(rule).__name__ for rule in WRAPPERS.values()} == RULES.keys() <= set(rules.__all__)
    for name, cls in RULES.items():
        assert getattr(rules, name) is cls and issubclass(cls, RuleOptimizer) and cls.__doc__
        assert cls.rule_class in OPTIMIZERS.values()
    with pytest.raises(AttributeError, match="'SGD' wraps no other rule; available are"):
        _ = rules.SGD
    assert own_numbers(WRAPPERS["sam"]) == {"rho": 0.1, "rho_schedule": UNCHANGED, "start": 0, "stop": None}


def test_the_closure_is_called_once_for_each_gradient():
    model, calls = network(), []
    optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.1, stop=2, lr=0.1)
    for batch in islice(batches(), 3):
        optimizer.step(lambda batch=batch: calls.append(0) or closure_of(model, batch)())
    assert len(calls) == 2 + 2 + 1
