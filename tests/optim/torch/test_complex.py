"""Complex parameters are treated as the real pairs of torch.view_as_real, as in torch.optim."""

import math

import pytest
import torch
from torch import nn
from torch_rules import ALLOWED, TWO_STEP, like

from featlearn.optim.torch import SAM, RandomPerturbation

SGD = torch.optim.SGD
HEAVY = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.02}


def numbers(*shape, seed, dtype=torch.complex128):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def parameters(pairs, dtype=torch.complex128):
    """A matrix, a vector and a number that are complex, each unchanged or as pairs of reals, and a real vector."""
    found = [numbers(3, 4, seed=1), numbers(3, seed=2), numbers(seed=3)]
    made = [torch.view_as_real(z.to(dtype)).clone() if pairs else z.to(dtype) for z in found]
    return [nn.Parameter(x) for x in (*made, numbers(4, seed=4).real.to(dtype.to_real()).clone())]


def closure_of(params, seed):
    """A loss that depends on all of them, in the real part alone too, on its own batch."""
    x, y = numbers(6, 4, seed=seed), numbers(6, 3, seed=seed + 100)

    def closure():
        *rest, real = params
        w, b, c = (p if p.is_complex() else torch.view_as_complex(p) for p in rest)
        out = (x.to(w.dtype) * real) @ w.mT + b
        loss = (c * out - y.to(w.dtype)).abs().square().mean() + 0.1 * (w.real**4).sum() + 0.1 * out.imag.tanh().sum()
        loss.backward()
        return loss.detach()

    return closure


def trained(rule, pairs, *, steps=4, style="closure", base=SGD, options=HEAVY):
    params = parameters(pairs)
    optimizer = like(rule, params, base, **options)
    n_shards = getattr(rule, "n_shards", 1)
    for t in range(steps):
        calls = [closure_of(params, 10 * t + i) for i in range(n_shards)]
        if style == "closure":
            optimizer.step(calls, full=closure_of(params, 7), other=closure_of(params, 10 * t + 5))
        else:
            optimizer.zero_grad()
            calls[0](), optimizer.first_step(), calls[0](), optimizer.second_step()
    return params


def real(tensors):
    return [torch.view_as_real(x) if x.is_complex() else x for x in (x.detach() for x in tensors)]


def apart(a, b):
    a, b = real(a), real(b)
    return max(float((x - y).abs().max()) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("name", ALLOWED)
def test_every_rule_is_that_of_the_real_view(name):
    ours, theirs = (trained(ALLOWED[name], pairs) for pairs in (False, True))
    assert apart(ours, theirs) < 1e-13
    assert apart(ours, parameters(False)) > 1e-2


@pytest.mark.parametrize("name", TWO_STEP)
def test_in_two_steps_too(name):
    ours, theirs = (trained(TWO_STEP[name], pairs, style="two steps") for pairs in (False, True))
    assert apart(ours, theirs) < 1e-13


@pytest.mark.parametrize("base", [torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop])
@pytest.mark.parametrize("name", ["sam", "f_sam", "sampa", "wsam momentum, decay"])
def test_around_other_bases_too(name, base):
    ours, theirs = (trained(ALLOWED[name], pairs, base=base, options={"lr": 0.01}) for pairs in (False, True))
    assert apart(ours, theirs) < 1e-12


def test_the_radius_by_hand():
    """|eps|^2 is the sum of |eps_i|^2 over complex and real numbers alike."""
    params = parameters(False)
    optimizer, closure = SAM(params, SGD, rho=0.5, lr=0.1), closure_of(params, 3)
    start = [p.detach().clone() for p in params]
    closure()
    length = math.sqrt(sum(float(p.grad.abs().square().sum()) for p in params))
    expected = [w + 0.5 * p.grad / length for w, p in zip(start, params, strict=True)]
    optimizer.first_step()
    assert apart(params, expected) < 1e-15


def test_random_directions_are_of_all_real_numbers():
    """Each has the same share of them, be it half of a complex one, and |eps| is rho."""
    params = parameters(False)
    optimizer, found = RandomPerturbation(params, SGD, rho=0.7, lr=0.0), []
    assert optimizer.space.n_parameters.item() == 2 * (12 + 3 + 1) + 4
    start = [p.detach().clone() for p in params]
    for t in range(400):

        def closure(t=t):
            found.append([p.detach() - w for p, w in zip(params, start, strict=True)])
            return closure_of(params, t)()

        optimizer.step(closure)
    eps = torch.stack([torch.cat([part.flatten() for part in real(each)]) for each in found])
    assert torch.allclose(eps.square().sum(1), torch.tensor(0.49, dtype=torch.float64), rtol=1e-12)
    share = eps.square().mean(0) / 0.49 * 36
    assert share.shape == (36,) and (share - 1).abs().max() < 5 * math.sqrt(2 / 400)


@pytest.mark.parametrize("lazy", ["conj", "sparse"])
def test_gradients_that_torch_keeps_in_another_form(lazy):
    """A gradient may be conjugated lazily; one of an embedding may be sparse."""
    w = nn.Parameter(numbers(3, 2, seed=1))
    other = nn.Parameter(numbers(3, 2, seed=1))
    optimizers = [SAM([p], SGD, rho=0.5, lr=0.1) for p in (w, other)]
    g = numbers(3, 2, seed=2)
    w.grad, other.grad = (g.conj(), g.conj().resolve_conj()) if lazy == "conj" else (g.to_sparse(), g.clone())
    for p, optimizer in zip((w, other), optimizers, strict=True):
        optimizer.first_step()
        (p.abs() ** 3).sum().backward()
        optimizer.second_step()
    assert torch.equal(w, other)


def test_a_state_goes_on():
    halves, whole = parameters(False), trained(ALLOWED["f_sam"], False, steps=4)
    optimizer = like(ALLOWED["f_sam"], halves, SGD, **HEAVY)
    for t in range(4):
        if t == 2:
            state = optimizer.state_dict()
            optimizer = like(ALLOWED["f_sam"], halves, SGD, **HEAVY)
            optimizer.load_state_dict(state)
        optimizer.step([closure_of(halves, 10 * t)])
    assert apart(halves, whole) == 0


def test_single_precision_and_overflow():
    params = parameters(False, torch.complex64)
    optimizer = SAM(params, SGD, rho=0.5, lr=0.1)
    optimizer.step(closure_of(params, 3))
    assert params[0].dtype == torch.complex64 and all(p.isfinite().all() for p in params)
    params[0].grad.fill_(math.inf)
    for p in params[1:]:
        p.grad.zero_()
    optimizer.first_step()
    closure_of(params, 3)()
    optimizer.restore()
    assert params[0].grad.isnan().all()
