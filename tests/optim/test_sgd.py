"""SGD against torch.optim.SGD, and against the equations in d dimensions."""

import numpy as np
import pytest
import torch
from helpers import PlainNetwork, advance, drawn_batches, engine_of, explicit, make_run
from torch import nn

from featlearn.optim import SGD

SETTINGS = [
    SGD(lr=0.1),
    SGD(lr=0.1, weight_decay=0.05),
    SGD(lr=0.05, momentum=0.9),
    SGD(lr=0.05, momentum=0.9, weight_decay=0.05),
    SGD(lr=0.05, momentum=0.8, nesterov=True),
    SGD(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.05),
]
RULES = pytest.mark.parametrize("rule", SETTINGS, ids=repr)
ENGINES = pytest.mark.parametrize("engine", ["gram", "weights"])


def run_of(rule, engine="gram", batch_size=3):
    return make_run(
        rule,
        engine=engine,
        data__n_patches=3,
        data__flip_prob=0.2,
        network__bias=True,
        train__batch_size=batch_size,
    )


class Network(nn.Module):
    """The network in plain torch."""

    def __init__(self, plain):
        super().__init__()
        start = torch.tensor(plain.start)
        self.hidden = nn.Linear(60, 6, dtype=torch.float64)
        self.hidden.weight.data, self.hidden.bias.data = start[:, :-1].clone(), start[:, -1].clone()

    def forward(self, patches):
        on = torch.relu(self.hidden(patches)).sum(1)
        return on[:, :3].mean(1) - on[:, 3:].mean(1)


@RULES
@ENGINES
def test_steps_are_those_of_torch(rule, engine):
    run = run_of(rule, engine)
    plain, (batches, samples) = PlainNetwork(run), drawn_batches(run, 100)
    patches, labels = torch.tensor(plain.patches[..., :-1]), torch.tensor(plain.labels)
    network = Network(plain)
    settings = {name: value for name, value in vars(rule).items() if name != "lr_schedule"}
    optimizer = torch.optim.SGD(network.parameters(), **settings)
    for chosen in samples:
        optimizer.zero_grad()
        nn.functional.softplus(-labels[chosen] * network(patches[chosen])).mean().backward()
        optimizer.step()
    theirs = torch.cat([network.hidden.weight, network.hidden.bias[:, None]], 1).detach().numpy()
    built = engine_of(run)
    ours = explicit(advance(built, rule, batches)[0], plain)
    assert np.abs(ours - theirs).max() < 1e-12
    assert np.abs(ours - plain.start).max() > 0.1


@RULES
@ENGINES
def test_steps_follow_the_equations(rule, engine):
    run = run_of(rule, engine)
    plain, (batches, samples) = PlainNetwork(run), drawn_batches(run, 20)
    w, v = plain.start, 0.0
    for chosen in samples:
        g = plain.gradient(w, chosen) + rule.weight_decay * w
        v = rule.momentum * v + g
        w = w - rule.lr * (g + rule.momentum * v if rule.nesterov else v)
    built = engine_of(run)
    end, _ = advance(built, rule, batches)
    assert np.abs(explicit(end, plain) - w).max() < 1e-12


@ENGINES
def test_factors_of_zero_leave_the_plain_rule(engine):
    """Bit for bit, whether the zero is a float or the block's tensor."""
    run = run_of(SGD(lr=0.1), engine)
    built, (batches, _) = engine_of(run), drawn_batches(run, 20)
    plain, _ = advance(built, SGD(lr=0.1), batches)
    zero = torch.zeros(1, dtype=torch.float64)
    for factor, nesterov in ((0.0, False), (zero, False), (zero, True)):
        rule = SGD(lr=0.1, momentum=factor, weight_decay=factor, nesterov=nesterov)
        other, _ = advance(built, rule, batches)
        assert all(torch.equal(a, b) for a, b in zip(plain.leaves, other.leaves, strict=True))


def test_weight_decay_alone_shrinks_the_start():
    """With the gradient gone only alpha moves: w = (1 - lr decay)^t w0."""
    rule = SGD(lr=0.1, weight_decay=0.5)
    run = make_run(rule, data__signal_norm=0.0)
    engine = engine_of(run)
    w = engine.initial()
    for _ in range(10):
        w, _ = rule.step(Flat(), w, rule.init(w), 0)
    alpha, coef, align = w.leaves
    assert alpha.item() == pytest.approx(0.95**10, rel=1e-14) and not coef.any()
    assert torch.allclose(align, 0.95**10 * engine.problem.align0, rtol=1e-14)


def test_looking_ahead_needs_momentum():
    with pytest.raises(ValueError, match="nesterov needs a momentum"):
        SGD(lr=0.1, nesterov=True)


class Flat:
    """A loss with zero gradient."""

    def gradient(self, w):
        return 0.0 * w
