"""The map of a strong signal's output: stable below k = 1, without drift above, lost above 1.598; against a network."""

import math

import numpy as np
import pytest
import torch
from helpers import advance, make_run, problem_of, redrawn

from featlearn.data import Oscillation
from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.optim import SGD
from featlearn.theory import LOSS_OF_FILTERS, oscillation_boundary, oscillation_conditions, oscillation_rate


def orbit(k, n_steps=4000, f=0.5):
    """f and the factors of z over the map."""
    values, factors = [], []
    for _ in range(n_steps):
        factors.append(1 - k * (f - 1))
        f *= factors[-1] ** 2
        values.append(f)
    return np.array(values), np.array(factors)


def test_f_converges_below_one_and_oscillates_above():
    assert abs(orbit(0.95)[0][-1] - 1) < 1e-6
    assert np.ptp(orbit(1.05)[0][-10:]) > 0.3


def test_no_factor_is_negative_up_to_the_loss_of_filters():
    assert orbit(LOSS_OF_FILTERS - 1e-3)[1].min() > 0
    assert orbit(LOSS_OF_FILTERS + 1e-2)[1].min() < 0
    top = lambda k: 4 * (1 + k) ** 3 / (27 * k)  # noqa: E731  # the largest f after one step
    assert top(LOSS_OF_FILTERS) == pytest.approx(1 + 1 / LOSS_OF_FILTERS, rel=1e-12)


def test_the_mean_of_1_minus_f_is_positive_where_it_oscillates_only():
    assert oscillation_rate(0.9) == pytest.approx(0, abs=1e-10)
    for k in (1.1, 1.3, 1.55):
        values, factors = orbit(k, 40_000)
        assert abs(np.log(factors).mean()) < 1e-3  # log z has no drift
        assert oscillation_rate(k) == pytest.approx((1 - values).mean(), rel=0.05) and oscillation_rate(k) > 0.01
    assert math.isnan(oscillation_rate(1.6))


def test_the_boundary_is_k_1():
    lr = float(oscillation_boundary(1.0, strong_norm=2.0, n_filters=8))
    assert 4 * lr * 2.0**2 / 8 == 1
    conditions = [bool(oscillation_conditions(k * lr, strong_norm=2.0, n_filters=8)) for k in (0.5, 1.59, 1.6)]
    assert conditions == [True, True, False]


@pytest.mark.parametrize("k", [0.8, 1.3])
def test_a_network_follows_the_map(k):
    """Steps of one sample with the strong signal, without noise: f is the map's, and u grows by its factors."""
    data = Oscillation(n_samples=2, dim=30, weak_norm=0.01, strong_norm=1.5, strong_share=1.0, noise_std=1e-9)
    lr = float(oscillation_boundary(k, strong_norm=1.5, n_filters=3))
    network = TwoLayerCNN(n_filters=3, activation="relu2", loss="square", init_std=0.1)
    run = make_run(SGD(lr=lr), data=data, network=network)
    weights = np.zeros((6, 30))
    weights[:3, 0], weights[:3, 1] = 1e-6, [0.3, 0.4, 0.5]
    labels = torch.ones(2).double()
    strengths = np.array([[1, 0], [-1, 0], [1, 0], [1, 0], [1, 0], [1, 0]], float)
    drawn = redrawn(
        run, weights=weights, labels=labels, true_labels=labels, shown=[[0, 2, 4], [0, 2, 5]], strengths=strengths
    )
    engine = CPUGramEngine(problem_of(run, drawn))
    one = torch.tensor([[1.0, 0.0]]).double()
    w, found = engine.initial(), []
    for t in range(60):
        w, _ = advance(engine, run.optimizer, [one], w, (), t)
        found.append(float(engine.outputs(w)[0, 0, 0]))
    start = 1.5**2 * (0.3**2 + 0.4**2 + 0.5**2) / 3
    values, factors = orbit(k, 60, start)
    assert np.array(found) == pytest.approx(values, abs=1e-6)
    grown = float(engine.signal_align(w)[0, 0, 0]) / (0.01 * 1e-6)
    seen = 1 + (factors - 1) * (0.01 / 1.5) ** 2
    assert grown == pytest.approx(np.prod(seen), rel=1e-6)
