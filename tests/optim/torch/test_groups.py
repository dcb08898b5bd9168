"""Groups that are extended, reduced, replaced, or given options that a rule cannot have."""

import pytest
import torch
from torch import nn
from torch_rules import ONE_OF_EACH, TWO_STEP, like
from training import apart, batches, closure_of, loss_of, network, same, samples, train, weights

from featlearn.optim.torch import FSAM, SAM, MomentumSAM

SGD = torch.optim.SGD
HEAVY = {"lr": 0.1, "momentum": 0.9}
STYLES = pytest.mark.parametrize("style", ["closure", "two steps"])


def assigned(optimizer, groups):
    optimizer.param_groups = groups


def assigned_to_the_base(optimizer, groups):
    optimizer.base.param_groups = groups


def cleared_and_added(optimizer, groups):
    groups = list(groups)
    optimizer.param_groups.clear()
    for group in groups:
        optimizer.add_param_group(group)


def cleared_and_added_to_the_base(optimizer, groups):
    groups = list(groups)
    optimizer.base.param_groups.clear()
    for group in groups:
        optimizer.base.add_param_group(group)


WAYS = (assigned, assigned_to_the_base, cleared_and_added, cleared_and_added_to_the_base)


def bare(optimizer):
    """The groups as for any torch optimizer."""
    return [{"params": group["params"], **HEAVY} for group in optimizer.param_groups]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_groups_made_anew_go_on_as_they_were(name, way):
    models = network(), network()
    optimizers = [like(ONE_OF_EACH[name], model.parameters(), SGD, **HEAVY) for model in models]
    for t in range(0, 6, 2):
        for model, optimizer in zip(models, optimizers, strict=True):
            train(model, optimizer, 2, start=t)
        way(optimizers[1], bare(optimizers[1]) if t else optimizers[1].param_groups)
    assert same(*models) and optimizers[1].param_groups is optimizers[1].base.param_groups


@pytest.mark.parametrize("way", WAYS)
def test_a_memory_follows_its_parameters(way):
    """Split in two groups the other way round: the moving average of each parameter is still its own."""
    models = network(), network()
    optimizers = [FSAM(model.parameters(), SGD, rho=0.3, **HEAVY) for model in models]
    for model, optimizer in zip(models, optimizers, strict=True):
        train(model, optimizer, 3)
    params = list(models[1].parameters())
    way(optimizers[1], [{"params": part, **HEAVY} for part in (params[2:], params[:2])])
    for model, optimizer in zip(models, optimizers, strict=True):
        train(model, optimizer, 3, start=3)
    assert apart(*models) < 1e-14 < 1e-2 < apart(models[0], network())


@pytest.mark.parametrize("way", WAYS)
def test_a_parameter_that_has_left_stays_and_one_that_comes_is_new(way):
    model = network()
    params = list(model.parameters())
    optimizer = FSAM(params[:2], SGD, rho=0.3, **HEAVY)
    train(model, optimizer, 3)
    way(optimizer, [{"params": params[1:], **HEAVY}])
    before = weights(model)
    train(model, optimizer, 3, start=3)
    assert [torch.equal(a, b) for a, b in zip(before, weights(model), strict=True)] == [True, False, False, False]


@STYLES
@pytest.mark.parametrize("name", TWO_STEP)
def test_a_group_may_be_added_to_the_base(name, style):
    """It has the radius of the rule, as one that is added to the optimizer itself."""
    models = network(), network()
    for model, of in zip(models, (lambda x: x, lambda x: x.base), strict=True):
        params = list(model.parameters())
        optimizer = like(TWO_STEP[name], params[:2], SGD, **HEAVY)
        train(model, optimizer, 6, style=style)
        of(optimizer).add_param_group({"params": params[2:], "lr": 0.02})
        train(model, optimizer, 3, start=6, style=style)
        assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.02]
    assert same(*models)


