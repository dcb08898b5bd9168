"""GradScaler, autocast, and gradients that overflow."""

import math
from itertools import islice

import pytest
import torch
from torch import nn
from torch_rules import TWO_STEP, like
from training import apart, batches, loss_of, network, plain_train, same, train, weights

from featlearn.optim.torch import RULES, SAM

STYLES = pytest.mark.parametrize("style", ["closure", "two steps"])
SGD = torch.optim.SGD


def scaled_step(model, optimizer, scaler, batch, *, spoil=()):
    """A step as in the module's docstring; the gradients of the passes in ``spoil`` become inf."""
    optimizer.zero_grad()
    for number, after in enumerate((optimizer.first_step, optimizer.restore)):
        scaler.scale(loss_of(model, batch)).backward()
        if number in spoil:
            next(model.parameters()).grad[0, 0] = math.inf
        if number == 0:
            scaler.unscale_(optimizer.base)
        after()
    scaler.step(optimizer)
    scaler.update()


@pytest.mark.parametrize("name", TWO_STEP)
def test_a_grad_scaler_changes_nothing(name):
    """Its scale is a power of two, so that scaling and unscaling are exact."""
    scaled, plain = network(torch.float32), network(torch.float32)
    optimizers = [like(TWO_STEP[name], model.parameters(), SGD, lr=0.1, momentum=0.9) for model in (scaled, plain)]
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)
    train(plain, optimizers[1], 7, style="two steps", dtype=torch.float32)
    for batch in islice(batches(torch.float32), 7):
        scaled_step(scaled, optimizers[0], scaler, batch)
    assert same(scaled, plain)
    assert scaler.get_scale() == 2.0**12  # grown once in three steps, not in three passes


@pytest.mark.parametrize("spoil", [(0,), (1,)])
@pytest.mark.parametrize("name", TWO_STEP)
def test_an_inf_in_either_pass_skips_the_step_and_restores_the_weights(name, spoil):
    """Later steps are as if the step had not been tried."""
    models = network(torch.float32), network(torch.float32)
    optimizers = [like(TWO_STEP[name], model.parameters(), SGD, lr=0.1, momentum=0.9) for model in models]
    scalers = [torch.amp.GradScaler("cpu", init_scale=2.0**10) for _ in models]
    for t, batch in enumerate(islice(batches(torch.float32), 6)):
        for model, optimizer, scaler in zip(models, optimizers, scalers, strict=True):
            if t in (2, 4) and model is models[0]:
                before, scale = weights(model), scaler.get_scale()
                scaled_step(model, optimizer, scaler, batch, spoil=spoil)
                assert same(model, before) and scaler.get_scale() == scale / 2
            scaled_step(model, optimizer, scaler, batch)
    assert same(*models) and all(p.isfinite().all() for p in models[0].parameters())


def test_autocast_sees_the_perturbed_weights():
    """Also where the step itself runs under autocast, which keeps the weights it has cast."""
    inside, outside = network(torch.float32), network(torch.float32)
    optimizers = [SAM(model.parameters(), SGD, rho=0.5, lr=0.1) for model in (inside, outside)]
    for inputs, labels in islice(batches(torch.float32), 3):

        def loss(model, inputs=inputs, labels=labels):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                value = nn.functional.cross_entropy(model(inputs), labels)
            value.backward()
            return value

        with torch.autocast("cpu", dtype=torch.bfloat16):
            optimizers[0].step(lambda loss=loss: loss(inside))
        optimizers[1].step(lambda loss=loss: loss(outside))
    assert same(inside, outside)
    plain = network(torch.float32)
    plain_train(plain, SGD(plain.parameters(), lr=0.1), 3, torch.float32)
    assert apart(plain, inside) > 1e-3


@STYLES
def test_an_overflow_that_a_unit_hides_is_seen(style):
    """tanh(inf) = 1: the gradient at such a point would be finite."""
    w = nn.Parameter(torch.tensor([1.0, 1e25]))
    optimizer = RULES["USAM"]([w], SGD, rho=1e20, lr=0.1)

    def closure():
        loss = torch.tanh(w[1] * 1e25) + w[0] * torch.tensor(1e30) * 2
        loss.backward()
        return loss

    if style == "closure":
        optimizer.step(closure)
    else:
        closure(), optimizer.first_step(), closure(), optimizer.second_step()
    assert w.isnan().all()
