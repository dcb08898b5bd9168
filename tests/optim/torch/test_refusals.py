"""A rule that a training loop cannot serve is refused with the reason, and nothing has changed."""

import math

import numpy as np
import pytest
import torch
from torch_rules import ALLOWED, like
from training import closure_of, loss_of, network, same, samples, step, train, weights

from featlearn.optim import SAM as SAMRule
from featlearn.optim.torch import MSAM, RULES, SAM, Refused, optimizer_class


def test_invalid_options_are_refused_with_the_reason():
    params = list(network().parameters())
    with pytest.raises(ValueError, match=r"rho of SAM: expected a finite number >= 0, found -0.1"):
        SAM(params, torch.optim.SGD, rho=-0.1, lr=0.1)
    with pytest.raises(ValueError, match=r"rho of SAM: expected a finite number >= 0, found nan"):
        SAM([{"params": params, "rho": math.nan}], torch.optim.SGD, rho=0.1, lr=0.1)
    with pytest.raises(ValueError, match="start of SAM: expected an integer >= 0, found -3"):
        SAM(params, torch.optim.SGD, rho=0.1, start=-3, lr=0.1)
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'rho'"):
        SAM(params, torch.optim.SGD, lr=0.1)
    with pytest.raises(
        TypeError, match=r"no option 'rhoo'; did you mean 'rho'\? \(SAM has rho, .*; SGD has lr, momentum"
    ):
        SAM(params, torch.optim.SGD, rhoo=0.1, lr=0.1)
    with pytest.raises(TypeError, match=r"no option 'gama' \(SAM has"):
        SAM(params, torch.optim.SGD, rho=0.1, lr=0.1, gama=1)
    with pytest.raises(TypeError, match="LBFGS calls the closure itself"):
        SAM(params, torch.optim.LBFGS, rho=0.1, lr=0.1)
    with pytest.raises(ValueError, match="negate the loss"):
        SAM(params, torch.optim.SGD, rho=0.1, lr=0.1, maximize=True)
    with pytest.raises(ValueError, match="rho of Adadelta is another number than rho of SAM"):
        SAM(params, torch.optim.Adadelta, rho=0.1)
    with pytest.raises(ValueError, match=r"component of ComponentSAM: expected one of full, noise, .*, found signal"):
        RULES["ComponentSAM"](params, torch.optim.SGD, rho=0.1, component="signal", lr=0.1)
    with pytest.raises(ValueError, match=r"momentum_sam .* needs momentum > 0"):
        RULES["MomentumSAM"](params, torch.optim.Adam, rho=0.1)
    with pytest.raises(ValueError, match="start: of SAM only rho may differ between groups"):
        SAM([{"params": params, "start": 3}], torch.optim.SGD, rho=0.1, lr=0.1)
    with pytest.raises(
        ValueError, match="rho_schedule of SAM: expected one of constant, step, cosine, lr, found linear"
    ):
        SAM(params, torch.optim.SGD, rho=0.1, rho_schedule="linear", lr=0.1)
    with pytest.raises(ValueError, match=r"step has numbers of its own: give featlearn.optim.schedules.StepDecay"):
        SAM(params, torch.optim.SGD, rho=0.1, rho_schedule="step", lr=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rho": math.inf}, "rho of MSAM: expected a finite number >= 0, found inf"),
        ({"rho": torch.tensor(math.inf)}, "rho of MSAM: expected a finite number >= 0, found inf"),
        ({"rho": None}, "rho of MSAM: expected a finite number >= 0, found None"),
        ({"rho": "x"}, "rho of MSAM: expected a finite number >= 0, found 'x'"),
        ({"n_shards": 1.5}, "n_shards of MSAM: expected an integer >= 1 or None, found 1.5"),
        ({"n_shards": True}, "n_shards of MSAM: expected an integer >= 1 or None, found True"),
    ],
)
def test_a_number_that_is_none(options, message):
    with pytest.raises(ValueError, match=message):
        MSAM(network().parameters(), torch.optim.SGD, **{"rho": 0.1, "n_shards": 2, **options}, lr=0.1)


@pytest.mark.parametrize("number", [np.float64, np.float32, torch.tensor])
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_a_number_of_numpy_or_of_no_axis_is_one(number, rho):
    models = network(), network()
    for model, given in zip(models, (rho, number(rho)), strict=True):
        train(model, MSAM(model.parameters(), torch.optim.SGD, rho=given, n_shards=np.int64(2), lr=0.1), 2)
    assert same(*models)


@pytest.mark.parametrize("base", ["SGD", torch.optim.SGD([torch.zeros(1)], lr=0.1), lambda *_: None, torch.nn.Linear])
def test_a_base_that_is_no_class_of_optimizers(base):
    with pytest.raises(TypeError, match=r"the base is a class, such as torch.optim.SGD, with its options"):
        SAM(network().parameters(), base, rho=0.1, lr=0.1)


def test_a_base_with_a_base():
    with pytest.raises(TypeError, match="the base is an optimizer without a base of its own, not SAM"):
        SAM(network().parameters(), SAM, rho=0.1, lr=0.1)


