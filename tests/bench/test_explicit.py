"""The baseline of the benchmarks trains the same networks, so that the comparison is valid."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from featlearn.bench import explicit
from featlearn.bench.networks import network
from featlearn.geometry import draw_run
from featlearn.simulation import simulate
from featlearn.trackers import Loss


def same_draws(run):
    draw = draw_run(run.data, run.network, run.seed, keep=True)
    points = explicit.Points(draw.patches[0][draw.training.shown[0]], draw.training.labels[0])
    return explicit.CNN(draw.weights[0]), points


@pytest.mark.parametrize("rule", ["sgd", "sam"])
@pytest.mark.parametrize("dim", [50, 500])
def test_it_trains_as_the_gram_engine_does(rule, dim):
    run = network(rule, dim=dim, n_samples=8, n_filters=3, n_steps=60)
    ours = simulate(replace(run, sampling="vectors", record=replace(run.record, trackers=(Loss(),))))
    model, points = same_draws(run)
    start = explicit.loss(model, points).item()
    explicit.train(model, run, points, None)
    assert explicit.loss(model, points).item() == pytest.approx(ours.values["train_loss"][-1], abs=1e-10)
    assert ours.values["train_loss"][-1] < 0.99 * start


def test_sam_is_not_sgd():
    """Negative control: the agreement detects other networks."""
    ends = []
    for rule in ("sgd", "sam"):
        run = network(rule, dim=50, n_samples=8, n_filters=3, n_steps=60)
        model, points = same_draws(run)
        explicit.train(model, run, points, None)
        ends.append(explicit.loss(model, points).item())
    assert abs(ends[0] - ends[1]) > 1e-6


def test_it_draws_from_the_data_model_and_tests_as_often_as_the_engine():
    run = network(dim=400, n_steps=20)
    points = explicit.draw(run, 2000, "cpu")
    signal, noise = points.x[:, 0], points.x[:, 1]
    assert torch.equal(signal[:, 0], points.y * run.data.strength) and not signal[:, 1:].any()
    assert float(noise.var()) == pytest.approx(run.data.noise_std**2, rel=0.01)
    assert explicit.draw_model(run, "cpu").weight.shape == (20, 400)
    errors = explicit.simulate(run)
    assert len(errors) == len(simulate(run).steps) == 10
    assert np.all((np.array(errors) >= 0) & (np.array(errors) <= 1))


def test_both_agree_in_law():
    """Mean test error after training, over seeds: explicit draws with a test set, and the engine's integral."""
    run = network(dim=300, n_samples=8, n_filters=3, n_steps=30, n_tests=1)
    runs = [replace(run, seed=seed) for seed in range(60)]
    theirs = np.array([explicit.simulate(run)[-1] for run in runs])
    ours = np.array([simulate(run).values["test_error"][-1] for run in runs[:40]])
    se = np.hypot(theirs.std() / 60**0.5, ours.std() / 40**0.5)
    assert abs(theirs.mean() - ours.mean()) < 3 * se
    assert theirs.mean() < 0.45