def test_a_state_assigned_anew_is_the_bases():
    """Without momentum from before, as after a restart."""
    models = network(), network()
    optimizers = [SAM(model.parameters(), SGD, rho=0.2, **HEAVY) for model in models]
    for model, optimizer in zip(models, optimizers, strict=True):
        train(model, optimizer, 3)
    optimizers[0].state = type(optimizers[0].state)(dict)
    fresh = SAM(models[1].parameters(), SGD, rho=0.2, **HEAVY)
    for model, optimizer in zip(models, (optimizers[0], fresh), strict=True):
        train(model, optimizer, 3, start=3)
    assert same(*models)


def test_a_group_is_not_added_within_a_step():
    model = network()
    params = list(model.parameters())
    optimizer = SAM(params[:2], SGD, rho=0.2, lr=0.1)
    closure_of(model, samples())(), optimizer.first_step()
    with pytest.raises(RuntimeError, match=r"add_param_group\(\) within a step"):
        optimizer.add_param_group({"params": params[2:]})
    assert len(optimizer.param_groups) == 1


# what a group may not ask for


def moved_by(optimizer, model, style):
    start = weights(model)
    with pytest.raises(ValueError, match="negate the loss"):
        train(model, optimizer, 1, style=style)
    return not same(model, start)


@STYLES
def test_maximize_is_refused_wherever_it_is_given(style):
    model = network()
    params = list(model.parameters())
    for groups in (
        [{"params": params, "maximize": True}],
        [{"params": params[:2]}, {"params": params[2:], "maximize": 1}],
    ):
        with pytest.raises(ValueError, match="negate the loss"):
            SAM(groups, SGD, rho=0.1, lr=0.1)
    optimizer = SAM(params[:2], SGD, rho=0.1, lr=0.1)
    with pytest.raises(ValueError, match="negate the loss"):
        optimizer.add_param_group({"params": params[2:], "maximize": True})
    assert len(optimizer.param_groups) == 1
    optimizer.param_groups[0]["maximize"] = True
    assert not moved_by(optimizer, model, style)
    optimizer = SAM(params, SGD, rho=0.1, lr=0.1)
    optimizer.load_state_dict(SGD(params, lr=0.1, maximize=True).state_dict())
    assert not moved_by(optimizer, model, style)


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate:UserWarning")
def test_a_parameter_given_twice_is_refused():
    """Torch only warns; the radius would be wrong."""
    p = nn.Parameter(torch.ones(3))
    with pytest.raises(ValueError, match="a parameter is given twice: it would count twice in norms"):
        SAM([p, p], SGD, rho=0.1, lr=0.1)
    optimizer = SAM([p], SGD, rho=0.1, lr=0.1)
    optimizer.param_groups[0]["params"].append(p)
    with pytest.raises(ValueError, match="given twice"):
        optimizer.step(lambda: p.sum().backward())


# momentum


@STYLES
def test_momentum_may_be_given_in_groups_only(style):
    """By hand: -rho v / |v| over the existing buffers; a group without momentum is not perturbed."""
    model = network()
    params = list(model.parameters())
    optimizer = MomentumSAM([{"params": params[:2], "momentum": 0.9}, {"params": params[2:]}], SGD, rho=0.3, lr=0.1)
    train(model, optimizer, 4, style=style)
    w, v = weights(network()), [torch.zeros_like(p) for p in params]
    for _, batch in zip(range(4), batches(), strict=False):
        length = torch.stack([part.square().sum() for part in v]).sum().sqrt()
        twin = network()
        with torch.no_grad():
            for p, x, part in zip(twin.parameters(), w, v, strict=True):
                p.copy_(x - 0.3 * part / length if length else x)
        g = torch.autograd.grad(loss_of(twin, batch), list(twin.parameters()))
        v = [0.9 * old + new if i < 2 else 0 * old for i, (old, new) in enumerate(zip(v, g, strict=True))]
        w = [x - 0.1 * (part if i < 2 else new) for i, (x, part, new) in enumerate(zip(w, v, g, strict=True))]
    assert apart(model, w) < 1e-14 < 1e-2 < apart(model, network())


def test_momentum_that_no_group_has_is_missed():
    with pytest.raises(ValueError, match="needs momentum > 0"):
        MomentumSAM([{"params": list(network().parameters()), "momentum": 0.0}], SGD, rho=0.3, lr=0.1, momentum=0.9)
