"""An exported run holds all that a stranger needs to retrain it: retrain it with nothing of ours."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import RULES, make_run, with_steps

from featlearn.export import export
from featlearn.optim import MSAM, SGD
from featlearn.simulation import simulate


def retrain(arrays, *, lr, rho, momentum=0.0, scale, n_shards=1):
    """Plain torch, written from the definition of the model, of SAM and of mSAM."""
    weight = torch.tensor(arrays["init_weights"], requires_grad=True)
    bias = torch.tensor(arrays["init_biases"], requires_grad=True)
    x, y = torch.tensor(arrays["patches"]), torch.tensor(arrays["labels"], dtype=torch.float64)
    sign = torch.tensor([1.0, -1.0], dtype=torch.float64)
    velocity = [torch.zeros_like(weight), torch.zeros_like(bias)]

    def gradient(parameters, batch):
        parameters = [p.detach().requires_grad_() for p in parameters]
        pre = torch.einsum("npd,jmd->npjm", x[batch], parameters[0]) + parameters[1]
        f = scale * (torch.relu(pre).sum((1, 3)) * sign).sum(-1)
        return torch.autograd.grad(torch.log1p(torch.exp(-y[batch] * f)).mean(), parameters)

    def descent(w, batch):
        g = gradient(w, batch)
        norm = torch.sqrt(sum((part**2).sum() for part in g))
        return gradient([p + rho * part / norm for p, part in zip(w, g, strict=True)], batch) if rho else g

    w = [weight.detach(), bias.detach()]
    for row in arrays["batches"]:
        of_shards = [descent(w, shard) for shard in np.split(row[row >= 0], n_shards)]
        g = [sum(parts) / n_shards for parts in zip(*of_shards, strict=True)]
        velocity = [momentum * v + part for v, part in zip(velocity, g, strict=True)]
        w = [p - lr * v for p, v in zip(w, velocity, strict=True)]
    return w


@pytest.mark.parametrize("rule, numbers", [("sgd momentum", (0.05, 0.0, 0.9)), ("sam", (0.1, 0.1, 0.0))])
def test_a_stranger_reproduces_the_final_weights(tmp_path, rule, numbers):
    run = make_run(RULES[rule], data__n_patches=3, data__flip_prob=0.2, network__bias=True)
    export(with_steps(run, 40, batch_size=3), tmp_path / "run.npz")
    arrays = np.load(tmp_path / "run.npz")
    lr, rho, momentum = numbers
    weight, bias = retrain(arrays, lr=lr, rho=rho, momentum=momentum, scale=1 / 3)
    assert np.abs(weight.numpy() - arrays["final_weights"]).max() < 1e-12
    assert np.abs(bias.numpy() - arrays["final_biases"]).max() < 1e-12
    assert np.abs(arrays["final_weights"] - arrays["init_weights"]).max() > 1e-2


@pytest.mark.parametrize("batch_size", [12, 6], ids=["full", "half"])
def test_a_stranger_cuts_the_batches_as_msam_does(tmp_path, batch_size):
    rule = MSAM(rho=0.2, n_shards=3, base=RULES["sgd"])
    run = make_run(rule, data__n_samples=12, data__flip_prob=0.2, network__bias=True)
    arrays = export(with_steps(run, 20, batch_size=batch_size), tmp_path / "run.npz")
    for batches, agree in ((arrays["batches"], True), (np.sort(arrays["batches"]), False)):
        weight, _ = retrain({**arrays, "batches": batches}, lr=0.1, rho=0.2, scale=1 / 3, n_shards=3)
        assert (np.abs(weight.numpy() - arrays["final_weights"]).max() < 1e-12) == agree


def test_batches_are_those_of_the_steps_that_were_taken(tmp_path):
    run = make_run(RULES["sam"], data__flip_prob=0.2, network__bias=True, train__stop_at_train_loss=0.3)
    arrays = export(with_steps(run, 80, batch_size=3), tmp_path / "run.npz")
    assert 0 < len(arrays["batches"]) == arrays["steps"][-1] < 80
    weight, _ = retrain(arrays, lr=0.1, rho=0.1, scale=1 / 3)
    assert np.abs(weight.numpy() - arrays["final_weights"]).max() < 1e-12


def test_a_run_that_diverges_leaves_the_batches_until_then(tmp_path):
    run = with_steps(make_run(SGD(lr=5.0), network__activation="relu3"), 20)
    stopped = simulate(replace(run, engine="weights"))
    assert stopped.status == "diverged"
    assert len(export(run, tmp_path / "run.npz")["batches"]) == stopped.stopped_step


def test_shapes_and_names_are_those_of_the_contract(tmp_path):
    arrays = export(with_steps(make_run(), 10, batch_size=3), tmp_path / "run.npz")
    shapes = {name: value.shape for name, value in arrays.items()}
    assert shapes["patches"] == (8, 2, 60)
    assert shapes["init_weights"] == shapes["final_weights"] == (2, 3, 60)
    assert (shapes["batches"], shapes["signal_coef"], shapes["noise_coef"]) == ((10, 3), (2, 3), (2, 3, 8))
    assert {"labels", "true_labels", "signal", "noise", "steps", "train_loss", "test_error"} <= set(arrays)
    assert json.loads(str(arrays["config"]))["data.dim"] == 60


def test_signal_patches_carry_the_true_label(tmp_path):
    arrays = export(make_run(data__flip_prob=0.4), tmp_path / "run.npz")
    on_signal = arrays["patches"] @ arrays["signal"] / (arrays["signal"] @ arrays["signal"])
    assert np.array_equal(np.isclose(np.abs(on_signal), 1).any(1), np.ones(8, bool))
    carried = np.sign(np.take_along_axis(on_signal, np.abs(np.abs(on_signal) - 1).argmin(1)[:, None], 1))[:, 0]
    assert np.array_equal(carried, arrays["true_labels"])


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("run.txt", {}, "an .npz file, not '.txt'"),
        ("nowhere/run.npz", {}, "there is no folder"),
        ("run.npz", {"data__dim": 10**12}, "GiB; at most 8 GiB"),
        ("run.npz", {"data__dim": 8}, "not unique in dimension 8"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_drawn(tmp_path, name, changes, message):
    with pytest.raises(ValueError, match=message):
        export(make_run(**changes), tmp_path / name)
    assert not list(tmp_path.iterdir())
