"""What a training loop cannot give a rule is refused with the reason, and nothing has moved."""

import math

import pytest
import torch
from training import closure_of, network, same, samples, train, weights

from featlearn.optim import SAM as SAMRule
from featlearn.optim import SGD
from featlearn.optim.torch import RULES, SAM, Refused, optimizer_class


def test_what_cannot_be_is_refused_with_the_reason():
    params = list(network().parameters())
    with pytest.raises(ValueError, match=r"rho of SAM: expected a number >= 0, found -0.1"):
        SAM(params, torch.optim.SGD, rho=-0.1, lr=0.1)
    with pytest.raises(ValueError, match=r"rho of SAM: expected a number >= 0, found nan"):
        SAM([{"params": params, "rho": math.nan}], torch.optim.SGD, rho=0.1, lr=0.1)
    with pytest.raises(ValueError, match="start of SAM: expected a number >= 0, found -3"):
        SAM(params, torch.optim.SGD, rho=0.1, start=-3, lr=0.1)
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'rho'"):
        SAM(params, torch.optim.SGD, lr=0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'gama'"):
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
    with pytest.raises(ValueError, match="without a base of its own"):
        SAM(params, torch.optim.SGD, rho=0.1, lr=0.1).rule_class(rho=0.1, base=SAMRule(rho=0.1, base=SGD(lr=1.0)))


class Asks(SAMRule):
    """A rule that wants something of its loss."""

    def perturbation(self, loss, w, memory, t):
        return self.wish(loss, w), memory.own


@pytest.mark.parametrize(
    ("wish", "error", "reason"),
    [
        (lambda loss, w: loss.full.gradient(w), Refused, r"the whole training set: give it in step\(closure, full="),
        (lambda loss, w: loss.other.gradient(w), Refused, r"another mini-batch: give it in step\(closure, other="),
        (lambda loss, w: loss.flipped(0.1).gradient(w), Refused, "flip them in the data loader"),
        (lambda loss, w: loss.shards(2), AttributeError, "'shards', which a closure over one mini-batch does not have"),
    ],
)
def test_a_rule_that_wants_more_than_a_closure_has(wish, error, reason):
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
