"""Parameters that are tied, frozen, unused or sparse."""

import pytest
import torch
from torch import nn
from torch_rules import ONE_OF_EACH, TWO_STEP, like
from training import apart, batches, network, same, train, weights

from featlearn.optim.torch import SAM

STYLES = pytest.mark.parametrize("style", ["closure", "two steps"])
SGD = torch.optim.SGD


@STYLES
def test_tied_weights_move_once(style):
    def tied():
        model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 4, bias=False)).double()
        model[2].weight = model[0].weight
        with torch.no_grad():
            model[0].weight.copy_(torch.arange(16.0).reshape(4, 4).sin())
        return model

    model = tied()
    optimizer = SAM(model.parameters(), SGD, rho=0.2, lr=0.1)
    train(model, optimizer, 1, style=style)
    w = tied()[0].weight
    batch = next(batches())

    def gradient(at):
        at = at.detach().requires_grad_()
        loss = nn.functional.cross_entropy(torch.tanh(batch[0] @ at.T) @ at.T, batch[1])
        return torch.autograd.grad(loss, at)[0]

    g = gradient(w)
    assert apart([w - 0.1 * gradient(w + 0.2 * g / g.norm())], model) < 1e-15
    assert model[2].weight is model[0].weight


@STYLES
def test_frozen_and_unused_parameters_stay(style):
    """No gradient, no step: neither momentum nor weight decay moves them, as in torch; and no part in the norm."""
    model, alone = network(), network()
    model[0].requires_grad_(False)
    unused = nn.Parameter(torch.ones(3, dtype=torch.float64))
    options = {"rho": 0.3, "lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    train(model, SAM([*model.parameters(), unused], SGD, **options), 3, style=style)
    alone[0].requires_grad_(False)
    train(alone, SAM(alone[2].parameters(), SGD, **options), 3, style=style)
    assert same(model, alone) and same([unused.detach()], [torch.ones(3, dtype=torch.float64)])
    assert unused.grad is None


def test_an_unfrozen_parameter_takes_part():
    model = network()
    model[0].requires_grad_(False)
    optimizer = SAM(model.parameters(), SGD, rho=0.3, lr=0.1)
    train(model, optimizer, 2)
    assert torch.equal(model[0].weight, network()[0].weight)
    model[0].requires_grad_(True)
    train(model, optimizer, 1, start=2)
    assert not torch.equal(model[0].weight, network()[0].weight)


@STYLES
def test_sparse_gradients_are_dense_ones(style):
    def run(sparse):
        table = nn.Embedding(6, 3, sparse=sparse, dtype=torch.float64)
        with torch.no_grad():
            table.weight.copy_(torch.arange(18.0).reshape(6, 3).cos())
        optimizer = SAM(table.parameters(), SGD, rho=0.2, lr=0.1, momentum=0.9)

        def closure():
            loss = table(torch.tensor([0, 2, 2, 5])).square().sum()
            loss.backward()
            return loss

        for _ in range(3):
            if style == "closure":
                optimizer.step(closure)
            else:
                optimizer.zero_grad()
                closure(), optimizer.first_step(), closure(), optimizer.second_step()
        return weights(table)

    assert same(run(True), run(False))


EITHER_WAY = [*((name, "closure") for name in ONE_OF_EACH), *((name, "two steps") for name in TWO_STEP)]


@pytest.mark.parametrize(("name", "style"), EITHER_WAY)
def test_every_precision_has_its_part(name, style):
    """Numbers of 16, 32 and 64 bits together, as if all had 64, up to their rounding."""

    def run(dtypes):
        params = [
            nn.Parameter(torch.linspace(0.5, 1.5, n).to(dtype)) for n, dtype in zip((4, 3, 2), dtypes, strict=True)
        ]
        optimizer = like(ONE_OF_EACH[name], params, SGD, lr=0.01, momentum=0.5)

        def closure():
            loss = sum((p.double() ** 3).sum() for p in params) + sum(p.double().sum() for p in params).square()
            loss.backward()
            return loss.detach()

        for _ in range(3):
            if style == "closure":
                optimizer.step([closure] * getattr(optimizer._rule, "n_shards", 1), full=closure, other=closure)
            else:
                optimizer.zero_grad()
                closure(), optimizer.first_step(), closure(), optimizer.second_step()
        assert [p.dtype for p in params] == dtypes
        return [p.detach().double() for p in params]

    low, high = run([torch.bfloat16, torch.float32, torch.float64]), run([torch.float64] * 3)
    assert 0 < apart(low, high) < 0.02 < 0.2 < apart(high, [torch.linspace(0.5, 1.5, n).double() for n in (4, 3, 2)])


def test_numbers_without_a_gradient_stay_to_the_bit():
    """Integers and 8-bit floats of a frozen layer, also those that float32 cannot represent."""
    kept = [
        torch.tensor([2**40 + 1, -3]),
        torch.tensor([True, False]),
        torch.tensor([0.5, 2.0]).to(torch.float8_e4m3fn),
    ]
    frozen = [nn.Parameter(x.clone(), requires_grad=False) for x in kept]
    p = nn.Parameter(torch.ones(3))
    train_one = SAM([*frozen, p], SGD, rho=0.3, lr=0.1)
    for _ in range(2):
        train_one.step(lambda: p.square().sum().backward())
    assert same([x.detach().float() for x in frozen], [x.float() for x in kept]) and frozen[0][0] == 2**40 + 1
    assert not torch.equal(p, torch.ones(3))


def test_hooks_of_an_optimizer_run():
    model, calls = network(), []
    optimizer = SAM(model.parameters(), SGD, rho=0.1, lr=0.1)
    optimizer.register_step_post_hook(lambda *_: calls.append(0))
    train(model, optimizer, 2)
    train(model, optimizer, 2, style="two steps")
    assert len(calls) == 4
