"""Parameters on two devices: norms are over all of them. Without a GPU on the mock device (see mock_device.py)."""

from contextlib import nullcontext

import pytest
import torch
from mock_device import mock_device
from torch import nn
from torch_rules import ALLOWED, TWO_STEP, like

from featlearn.optim.torch import SAM, Refused

REAL = torch.cuda.is_available()
pytestmark = pytest.mark.cuda
SGD = torch.optim.SGD
DRAWN = ("random_perturbation",)  # by each device for itself


@pytest.fixture(autouse=True)
def device():
    """A GPU, or the mock device."""
    with nullcontext() if REAL else mock_device():
        yield


def parameters(device):
    """Two here and two on a device; a loss whose gradients of both depend on both."""
    found = [torch.arange(6.0).reshape(2, 3).sin(), torch.arange(2.0).cos(), torch.arange(6.0).reshape(3, 2).cos()]
    moved = [x.double().to(place) for x, place in zip(found, ("cpu", device, device), strict=True)]
    return [x.requires_grad_() for x in moved]


def closure_of(params, seed):
    x = torch.arange(8.0, dtype=torch.float64).reshape(4, 2) + seed

    def closure():
        w, b, v = params
        hidden = torch.tanh((x @ w).to(v.device) @ v + b)
        (hidden - 0.3).square().mean().backward()

    return closure


def trained(rule, device, style="closure"):
    params = parameters(device)
    optimizer = like(rule, params, SGD, lr=0.1, momentum=0.9, weight_decay=0.01)
    for t in range(4):
        optimizer.zero_grad()
        calls = [closure_of(params, 0.1 * t + 0.05 * i) for i in range(getattr(rule, "n_shards", 1))]
        if style == "closure":
            optimizer.step(calls, full=closure_of(params, 0.5), other=closure_of(params, 0.7))
        else:
            calls[0](), optimizer.first_step(), calls[0](), optimizer.second_step()
    assert [p.device.type for p in params] == ["cpu", device, device]
    return [p.detach().cpu() for p in params]


def apart(a, b):
    return max((x - y).abs().max().item() for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("name", [name for name in ALLOWED if name not in DRAWN])
def test_on_two_devices_as_on_one(name):
    split = trained(ALLOWED[name], "cuda")
    assert apart(split, trained(ALLOWED[name], "cpu")) < 1e-12
    assert apart(split, [p.detach() for p in parameters("cpu")]) > 1e-2


@pytest.mark.parametrize("name", [name for name in TWO_STEP if name not in DRAWN])
def test_in_two_steps_too(name):
    assert apart(*(trained(TWO_STEP[name], device, "two steps") for device in ("cuda", "cpu"))) < 1e-12


def test_a_parameter_without_numbers_is_refused():
    """As of a model that is made on the meta device, and filled later, at the latest before the step."""
    here, there = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3, device="meta"))
    optimizer = SAM([here, there], SGD, rho=0.1, lr=0.1)
    here.grad, there.grad = torch.ones(3), torch.ones(3, device="meta")
    with pytest.raises(Refused, match="a parameter is on the meta device, which holds no numbers"):
        optimizer.first_step()
    assert torch.equal(here.detach(), torch.ones(3))
