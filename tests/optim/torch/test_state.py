"""A saved and loaded state continues the run to the bit."""

import copy
import io
import pickle
from dataclasses import dataclass

import pytest
import torch
from torch_rules import ALLOWED, ONE_OF_EACH, like
from training import loss_of, network, plain_train, same, samples, train

from featlearn.optim import SAM as SAMRule
from featlearn.optim.torch import SAM, USAM, optimizer_class

BASES = {
    "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": (torch.optim.Adam, {"lr": 0.01, "amsgrad": True}),
    "adamw": (torch.optim.AdamW, {"lr": 0.01}),
}
PAIRS = [  # every rule around SGD, and those with a memory of their own around the others
    *((name, "sgd") for name in ALLOWED),
    *((name, base) for name in ("f_sam", "looksam window", "sampa") for base in ("adam", "adamw")),
]


def on_disk(state):
    """The state as read from a file without trusting it."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(("name", "base"), PAIRS)
def test_a_resumed_run_is_the_uninterrupted_one(name, base):
    base_class, options = BASES[base]

    def fresh(model):
        return like(ALLOWED[name], model.parameters(), base_class, **options)

    whole, first, second = network(), network(), network(seed=5)
    train(whole, fresh(whole), 10)
    optimizer = fresh(first)
    train(first, optimizer, 5)
    state = on_disk([first.state_dict(), optimizer.state_dict()])
    train(first, optimizer, 3, start=5)  # the saved state is a copy on disk: this must not matter
    second.load_state_dict(state[0])
    resumed = fresh(second)
    resumed.load_state_dict(state[1])
    train(second, resumed, 5, start=5)
    assert same(whole, second)


def test_a_resumed_run_needs_the_whole_state():
    """Negative controls: without the base's momentum, and without the count of steps, the runs differ."""
    whole, models = network(), [network() for _ in range(3)]
    options = {"rho": 0.2, "stop": 7, "lr": 0.1, "momentum": 0.9}
    train(whole, SAM(whole.parameters(), torch.optim.SGD, **options), 10)
    ends = []
    for model, lost in zip(models, (None, "state", "rule"), strict=True):
        optimizer = SAM(model.parameters(), torch.optim.SGD, **options)
        train(model, optimizer, 5)
        state = copy.deepcopy(optimizer.state_dict())
        if lost:
            state.update({"state": {}} if lost == "state" else {"rule": {**state["rule"], "steps": 0}})
        resumed = SAM(model.parameters(), torch.optim.SGD, **options)
        resumed.load_state_dict(state)
        train(model, resumed, 5, start=5)
        ends.append(same(whole, model))
    assert ends == [True, False, False]


def test_a_scheduler_resumes_with_it():
    def fresh(model):
        optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.1, lr=0.1, momentum=0.9)
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)

    whole, cut = network(), network()
    optimizer, scheduler = fresh(whole)
    train(whole, optimizer, 8, scheduler=scheduler)
    optimizer, scheduler = fresh(cut)
    train(cut, optimizer, 3, scheduler=scheduler)
    state = on_disk([optimizer.state_dict(), scheduler.state_dict()])
    optimizer, scheduler = fresh(cut)
    scheduler.load_state_dict(state[1])
    optimizer.load_state_dict(state[0])
    train(cut, optimizer, 5, start=3, scheduler=scheduler)
    assert same(whole, cut)


def test_a_state_of_the_base_alone_is_taken_up():
    """Late switching: SGD first, then SAM with SGD's momentum, is SAM(start=5) throughout."""
    options = {"lr": 0.1, "momentum": 0.9}
    whole, switched = network(), network()
    train(whole, SAM(whole.parameters(), torch.optim.SGD, rho=0.2, start=5, **options), 10)
    plain = torch.optim.SGD(switched.parameters(), **options)
    plain_train(switched, plain, 5)
    sam = SAM(switched.parameters(), torch.optim.SGD, rho=0.2, **options)
    sam.load_state_dict(plain.state_dict())
    train(switched, sam, 5, start=5)
    assert same(whole, switched)


def test_a_state_of_another_rule_is_refused():
    params = list(network().parameters())
    state = USAM(params, torch.optim.SGD, rho=0.1, lr=0.1).state_dict()
    with pytest.raises(ValueError, match="the state is one of USAM, not of SAM"):
        SAM(params, torch.optim.SGD, rho=0.1, lr=0.1).load_state_dict(state)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_copy_goes_on_alike(name):
    model = network()
    optimizer = like(ONE_OF_EACH[name], model.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)
    train(model, optimizer, 4)
    twins = copy.deepcopy((model, optimizer)), pickle.loads(pickle.dumps((model, optimizer)))
    train(model, optimizer, 4, start=4)
    for twin, copied in twins:
        train(twin, copied, 4, start=4)
        assert same(model, twin) and copied.base.state is copied.state
        loss_of(twin, samples()).backward()


def test_a_loaded_state_reaches_the_base():
    model = network()
    optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.1, lr=0.1)
    state = optimizer.state_dict()
    state["param_groups"][0]["lr"] = 0.5
    optimizer.load_state_dict(state)
    assert optimizer.base.param_groups is optimizer.param_groups and optimizer.base.param_groups[0]["lr"] == 0.5


@dataclass(frozen=True, kw_only=True)
class Mine(SAMRule):
    """A user's rule in a module."""


class Named(optimizer_class(Mine)):
    """Its optimizer, under its own name."""


@pytest.mark.parametrize("cls", [optimizer_class(Mine), Named])
def test_the_optimizer_of_a_rule_of_ones_own_is_copied_pickled_and_saved(cls):
    model, file = network(), io.BytesIO()
    optimizer = cls(model.parameters(), torch.optim.SGD, rho=0.1, lr=0.1, momentum=0.9)
    train(model, optimizer, 3)
    torch.save((model, optimizer), file)
    file.seek(0)
    twins = [copy.deepcopy((model, optimizer)), pickle.loads(pickle.dumps((model, optimizer)))]
    twins.append(torch.load(file, weights_only=False))
    train(model, optimizer, 3, start=3)
    for twin, copied in twins:
        assert type(copied) is cls and copied.param_groups is copied.base.param_groups
        train(twin, copied, 3, start=3)
        assert same(model, twin)


def test_a_rule_has_one_optimizer():
    assert optimizer_class(Mine) is optimizer_class(Mine) and optimizer_class(SAMRule) is SAM
