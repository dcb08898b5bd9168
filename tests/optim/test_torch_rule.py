"""Optimizers of torch as base rules: bit for bit a loop of torch, with SAM around them too; refused options."""

from dataclasses import replace

import pytest
import torch
from equations import run_of
from helpers import advance, drawn_batches, engine_of, loss_on

from featlearn.optim import SAM, SGD, Adam, AdamW, Muon, SignSGD, TorchOptim
from featlearn.optim.schedules import FollowLR, StepDecay
from featlearn.optim.wrapper import Memory

RULES = {
    "adam": (
        Adam(lr=0.01, beta1=0.8, weight_decay=0.1),
        torch.optim.Adam,
        {"betas": (0.8, 0.999), "weight_decay": 0.1},
    ),
    "adamw": (AdamW(lr=0.01, beta2=0.9, eps=1e-4), torch.optim.AdamW, {"betas": (0.9, 0.9), "eps": 1e-4}),
    "rmsprop": (
        TorchOptim(lr=0.01, cls="torch.optim.RMSprop", options={"centered": True, "momentum": 0.5}),
        torch.optim.RMSprop,
        {"centered": True, "momentum": 0.5},
    ),
    "adamax": (
        TorchOptim(lr=0.01, cls="torch.optim.Adamax", options={"betas": [0.8, 0.9]}),
        torch.optim.Adamax,
        {"betas": (0.8, 0.9)},
    ),
    "sgd": (TorchOptim(lr=0.1, cls="torch.optim.SGD", options={"momentum": 0.9}), torch.optim.SGD, {"momentum": 0.9}),
}
EVERY = pytest.mark.parametrize(("rule", "cls", "options"), RULES.values(), ids=RULES)


def ready(rule, count=12):
    run = run_of(rule, engine="weights")
    return engine_of(run), drawn_batches(run, count)[0]


def by_torch(engine, batches, cls, rho=0.0, **options):
    """The weights after steps of torch on tensors without lanes, the gradient by autograd of the loss written here."""
    parameters = [leaf[0].clone().requires_grad_() for leaf in engine.initial().leaves]
    optimizer = cls(parameters, **options)
    patches, labels, signs = engine._patches[0], engine.labels[0], engine.problem.head[:, 0]

    def gradients(batch):
        weight, bias = parameters
        hidden = torch.relu(torch.nn.functional.linear(patches, weight, bias))
        outputs = engine.problem.scale * (hidden * signs).sum((1, 2))
        return torch.autograd.grad((batch[0] * torch.nn.functional.softplus(-labels * outputs)).sum(), parameters)

    for batch in batches:
        before = [p.detach().clone() for p in parameters]
        g = gradients(batch)
        scale = rho / torch.sqrt(sum((x * x).sum() for x in g))
        with torch.no_grad():
            for p, x in zip(parameters, g, strict=True):
                p.add_(scale * x)
        for p, x, old in zip(parameters, gradients(batch), before, strict=True):
            p.grad = x
            p.data.copy_(old)
        optimizer.step()
    return [p.detach() for p in parameters]


def apart(w, parameters):
    return max(float((leaf[0] - p).abs().max()) for leaf, p in zip(w.leaves, parameters, strict=True))


@EVERY
@pytest.mark.parametrize("rho", [0.0, 0.1])
def test_steps_are_those_of_a_loop_of_torch(rule, cls, options, rho):
    engine, batches = ready(rule)
    outer = SAM(rho=rho, base=rule) if rho else rule
    theirs = by_torch(engine, batches, cls, rho, lr=rule.lr, **options)
    assert apart(advance(engine, outer, batches)[0], theirs) < 1e-10
    assert apart(engine.initial(), theirs) > 1e-3


@EVERY
def test_given_the_gradient_the_step_has_the_bits_of_torch(rule, cls, options):
    engine, batches = ready(rule, 4)
    w, memory = engine.initial(), rule.init(engine.initial())
    parameters = [leaf[0].clone() for leaf in w.leaves]
    optimizer = cls(parameters, lr=rule.lr, **options)
    for t, batch in enumerate(batches):
        g = loss_on(engine, batch, t).gradient(w)
        for p, x in zip(parameters, g.leaves, strict=True):
            p.grad = x[0].clone()
        optimizer.step()
        w, memory = rule.update(loss_on(engine, batch, t), w, g, memory, t)
        assert all(torch.equal(leaf[0], p) for leaf, p in zip(w.leaves, parameters, strict=True))


def test_every_run_of_a_block_has_its_own_numbers_and_state():
    runs = [run_of(Adam(lr=0.01), engine="weights", seed=seed) for seed in range(2)]
    engine = engine_of(*runs)
    batches = [torch.full_like(engine.labels, 1 / 8)] * 5
    rule = replace(Adam(lr=0.01), lr=torch.tensor([0.01, 0.03]), beta1=torch.tensor([0.9, 0.5]))
    together, _ = advance(engine, rule, batches)
    for lane, (lr, beta1) in enumerate([(0.01, 0.9), (0.03, 0.5)]):
        alone = engine_of(runs[lane])
        w, _ = advance(alone, Adam(lr=lr, beta1=beta1), [batch[:1] for batch in batches])
        pairs = zip(together.leaves, w.leaves, strict=True)
        assert all(torch.allclose(a[lane], b[0], rtol=0, atol=1e-7) for a, b in pairs)


