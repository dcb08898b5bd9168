"""The mixture with signal and noise in one patch, and the stop at a training error that its paper uses."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import make_run, view_of

import featlearn as fl
from featlearn.data import DATA
from featlearn.data.leaky_mixture import LeakyMixture
from featlearn.geometry import draw_vectors, patches_of
from featlearn.models.quadratic import Quadratic
from featlearn.optim import SAM, SGD
from featlearn.runs import Train
from featlearn.simulation import build_engine, simulate, simulate_block
from featlearn.streams.lanes import LaneDraws
from featlearn.theory.mixtures import linear_error
from featlearn.trackers import TestError

MIXTURE = LeakyMixture(n_samples=8, dim=60, gamma=0.1, flip_prob=0.2)
NETWORK = {"network__activation": "leaky_relu", "network__loss": "hinge", "network__filters": "sum"}


def test_it_has_a_word_in_configs():
    assert DATA["leaky_mixture"] is LeakyMixture


def test_a_patch_is_signal_and_noise_of_the_published_shares():
    data = replace(MIXTURE, n_samples=500)
    training, vectors = data.draw(LaneDraws(torch.tensor([3]))), draw_vectors(data, 3)
    patches = patches_of(torch.tensor(vectors)[None], training)[0].numpy()
    labels = training.true_labels[0].numpy()
    assert np.allclose(patches[:, 0], math.sqrt(0.1) * labels, rtol=1e-14)
    assert np.array_equal(training.shown[0, :, 0], np.arange(500))
    squares = (patches[:, 1:] ** 2).sum(1)
    assert abs(squares.mean() - 0.9 * 59 / 60) < 5 * 0.9 * math.sqrt(2 / 60 / 500)
    flips = (training.labels != training.true_labels).double().mean().item()
    assert abs(flips - 0.2) < 4 * 0.4 / math.sqrt(500)


@pytest.mark.parametrize("loss", ["hinge", "logistic"])
def test_both_engines_train_alike(loss):
    """With d close to n, where samples are far from orthogonal."""
    data = replace(MIXTURE, dim=11)
    run = make_run(SAM(rho=0.1, base=SGD(lr=0.3)), data=data, **{**NETWORK, "network__loss": loss})
    ends = [simulate(replace(run, engine=engine)).values for engine in ("gram", "weights")]
    for name in ("train_loss", "grad_norm", "signal_coef_mean", "noise_coef_pos_mean"):
        assert np.allclose(ends[0][name], ends[1][name], rtol=1e-9, atol=1e-12), name
    assert ends[0]["train_loss"][-1] < 0.8 * ends[0]["train_loss"][0]


def test_error_of_a_network_that_is_linear():
    """With the identity the output is <w, x> for w the difference of the filters' sums: the error has a closed form."""
    run = make_run(SGD(lr=0.3), data=MIXTURE, network__activation="identity", engine="weights")
    view = view_of(run, steps=20)
    w = (view.problem.head[:, 0, None] * view.w.leaves[0][0]).sum(0)
    expected = linear_error(gamma=0.1, dim=60, along=float(w[0]), norm=float(w.norm()))
    found = TestError(n_points=4096)(view)
    assert abs(float(found["test_error_true"]) - expected) < 5e-3 and 0.01 < expected < 0.49
    mixed = 0.8 * found["test_error_true"] + 0.2 * (1 - found["test_error_true"])
    assert torch.allclose(found["test_error"], mixed, rtol=1e-12)


def test_without_signal_the_error_is_one_half():
    """Negative control."""
    view = view_of(make_run(data=replace(MIXTURE, gamma=0.0), **NETWORK), steps=20)
    assert TestError()(view)["test_error_true"].item() == pytest.approx(0.5, abs=1e-12)


def test_y_to_minus_y_and_v_to_minus_v_is_a_symmetry():
    """The population's kinds are each other's mirror images, of total probability 1."""
    plus, minus = MIXTURE.population()
    assert plus.probability + minus.probability == 1
    assert plus.patches[0].signals[0][1] == -minus.patches[0].signals[0][1] == math.sqrt(0.1)
    assert plus.patches[0].std == pytest.approx(math.sqrt(0.9 / 60), rel=1e-14)


def test_numbers_of_other_runs_and_dimensions_do_not_matter():
    datas = [replace(MIXTURE, dim=dim, gamma=gamma) for dim, gamma in ((60, 0.1), (10**9, 0.3), (10**6, 0.0))]
    runs = [make_run(sampling="gram", data=data, **NETWORK) for data in datas]
    for run, beside in zip(runs, simulate_block(runs), strict=True):
        alone = simulate(run).values
        assert all(np.array_equal(alone[name], beside.values[name]) for name in alone)
        assert all(np.isfinite(column).all() for column in alone.values())


def test_the_law_s_patches_have_norm_one():
    run = make_run(data=replace(MIXTURE, dim=10**12), sampling="gram")
    gram = build_engine([run], "cpu").problem.gram[0]
    assert torch.allclose(gram.diagonal(), torch.ones(8).double(), atol=1e-5)
    labels = gram[0].sign()
    assert torch.allclose(gram, 0.1 * labels[:, None] * labels + 0.9 * torch.eye(8).double(), atol=1e-5)


# the stop at a training error


def stopping(**train):
    return make_run(
        SGD(lr=0.02), data=MIXTURE, **NETWORK, train=Train(n_steps=400, batch_size=8, **train), network__init_std=0.01
    )


def test_a_run_stops_at_the_first_step_without_a_mistake():
    """Its loss is still positive there, so that a stop by loss is another event."""
    trajectory = simulate(stopping(stop_at_train_error=0.0))
    assert trajectory.status == "fitted" and 0 < trajectory.stopped_step < 400
    assert trajectory.message == f"reached stop_at_train_error after {trajectory.stopped_step} steps"
    assert trajectory.values["train_error"][-1] == 0 < trajectory.values["train_loss"][-1]
    before = replace(stopping(), train=Train(n_steps=trajectory.stopped_step - 1, batch_size=8))
    assert simulate(before).values["train_error"][-1] > 0


def test_both_engines_stop_alike_and_a_share_is_reached_earlier():
    run = stopping(stop_at_train_error=0.0)
    steps = [simulate(replace(run, engine=engine)).stopped_step for engine in ("gram", "weights")]
    earlier = simulate(stopping(stop_at_train_error=0.3)).stopped_step
    assert steps[0] == steps[1] > earlier
    both = simulate(stopping(stop_at_train_error=0.0, stop_at_train_loss=1e-9))
    assert both.stopped_step == steps[0] and "stop_at_train_loss or stop_at_train_error" in both.message


def test_a_landscape_has_no_training_error_to_stop_at(tmp_path):
    network, train = Quadratic(spectrum=(1.0,)), Train(n_steps=2, batch_size=1, stop_at_train_error=0.0)
    with pytest.raises(ValueError, match=r"train\.stop_at_train_error: only a network on patches"):
        make_run(data=DATA["none"](), network=network, train=train, engine="weights")
    config = {"name": "x", "data": "none", "network": {"model": "quadratic", "spectrum": [1.0]}}
    rest = {"optimizer": {"name": "sgd", "lr": 0.1}, "train": {"n_steps": 2, "stop_at_train_error": 0}}
    with pytest.raises(fl.ConfigError, match=r"train\.stop_at_train_error: only a network on patches"):
        fl.load_config({**config, **rest, "record": {"trackers": ["loss"]}})
