"""What real training loops do: groups, schedules, accumulation, mixed precision, batch norm, odd parameters."""

import math
from itertools import islice

import pytest
import torch
from torch import nn
from torch_rules import ONE_OF_EACH, TWO_STEP, like
from training import apart, batches, closure_of, loss_of, network, plain_train, same, samples, train, weights

from featlearn.optim.torch import RULES, SAM

STYLES = pytest.mark.parametrize("style", ["closure", "two steps"])
SGD = torch.optim.SGD


# parameter groups


def test_groups_have_their_own_radius_rate_and_decay_under_one_norm():
    """By hand: eps of a group is its rho times its part of g over the norm of all."""
    p, q = (nn.Parameter(torch.tensor(x, dtype=torch.float64)) for x in ([1.0, -2.0], [0.5]))
    start = p.detach().clone(), q.detach().clone()
    groups = [{"params": [p], "rho": 0.3, "lr": 0.1}, {"params": [q], "weight_decay": 0.5}]
    optimizer = SAM(groups, SGD, rho=0.2, lr=0.05)

    def closure():
        loss = (p**4).sum() / 4 + (q**2).sum() * 3
        loss.backward()
        return loss

    optimizer.step(closure)
    g, h = start[0] ** 3, 6 * start[1]
    length = math.sqrt(float((g * g).sum() + (h * h).sum()))
    moved = start[0] + 0.3 * g / length, start[1] + 0.2 * h / length
    expected = start[0] - 0.1 * moved[0] ** 3, start[1] - 0.05 * (6 * moved[1] + 0.5 * start[1])
    assert apart(expected, [p.detach(), q.detach()]) < 1e-15


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_rule_knows_groups(name):
    """Two groups that agree are one; a radius of zero in one of them leaves only that one where it was."""
    models = [network() for _ in range(4)]
    for model, radii in zip(models, (None, (0.1, 0.1), (0.1, 0.4), (0.4, 0.1)), strict=True):
        params = list(model.parameters())
        groups = params if radii is None else [{"params": part} for part in (params[:2], params[2:])]
        options = {"rho": 0.1} if radii is None else {}
        for group, rho in zip(groups, radii or (), strict=False):
            group["rho"] = rho
        optimizer = like(ONE_OF_EACH[name], groups, SGD, lr=0.1, momentum=0.9)
        for group in optimizer.param_groups if options else ():
            group.update(options)
        train(model, optimizer, 12)
    assert same(models[0], models[1])
    assert not same(models[2], models[0]) and not same(models[2], models[3])


@STYLES
def test_a_group_that_is_added_later_takes_part(style):
    model = network()
    params = list(model.parameters())
    optimizer = SAM(params[:2], SGD, rho=0.2, lr=0.1, momentum=0.9)
    train(model, optimizer, 2, style=style)
    kept = weights(model)
    assert same(kept[2:], weights(network())[2:])
    optimizer.add_param_group({"params": params[2:], "lr": 0.01})
    assert [g["rho"] for g in optimizer.base.param_groups] == [0.2, 0.2]
    assert [g["lr"] for g in optimizer.base.param_groups] == [0.1, 0.01]
    train(model, optimizer, 1, start=2, style=style)
    assert not any(torch.equal(a, b) for a, b in zip(kept, weights(model), strict=True))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_the_rules_own_memory_grows_with_the_groups(name):
    model = network()
    params = list(model.parameters())
    optimizer = like(ONE_OF_EACH[name], params[:2], SGD, lr=0.1, momentum=0.9)
    train(model, optimizer, 7)
    optimizer.add_param_group({"params": params[2:]})
    before = weights(model)
    train(model, optimizer, 6, start=7)
    assert not any(torch.equal(a, b) for a, b in zip(before, weights(model), strict=True))


def test_named_parameters_are_taken():
    model = network()
    optimizer = SAM(model.named_parameters(), SGD, rho=0.1, lr=0.1)
    train(model, optimizer, 2)
    assert optimizer.state_dict()["param_groups"][0]["param_names"][0] == "0.weight"


# schedulers


