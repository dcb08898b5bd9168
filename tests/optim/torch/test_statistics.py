"""Running means of batch norm: the pass of a step that sets them."""

import copy

import pytest
import torch
from torch import nn
from torch_rules import ONE_OF_EACH, TWO_STEP, like
from training import batches, closure_of, network, same, samples, step, train, weights

from featlearn.optim import SAM as SAMRule
from featlearn.optim.torch import SAM, Refused, optimizer_class

SGD = torch.optim.SGD
STYLES = pytest.mark.parametrize("style", ["closure", "two steps"])


def normed(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).double()


def buffers(model):
    return [buffer.clone() for buffer in model.buffers()]


# closure: the batch is seen perturbed only
OF_ANOTHER = {"n_sam": "full", "n_usam": "full", "component_sam other_batch": "other"}
NEVER_AT_W = {"momentum_sam", "random_perturbation", "sampa momentum, decay"}


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_they_are_of_the_unperturbed_pass(name):
    """The second step, with the weights of every call recorded: the statistics are those of one call at w.

    They are of the first call where there is none at w. SAMPa's last call comes after the step.
    """
    model = normed()
    optimizer = like(ONE_OF_EACH[name], model.parameters(), SGD, model=model, lr=0.1, momentum=0.9)
    train(model, optimizer, 1)
    twin, at_w, calls = copy.deepcopy(model), weights(model), []

    def recorded(kind):
        def closure(model, part):
            def call():
                calls.append((kind, weights(model), part[0]))
                return closure_of(model, part)()

            return call

        return closure

    more = {kind: recorded(kind)(model, samples(9, seed=seed)) for kind, seed in (("full", 7), ("other", 8))}
    step(model, optimizer, samples(8), recorded("batch"), **more)
    unperturbed = [call for call in calls if same(call[1], at_w)]
    assert bool(unperturbed) == (name not in NEVER_AT_W)
    kind = OF_ANOTHER.get(name, "batch")
    chosen = [call for call in unperturbed if call[0] == kind] or calls[:1]
    assert len(chosen) == getattr(optimizer._rule, "n_shards", 1)  # each micro-batch in its turn
    for _, found, inputs in chosen:
        with torch.no_grad():
            for p, value in zip(twin.parameters(), found, strict=True):
                p.copy_(value)
        twin(inputs)
    assert same(buffers(model), buffers(twin))
    assert not same(buffers(model), buffers(normed()))


@pytest.mark.parametrize("name", TWO_STEP)
def test_in_two_steps_they_are_of_the_first_pass(name):
    model, plain = normed(), normed()
    train(model, like(TWO_STEP[name], model.parameters(), SGD, model=model, lr=0.1, momentum=0.9), 1, style="two steps")
    for _ in range(2):  # train calls the model once more, for the loss it returns
        plain(next(batches())[0])
    assert same(buffers(model), buffers(plain))


@STYLES
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_without_the_model_every_pass_changes_them(style, rho):
    careful, careless = normed(), normed()
    train(careful, SAM(careful.parameters(), SGD, model=careful, rho=rho, lr=0.1), 1, style=style)
    train(careless, SAM(careless.parameters(), SGD, rho=rho, lr=0.1), 1, style=style)
    once = 1 if style == "closure" else 2
    assert careful[1].num_batches_tracked == once and careless[1].num_batches_tracked == once + 1
    assert same(careful, careless)  # the parameters do not depend on it


def test_a_step_that_fails_leaves_them():
    model = normed()
    optimizer = SAM(model.parameters(), SGD, model=model, rho=0.5, lr=0.1)
    before, calls = buffers(model), []

    def closure():
        calls.append(0)
        value = closure_of(model, samples())()
        if len(calls) == 2:
            raise KeyboardInterrupt
        return value

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert same(buffers(model), before) and same(model, normed())
    optimizer.step(closure)
    assert model[1].num_batches_tracked == 1


def test_a_step_that_is_refused_leaves_them():
    """Also after a pass that precedes the refused call."""

    class Late(SAMRule):
        """It needs the full gradient at the end."""

        def perturbation(self, loss, w, memory, t):
            return loss.gradient(w) - loss.full.gradient(w), memory.own

    model = normed()
    optimizer = optimizer_class(Late)(model.parameters(), SGD, model=model, rho=0.5, lr=0.1)
    before, calls = buffers(model), []
    with pytest.raises(Refused, match="whole training set"):
        optimizer.step(lambda: calls.append(0) or closure_of(model, samples())())
    assert calls and same(buffers(model), before) and same(model, normed())


def test_a_model_without_buffers_is_fine():
    model, plain = network(), network()
    train(model, SAM(model.parameters(), SGD, model=model, rho=0.5, lr=0.1), 2)
    train(plain, SAM(plain.parameters(), SGD, rho=0.5, lr=0.1), 2)
    assert same(model, plain)