@pytest.mark.parametrize("style", ["closure", "two steps"])
@pytest.mark.parametrize("rho", [-0.1, math.nan, math.inf])
def test_a_radius_that_is_spoilt_later_is_refused_at_the_next_step(style, rho):
    model = network()
    optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.1, lr=0.1)
    train(model, optimizer, 1, style=style)
    start, optimizer.param_groups[0]["rho"] = weights(model), rho
    with pytest.raises(ValueError, match=f"rho of SAM: expected a finite number >= 0, found {rho}"):
        train(model, optimizer, 1, style=style)
    assert same(model, start)
    optimizer.param_groups[0]["rho"] = 0.1
    train(model, optimizer, 1, style=style)
    assert not same(model, start)


@pytest.mark.parametrize("name", ALLOWED)
def test_a_closure_without_a_backward_pass(name):
    """A step without any gradient is refused; a closure may have none at the perturbed point."""
    model = network()
    optimizer = like(ALLOWED[name], model.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)
    train(model, optimizer, 1)
    start = weights(model)

    def forgetful(model, batch):
        return lambda: loss_of(model, batch)

    further = {more: closure_of(model, samples()) for more in ("full", "other")}
    with pytest.raises(RuntimeError, match=r"the closure left no gradient .*: call backward\(\) on the loss"):
        step(model, optimizer, samples(), forgetful, **further)
    assert same(model, start)
    train(model, optimizer, 1)
    assert not same(model, start)


def test_two_steps_without_a_backward_pass():
    model = network()
    optimizer, start = SAM(model.parameters(), torch.optim.SGD, rho=0.1, lr=0.1), weights(model)
    with pytest.raises(RuntimeError, match=r"what came before first_step\(\) left no gradient"):
        optimizer.first_step()
    loss_of(model, samples()).backward()
    optimizer.first_step()
    with pytest.raises(RuntimeError, match=r"what came after first_step\(\) left no gradient"):
        optimizer.second_step()
    assert same(model, start)
    loss_of(model, samples()).backward()
    optimizer.second_step()
    assert not same(model, start)


def test_micro_batches_are_closures():
    model = network()
    with pytest.raises(Refused, match=r"MSAM: the closures determine the size of a micro-batch: give n_shards"):
        MSAM(model.parameters(), torch.optim.SGD, rho=0.1, micro_batch_size=2, lr=0.1)
    with pytest.raises(ValueError, match="give exactly one of n_shards and micro_batch_size"):
        MSAM(model.parameters(), torch.optim.SGD, rho=0.1, lr=0.1)
    optimizer = MSAM(model.parameters(), torch.optim.SGD, rho=0.1, n_shards=3, lr=0.1)
    closure = closure_of(model, samples())
    for given, count in ((closure, 1), ([closure] * 2, 2)):
        with pytest.raises(Refused, match=f"MSAM: give step a list of 3 closures, one for each .* found {count}"):
            optimizer.step(given)
    with pytest.raises(Refused, match=r"SAM: give step a list of one or more closures, .* found 0"):
        SAM(model.parameters(), torch.optim.SGD, rho=0.1, lr=0.1).step([])
    assert same(model, network())


def test_a_rule_that_takes_the_step_itself():
    class Steps(SAMRule):
        """It would have to step in place."""

        def step(self, loss, w, memory, t):
            return w, memory

    with pytest.raises(Refused, match="Steps takes the step itself, which its base does here"):
        optimizer_class(Steps)(network().parameters(), torch.optim.SGD, rho=0.1, lr=0.1)


class Asks(SAMRule):
    """A rule that calls a method of its loss."""

    def perturbation(self, loss, w, memory, t):
        return self.wish(loss, w), memory.own


@pytest.mark.parametrize(
    ("wish", "error", "reason"),
    [
        (lambda loss, w: loss.full.gradient(w), Refused, r"the whole training set: give it in step\(closure, full="),
        (lambda loss, w: loss.other.gradient(w), Refused, r"another mini-batch: give it in step\(closure, other="),
        (lambda loss, w: loss.flipped(0.1).gradient(w), Refused, "flip them in the data loader"),
        (lambda loss, w: loss.shards(2), Refused, "'shards', which a closure over one mini-batch does not have"),
        (lambda loss, w: loss.engine.align(w), Refused, "'align', which the parameters of a module do not have"),
    ],
)
def test_a_rule_that_needs_more_than_a_closure_provides(wish, error, reason):
    cls = optimizer_class(type("Wants", (Asks,), {"wish": staticmethod(wish)}))
    model = network()
    optimizer, start = cls(model.parameters(), torch.optim.SGD, rho=0.1, lr=0.1), weights(model)
    with pytest.raises(error, match=reason):
        optimizer.step(closure_of(model, samples()))
    assert same(model, start)


def test_a_rule_of_three_gradients_needs_the_closure():
    twice = optimizer_class(
        type("Twice", (Asks,), {"wish": lambda self, loss, w: 0.1 * loss.gradient(w + loss.gradient(w))})
    )
    model = network()
    optimizer = twice(model.parameters(), torch.optim.SGD, rho=0.1, lr=0.1)
    train(model, optimizer, 2)
    with pytest.raises(Refused, match="more than two points: give step a closure"):
        train(model, optimizer, 1, style="two steps")
