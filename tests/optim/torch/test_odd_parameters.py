"""Parameters that are tied, frozen, unused or sparse."""

import pytest
import torch
from torch import nn
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


def test_hooks_of_an_optimizer_run():
    model, calls = network(), []
    optimizer = SAM(model.parameters(), SGD, rho=0.1, lr=0.1)
    optimizer.register_step_post_hook(lambda *_: calls.append(0))
    train(model, optimizer, 2)
    train(model, optimizer, 2, style="two steps")
    assert len(calls) == 4