def test_a_base_of_torch_keeps_its_state_where_sam_ends():
    base = Adam(lr=0.01)
    engine, batches = ready(base)
    switched, _ = advance(engine, SAM(rho=0.2, stop=6, base=base), batches)
    w, memory = advance(engine, SAM(rho=0.2, base=base), batches[:6])
    by_hand, _ = advance(engine, base, batches[6:], w, memory.base, 6)
    fresh, _ = advance(engine, base, batches[6:], w, base.init(w), 6)
    assert all(torch.equal(a, b) for a, b in zip(switched.leaves, by_hand.leaves, strict=True))
    assert not torch.equal(switched.leaves[0], fresh.leaves[0])
    on, _ = advance(engine, SAM(rho=0.2, start=6, base=base), batches)
    w, state = advance(engine, base, batches[:6])
    late, _ = advance(engine, SAM(rho=0.2, base=base), batches[6:], w, Memory(state, None), 6)
    assert torch.equal(on.leaves[0], late.leaves[0])


@pytest.mark.parametrize("base", [Adam(lr=0.01), SignSGD(lr=0.01), Muon(lr=0.01)], ids=repr)
def test_every_base_follows_a_schedule(base):
    """Steps with the rate of each step set by hand; a radius may follow it."""
    engine, batches = ready(base, 6)
    scheduled = replace(base, lr_schedule=StepDecay(every=2, gamma=0.5))
    w, memory = engine.initial(), base.init(engine.initial())
    for t, batch in enumerate(batches):
        w, memory = replace(base, lr=0.01 * 0.5 ** (t // 2)).step(loss_on(engine, batch, t), w, memory, t)
    end, _ = advance(engine, scheduled, batches)
    assert all(torch.equal(a, b) for a, b in zip(end.leaves, w.leaves, strict=True))
    assert SAM(rho=0.2, rho_schedule=FollowLR(), base=scheduled).radius(5) == pytest.approx(0.05)


def test_torch_gives_our_sgd():
    """Two ways to one rule: our SGD, and torch's through the adapter."""
    engine, batches = ready(SGD(lr=0.1))
    ours, _ = advance(engine, SGD(lr=0.1, momentum=0.9), batches)
    theirs, _ = advance(engine, RULES["sgd"][0], batches)
    assert all(torch.allclose(a, b, rtol=0, atol=1e-13) for a, b in zip(ours.leaves, theirs.leaves, strict=True))


def test_sign_steps_by_hand():
    rule = SignSGD(lr=0.01, momentum=0.5, weight_decay=0.1)
    engine, batches = ready(rule, 6)
    w = [leaf.clone() for leaf in engine.initial().leaves]
    v = [torch.zeros_like(leaf) for leaf in w]
    for t, batch in enumerate(batches):
        g = loss_on(engine, batch, t).gradient(type(engine.initial())(tuple(w))).leaves
        v = [0.5 * a + b for a, b in zip(v, g, strict=True)]
        w = [leaf - 0.01 * (0.1 * leaf + a.sign()) for leaf, a in zip(w, v, strict=True)]
    end, _ = advance(engine, rule, batches)
    assert all(torch.allclose(a, b, rtol=0, atol=1e-14) for a, b in zip(end.leaves, w, strict=True))
    still = advance(engine, replace(rule, weight_decay=0.0), [0 * batch for batch in batches[:1]])[0]
    assert torch.equal(still.leaves[0], engine.initial().leaves[0])  # the sign of 0 is 0


@pytest.mark.parametrize(
    ("cls", "options", "reason"),
    [
        ("torch.optim.RMSpro", {}, r"cls = torch\.optim\.RMSpro: .*no attribute 'RMSpro'"),
        ("torche.optim.SGD", {}, r"cls = torche\.optim\.SGD: No module named 'torche'"),
        ("SGD", {}, "cls = SGD: expected module.Class"),
        ("torch.nn.Linear", {}, "cls = torch.nn.Linear is not an optimizer of torch"),
        ("torch.optim.LBFGS", {}, "cls = torch.optim.LBFGS evaluates the loss itself, and a rule steps"),
        ("torch.optim.SparseAdam", {}, "cls = torch.optim.SparseAdam: .*does not support dense gradients"),
        ("torch.optim.RMSprop", {"alfa": 0.9}, "options: .*unexpected keyword argument 'alfa'"),
        ("torch.optim.RMSprop", {"alpha": -1.0}, "options: .*Invalid alpha value: -1.0"),
    ],
)
def test_invalid_torch_options_are_refused_at_once(cls, options, reason):
    with pytest.raises(ValueError, match=reason):
        TorchOptim(lr=0.1, cls=cls, options=options)