@STYLES
def test_a_scheduler_reaches_the_base(style):
    """StepLR with radius zero is StepLR on the base, bit for bit."""
    ours, plain = network(), network()
    optimizer = SAM(ours.parameters(), SGD, rho=0.0, lr=0.2, momentum=0.9)
    train(ours, optimizer, 6, style=style, scheduler=torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.3))
    base = SGD(plain.parameters(), lr=0.2, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(base, 2, 0.3)
    for batch in islice(batches(), 6):
        base.zero_grad()
        loss_of(plain, batch).backward()
        base.step()
        scheduler.step()
    assert same(ours, plain) and optimizer.param_groups[0]["lr"] == base.param_groups[0]["lr"] == 0.2 * 0.3**3


@pytest.mark.parametrize(("base", "key"), [(SGD, "momentum"), (torch.optim.AdamW, "betas")])
def test_one_cycle_cycles_the_momentum_too(base, key):
    model = network()
    optimizer = SAM(model.parameters(), base, rho=0.1, lr=0.1, **({"momentum": 0.9} if base is SGD else {}))
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=10)
    rates, momenta = [], []
    for t in range(8):
        rates.append(optimizer.base.param_groups[0]["lr"])
        momenta.append(optimizer.base.param_groups[0][key])
        train(model, optimizer, 1, start=t, scheduler=scheduler)
    momenta = [m if key == "momentum" else m[0] for m in momenta]
    assert max(rates) == pytest.approx(0.2) and min(momenta) == pytest.approx(0.85)
    assert rates.index(max(rates)) == momenta.index(min(momenta)) > 0


# gradient accumulation


@STYLES
def test_micro_batches_give_one_perturbation_of_the_gradient_they_add_up_to(style):
    parts, joined, split = [samples(4, seed=s) for s in (1, 2, 3)], network(), network()
    optimizers = [SAM(model.parameters(), SGD, rho=0.3, lr=0.1, momentum=0.9) for model in (joined, split)]
    whole = tuple(torch.cat(x) for x in zip(*parts, strict=True))

    def in_three():
        for part in parts:
            (loss_of(split, part) / 3).backward()

    for _ in range(5):
        optimizers[0].step(closure_of(joined, whole))
        if style == "closure":
            optimizers[1].step(in_three)
        else:
            optimizers[1].zero_grad()
            in_three(), optimizers[1].first_step(), in_three(), optimizers[1].second_step()
    assert apart(joined, split) < 1e-14 < 1e-2 < apart(joined, network())


def test_gradients_may_be_clipped_between_the_passes():
    model, free = network(), network()
    for twin, limit in ((model, 1e-3), (free, 1e9)):
        optimizer, batch = SAM(twin.parameters(), SGD, rho=0.1, lr=1.0), samples()
        loss_of(twin, batch).backward()
        optimizer.first_step()
        loss_of(twin, batch).backward()
        nn.utils.clip_grad_norm_(twin.parameters(), limit)
        optimizer.second_step()
    steps = [[a - b for a, b in zip(weights(x), weights(network()), strict=True)] for x in (model, free)]
    lengths = [math.sqrt(sum(float((part * part).sum()) for part in step)) for step in steps]
    assert lengths[0] == pytest.approx(1e-3, rel=1e-3) and lengths[1] > 0.05


# mixed precision


def scaled_step(model, optimizer, scaler, batch, *, spoil=()):
    """A step as the module's docstring has it; the gradients of the passes in ``spoil`` become inf."""
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


@pytest.mark.parametrize("spoil", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("name", TWO_STEP)
def test_an_inf_in_either_pass_skips_the_step_and_restores_the_weights(name, spoil):
    """And what follows is as if the step had not been tried."""
    models = network(torch.float32), network(torch.float32)
    optimizers = [like(TWO_STEP[name], model.parameters(), SGD, lr=0.1, momentum=0.9) for model in models]
    scalers = [torch.amp.GradScaler("cpu", init_scale=2.0**10) for _ in models]
    for t, batch in enumerate(islice(batches(torch.float32), 8)):
        for model, optimizer, scaler in zip(models, optimizers, scalers, strict=True):
            if t in (2, 5) and model is models[0]:
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
    """tanh(inf) = 1: the gradient at such a point would look like any other."""
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


# batch norm


def normed(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).double()


@STYLES
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_running_statistics_follow_the_first_pass_only(style, rho):
    model, plain, careless = normed(), normed(), normed()
    train(model, SAM(model.parameters(), SGD, model=model, rho=rho, lr=0.1), 1, style=style)
    train(careless, SAM(careless.parameters(), SGD, rho=rho, lr=0.1), 1, style=style)
    plain(next(batches())[0])
    twice = 1 if style == "closure" else 2  # train calls the model once more, for the loss it returns
    for _ in range(twice - 1):
        plain(next(batches())[0])
    assert same(list(model.buffers()), list(plain.buffers()))
    assert model[1].num_batches_tracked == twice and careless[1].num_batches_tracked == twice + 1
    assert same(model, careless)  # the parameters do not depend on it


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_running_statistics_are_updated_once_a_step(name):
    """Also by rules that never look at the unperturbed weights; the closure over the whole set does not count."""
    model = normed()
    train(model, like(ONE_OF_EACH[name], model.parameters(), SGD, model=model, lr=0.1, momentum=0.9), 6)
    assert model[1].num_batches_tracked == 6


# odd parameters


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
