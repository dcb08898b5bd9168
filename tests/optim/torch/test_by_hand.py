"""Rules with more than two gradients of a mini-batch, against their equations: SAMPa, mSAM, ASAM, random draws."""

import copy
import math

import pytest
import torch
from scipy.stats import kstest
from torch import nn
from training import apart, batches, closure_of, loss_of, network, parts_of, plain_train, same, samples, train, weights

from featlearn.engines.random_direction import isotropic
from featlearn.optim.torch import ASAM, MSAM, WSAM, RandomPerturbation, SAMPa

SGD = torch.optim.SGD


def at(model, w):
    """A twin of the model with other weights."""
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for p, value in zip(twin.parameters(), w, strict=True):
            p.copy_(value)
    return twin


def gradient(model, w, batch):
    twin = at(model, w)
    return torch.autograd.grad(loss_of(twin, batch), list(twin.parameters()))


def ascent(g, rho):
    length = math.sqrt(sum(float((part * part).sum()) for part in g))
    return [rho * part / length for part in g]


def plus(w, eps):
    return [x + e for x, e in zip(w, eps, strict=True)]


# SAMPa


BASES = {
    "momentum": (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "adamw": (torch.optim.AdamW, {"lr": 0.02, "weight_decay": 0.1}),
    "rmsprop": (torch.optim.RMSprop, {"lr": 0.01}),
}


def sampa_by_hand(base_class, options, steps, lam=0.3, rho=0.2):
    """Both steps of the base are taken, the first of them on a copy of the model and of the optimizer."""
    model = network()
    base = base_class(model.parameters(), **options)

    def stepped(model, base, g):
        for p, part in zip(model.parameters(), g, strict=True):
            p.grad = part
        base.step()
        return weights(model)

    last = at_y = None
    for _, batch in zip(range(steps), batches(), strict=False):
        x = weights(model)
        last, at_y = last or batch, at_y or gradient(model, x, batch)
        perturbed = gradient(model, plus(x, ascent(at_y, rho)), last)
        following = gradient(model, stepped(*copy.deepcopy((model, base)), at_y), batch)
        stepped(model, base, [(1 - lam) * a + lam * b for a, b in zip(perturbed, following, strict=True)])
        last, at_y = batch, following
    return model


@pytest.mark.parametrize("base", BASES)
def test_sampa_looks_ahead_with_any_base(base):
    model, (base_class, options) = network(), BASES[base]
    train(model, SAMPa(model.parameters(), base_class, rho=0.2, lam=0.3, **options), 6)
    assert apart(model, sampa_by_hand(base_class, options, 6)) < 1e-12
    assert apart(model, sampa_by_hand(base_class, options, 6, rho=0.0)) > 1e-4


def test_sampa_calls_its_closure_twice_a_step_and_leaves_the_state_of_a_look_ahead_alone():
    model, calls = network(), []
    optimizer = SAMPa(model.parameters(), torch.optim.Adam, rho=0.2, lr=0.01)
    for number, batch in zip((4, 6, 8), batches(), strict=False):  # the first gradient of all, and its perturbed one
        optimizer.step(lambda batch=batch: calls.append(0) or closure_of(model, batch)())
        assert len(calls) == number
        assert {int(kept["step"]) for kept in optimizer.state.values()} == {number // 2 - 1}


def test_sampa_within_a_window():
    """Outside its window it is the base, and its last step computes nothing for the next."""
    model, plain, calls = network(), network(), []
    optimizer = SAMPa(model.parameters(), SGD, rho=0.2, start=2, stop=4, lr=0.1, momentum=0.9)
    plain_train(plain, SGD(plain.parameters(), lr=0.1, momentum=0.9), 2)
    for t, (batch, expected) in enumerate(zip(batches(), (1, 1, 4, 1, 1), strict=False)):
        assert same(model, plain) == (t == 2)
        calls.clear()
        optimizer.step(lambda batch=batch: calls.append(0) or closure_of(model, batch)())
        assert len(calls) == expected


def test_sampa_starts_anew_after_a_closure_that_fails_at_its_last_call():
    model, left = network(), [3]
    optimizer = SAMPa(model.parameters(), SGD, rho=0.2, lr=0.1)

    def closure():
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return closure_of(model, samples())()

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    twin = at(network(), weights(model))
    other = SAMPa(twin.parameters(), SGD, rho=0.2, lr=0.1)
    assert not same(model, network())  # the step itself was taken
    train(model, optimizer, 2), train(twin, other, 2)
    assert same(model, twin)


def test_sampa_moves_parameters_that_only_the_last_mini_batch_used():
    """A parameter without a gradient is unchanged, unless the rule has stored one for it."""

    def run(absent):
        p, q = (nn.Parameter(torch.tensor(x, dtype=torch.float64)) for x in ([1.0, -2.0], [0.5]))
        optimizer = SAMPa([p, q], SGD, rho=0.1, lr=0.1)
        for uses in (True, False, True, False):

            def closure(uses=uses):
                loss = (p**4).sum() + ((q**2).sum() if uses else absent(q))
                loss.backward()

            optimizer.step(closure)
        return [p.detach(), q.detach()]

    assert same(run(lambda _: 0.0), run(lambda q: 0.0 * q.sum()))


# mSAM


def test_every_micro_batch_is_perturbed_by_itself():
    model, whole = network(), next(batches())
    parts = parts_of(whole, 4)
    start = weights(model)
    value = MSAM(model.parameters(), SGD, rho=0.3, lr=0.1, n_shards=4).step([closure_of(model, part) for part in parts])
    assert value.item() == pytest.approx(loss_of(network(), whole).item(), rel=1e-12)

    def descended(taken):
        found = [
            gradient(model, plus(start, ascent(gradient(model, start, part), 0.3)), other)
            for part, other in zip(parts, taken, strict=True)
        ]
        return [w - 0.1 * sum(each) / 4 for w, *each in zip(start, *found, strict=True)]

    assert apart(model, descended(parts)) < 1e-15
    assert apart(model, descended([whole] * 4)) > 1e-5  # a trap of published code


def test_closures_need_not_return_numbers():
    model = network()
    closures = [closure_of(model, part) for part in parts_of(samples(), 2)]
    optimizer = MSAM(model.parameters(), SGD, rho=0.3, lr=0.1, n_shards=2)
    assert optimizer.step([lambda call=call: (call(), "more")[1] for call in closures]) == ["more", "more"]


# ASAM


def convolutional():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(9, 3)
        ).double()


def test_filters_are_rows_and_parameters_with_one_axis_have_scale_one():
    model, batch = convolutional(), samples()
    start = weights(model)
    g = gradient(model, start, batch)
    scale = [w.flatten(1).norm(dim=1).reshape(-1, *[1] * (w.ndim - 1)) if w.ndim > 1 else torch.ones(()) for w in start]
    length = math.sqrt(sum(float((t * part).square().sum()) for t, part in zip(scale, g, strict=True)))
    eps = [0.5 * t * t * part / length for t, part in zip(scale, g, strict=True)]
    optimizer = ASAM(model.parameters(), SGD, rho=0.5, lr=0.1)
    optimizer.step(closure_of(model, batch))
    there = gradient(model, plus(start, eps), batch)
    assert apart(model, [w - 0.1 * part for w, part in zip(start, there, strict=True)]) < 1e-15
    assert min(float(e.abs().max()) for e in eps) > 0


# random perturbations


def perturbations(model, count, **options):
    """The perturbations of some steps: where the closure is called, relative to the weights before."""
    optimizer, found = RandomPerturbation(model.parameters(), SGD, lr=0.01, **options), []
    for _ in range(count):
        start = weights(model)

        def closure(start=start):
            found.append([there - w for there, w in zip(weights(model), start, strict=True)])
            return closure_of(model, samples())()

        optimizer.step(closure)
    return found


def length(eps):
    return math.sqrt(sum(float((part * part).sum()) for part in eps))


def test_laws_of_random_perturbations():
    """On the sphere |u| = 1, in the ball |u|^D is uniform, Gaussian the mean of |u|^2 is 1; all directions equally."""
    model, n = network(), 500
    space, size = RandomPerturbation(model.parameters(), SGD, rho=0.7, lr=0.1).space, 43
    drawn = {law: [isotropic(space, law, t).leaves for t in range(n)] for law in ("sphere", "ball", "gaussian")}
    sphere, ball, gaussian = (torch.tensor([length(u) for u in found]).double() for found in drawn.values())
    assert torch.allclose(sphere, torch.ones(n).double(), rtol=1e-6)
    assert kstest((ball**size).numpy(), "uniform").pvalue > 1e-3
    assert abs((gaussian**2).mean() - 1) < 4 * (gaussian**2).std() / math.sqrt(n) and gaussian.std() > 0.05
    flat = torch.stack([torch.cat([part.flatten() for part in u]) for u in drawn["sphere"]])
    assert flat.shape[1] == size and (flat.T @ flat / n * size - torch.eye(size)).abs().max() < 5 / math.sqrt(n)


def test_draws_are_of_the_seed_and_the_step():
    a, again, b = (perturbations(network(), 2, rho=0.3, seed=seed) for seed in (4, 4, 5))
    assert all(same(x, y) for x, y in zip(a, again, strict=True))
    assert not same(a[0], a[1]) and not same(a[0], b[0])


def test_a_seed_is_a_number_from_zero_on():
    for seed in (-1, 2**63):
        with pytest.raises(ValueError, match=f"seed: expected a number from 0 to .* found {seed}"):
            perturbations(network(), 1, rho=0.3, seed=seed)
    assert not same(*perturbations(network(), 2, rho=0.3, seed=2**63 - 1))


def test_a_state_brings_its_seed():
    models = network(), network()
    first, second = (
        RandomPerturbation(m.parameters(), SGD, rho=0.3, seed=s, lr=0.1) for m, s in zip(models, (4, 5), strict=True)
    )
    second.load_state_dict(first.state_dict())
    for model, optimizer in zip(models, (first, second), strict=True):
        train(model, optimizer, 3)
    assert same(*models)


def test_frozen_parameters_are_not_drawn():
    model = network()
    model[0].requires_grad_(False)
    (eps,) = perturbations(model, 1, rho=0.3)
    assert not any(part.any() for part in eps[:2]) and length(eps) == pytest.approx(0.3, rel=1e-12)


# WSAM


@pytest.mark.parametrize("style", ["closure", "two steps"])
@pytest.mark.parametrize("decoupled", [True, False])
def test_the_sharpness_of_wsam_stays_out_of_the_momentum_or_not(style, decoupled):
    """Each group at its own learning rate, which falls; the parameters of dlrover's two forms, written out."""
    model, weight = network(), 0.8 / (1 - 0.8)
    params = list(model.parameters())
    groups = [{"params": params[:2]}, {"params": params[2:], "lr": 0.02}]
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, **({} if decoupled else {"decoupled": False})}
    optimizer = WSAM(groups, SGD, rho=0.3, gamma=0.8, **options)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    train(model, optimizer, 5, style=style, scheduler=scheduler)
    w, v = weights(network()), [torch.zeros_like(p) for p in params]
    for t, batch in zip(range(5), batches(), strict=False):
        rates = [lr * 0.5 ** (t // 2) for lr in (0.1, 0.1, 0.02, 0.02)]
        g = gradient(model, w, batch)
        s = gradient(model, plus(w, ascent(g, 0.3)), batch)
        sharpness = [weight * (a - b) for a, b in zip(s, g, strict=True)]
        inside = g if decoupled else plus(g, sharpness)
        v = [0.9 * old + part + 0.01 * x for old, part, x in zip(v, inside, w, strict=True)]
        w = [x - rate * part for x, part, rate in zip(w, v, rates, strict=True)]
        if decoupled:
            w = [x - rate * part for x, part, rate in zip(w, sharpness, rates, strict=True)]
    assert apart(model, w) < 1e-14
    assert apart(model, network()) > 1e-2
