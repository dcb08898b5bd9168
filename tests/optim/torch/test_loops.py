"""Features of real training loops: groups, schedules, accumulation."""

import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, StepLR
from torch_rules import ONE_OF_EACH, like
from training import apart, batches, closure_of, loss_of, network, parts_of, plain_train, same, samples, train, weights

from featlearn.optim.schedules import FollowLR, StepDecay
from featlearn.optim.torch import GSAM, SAM

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
    """Two groups that agree are one; a radius of zero in one of them leaves only that one unperturbed."""
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
        train(model, optimizer, 7)
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
    train(ours, optimizer, 6, style=style, scheduler=StepLR(optimizer, 2, 0.3))
    base = SGD(plain.parameters(), lr=0.2, momentum=0.9)
    plain_train(plain, base, 6, scheduler=StepLR(base, 2, 0.3))
    assert same(ours, plain) and optimizer.param_groups[0]["lr"] == base.param_groups[0]["lr"] == 0.2 * 0.3**3


SCHEDULERS = {
    "step": lambda optimizer: StepLR(optimizer, 2, 0.3),
    "cosine": lambda optimizer: CosineAnnealingLR(optimizer, 6),
}


def halves(model, **other):
    """Two groups, of which the second has other numbers."""
    params = list(model.parameters())
    return [{"params": params[:2]}, {"params": params[2:], **other}]


def radii_by_hand(rule, scheduler, style, **other):
    """Six steps of a rule with a constant radius, set before each step to rho lr / (the first lr), group by group."""
    model = network()
    options = {
        "rho_schedule": "constant",
        "rho": 0.4,
        "lr": 0.2,
        "momentum": 0.9,
        **({"alpha": 0.3} if rule is GSAM else {}),
    }
    optimizer = rule(halves(model, **other), SGD, **options)
    firsts = [(group["rho"], group["lr"]) for group in optimizer.param_groups]
    scheduler = scheduler(optimizer)
    for t in range(6):
        for group, (rho, lr) in zip(optimizer.param_groups, firsts, strict=True):
            group["rho"] = rho * (group["lr"] / lr)
        train(model, optimizer, 1, start=t, style=style, scheduler=scheduler)
    return model, optimizer


@STYLES
@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("rule", [SAM, GSAM])
def test_the_radius_follows_a_scheduler_of_torch(rule, name, style):
    """Each group's own, by rho lr / rho_lr; the default of GSAM."""
    other = {"rho": 0.1, "lr": 0.05}
    by_hand, last = radii_by_hand(rule, SCHEDULERS[name], style, **other)
    model, still = network(), network()
    options = {"rho": 0.4, "lr": 0.2, "momentum": 0.9}
    own = {"alpha": 0.3} if rule is GSAM else {"rho_schedule": "lr"}
    optimizer = rule(halves(model, **other), SGD, **options, **own)
    train(model, optimizer, 6, style=style, scheduler=SCHEDULERS[name](optimizer))
    assert same(model, by_hand) and optimizer.param_groups[1]["lr"] == last.param_groups[1]["lr"] < 0.02
    fixed = rule(halves(still, **other), SGD, **options, **{**own, "rho_schedule": "constant"})
    train(still, fixed, 6, style=style, scheduler=SCHEDULERS[name](fixed))
    assert apart(still, model) > 1e-3


def test_each_group_has_its_own_place_on_the_line_that_its_radius_follows():
    """rho (final + (1 - final) (x - low) / (1 - low)), never below 0, at the factor x of each group's rate."""
    low, final = 0.2, 0.1
    models = network(), network()
    line = FollowLR(lr_final=low, final=final)
    follows = SAM(halves(models[0], lr=0.05), SGD, rho=0.4, rho_schedule=line, lr=0.2)
    by_hand = SAM(halves(models[1], lr=0.05), SGD, rho=0.4, lr=0.2)
    for t in range(3):
        for i, x in enumerate((0.5**t, 0.1**t)):
            radius = 0.4 * max(0.0, final + (1 - final) * (x - low) / (1 - low))
            rate = (0.2, 0.05)[i] * x
            follows.param_groups[i]["lr"] = rate
            by_hand.param_groups[i].update(lr=rate, rho=radius)
        train(models[0], follows, 1, start=t)
        train(models[1], by_hand, 1, start=t)
    assert apart(*models) < 1e-14
    assert by_hand.param_groups[1]["rho"] == 0 < by_hand.param_groups[0]["rho"]


def test_a_radius_that_follows_resumes_and_may_be_given_its_own_rate():
    """The rate at which the radius is rho is the initial one, not that of the saved state."""
    whole, cut, given = network(), network(), network()
    fresh = [SAM(model.parameters(), SGD, rho=0.4, rho_schedule="lr", lr=0.2) for model in (whole, cut)]
    schedulers = [StepLR(optimizer, 2, 0.3) for optimizer in fresh]
    train(whole, fresh[0], 6, scheduler=schedulers[0])
    train(cut, fresh[1], 3, scheduler=schedulers[1])
    resumed = SAM(cut.parameters(), SGD, rho=0.4, rho_schedule="lr", lr=7.0)
    scheduler = StepLR(resumed, 2, 0.3)
    resumed.load_state_dict(fresh[1].state_dict()), scheduler.load_state_dict(schedulers[1].state_dict())
    train(cut, resumed, 3, start=3, scheduler=scheduler)
    assert same(whole, cut)
    optimizer = SAM([{"params": given.parameters(), "rho_lr": 0.1}], SGD, rho=0.2, rho_schedule="lr", lr=0.2)
    train(given, optimizer, 6, scheduler=StepLR(optimizer, 2, 0.3))
    assert same(given, whole)
    with pytest.raises(ValueError, match="the radius follows lr, which must be > 0 at first: found 0"):
        SAM(network().parameters(), SGD, rho=0.4, rho_schedule="lr", lr=0.0)


def test_a_radius_has_a_schedule_of_its_own():
    """Step t of a decaying radius is that of a radius set by hand."""
    models = network(), network()
    decays = SAM(models[0].parameters(), SGD, rho=0.4, rho_schedule=StepDecay(every=2, gamma=0.5), lr=0.1)
    by_hand = SAM(models[1].parameters(), SGD, rho=0.4, lr=0.1)
    for t in range(6):
        by_hand.param_groups[0]["rho"] = 0.4 * 0.5 ** (t // 2)
        train(models[1], by_hand, 1, start=t)
    train(models[0], decays, 6)
    assert same(*models) and apart(models[0], network()) > 1e-2


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


def test_micro_batches_in_a_list_are_the_batch():
    """For a rule that does not perturb each separately: the gradient is their mean, bit for bit over two of them."""
    joined, listed = network(), network()
    optimizers = [SAM(model.parameters(), SGD, rho=0.3, lr=0.1, momentum=0.9) for model in (joined, listed)]
    for _, batch in zip(range(4), batches(), strict=False):
        parts = parts_of(batch, 2)
        value = optimizers[1].step([closure_of(listed, part) for part in parts])

        def both(parts=parts):
            losses = [loss_of(joined, part) / 2 for part in parts]
            for loss in losses:
                loss.backward()
            return sum(losses)

        assert optimizers[0].step(both).item() == value.item()
    assert same(joined, listed)


LEFT = pytest.raises(RuntimeError, match=r"finds gradients that it would throw away: .* first_step\(\)")


def test_gradients_that_wait_for_a_closure_are_not_thrown_away():
    """Micro-batches before step(closure), as a trainer accumulates them: the closure alone would train."""
    model = network()
    optimizer = SAM(model.parameters(), SGD, rho=0.1, **{"lr": 0.1, "momentum": 0.9})
    for _ in range(2):  # with gradients of this optimizer's own about, too
        start = weights(model)
        loss_of(model, samples()).backward()
        with LEFT:
            optimizer.step(closure_of(model, samples()))
        assert same(model, start)
        optimizer.zero_grad(set_to_none=False)
        optimizer.step(closure_of(model, samples()))
        assert not same(model, start)
    loss_of(model, samples()).backward()  # upon what the step has left
    with LEFT:
        optimizer.step(closure_of(model, samples()))


def test_gradients_that_have_served_are_in_no_ones_way():
    """Those of a step, of a plain optimizer before, of a closure that failed, and of parameters that come later."""
    model = network()
    params = list(model.parameters())
    plain_train(model, SGD(params, lr=0.1), 1)
    optimizer = SAM(params[:2], SGD, rho=0.1, lr=0.1)
    train(model, optimizer, 2)
    optimizer.add_param_group({"params": params[2:]})

    def fails():
        closure_of(model, samples())()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(fails)
    train(model, optimizer, 1, style="two steps")
    train(model, optimizer, 1)
    plain = SGD([{"params": params[:2]}, {"params": params[2:]}], lr=0.1)
    plain_train(model, plain, 1)
    optimizer.load_state_dict(plain.state_dict())
    train(model, optimizer, 1)


def test_two_steps_with_the_words_of_other_packages():
    """first_step(zero_grad=True) and second_step(zero_grad=True); without it, who calls them clears the gradients."""
    ours, theirs, by_hand = network(), network(), network()
    optimizers = [SAM(model.parameters(), SGD, rho=0.3, lr=0.1, momentum=0.9) for model in (ours, theirs, by_hand)]
    train(ours, optimizers[0], 4, style="two steps")
    for _, batch in zip(range(4), batches(), strict=False):
        loss_of(theirs, batch).backward()
        optimizers[1].first_step(zero_grad=True)
        loss_of(theirs, batch).backward()
        optimizers[1].second_step(zero_grad=True)
        assert all(p.grad is None for p in theirs.parameters())
        loss_of(by_hand, batch).backward()
        optimizers[2].first_step(zero_grad=False)
        assert all(p.grad is not None for p in by_hand.parameters())
        optimizers[2].zero_grad()
        loss_of(by_hand, batch).backward()
        optimizers[2].second_step(zero_grad=False)
        optimizers[2].zero_grad()
    assert same(ours, theirs) and same(ours, by_hand)


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
