import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from featlearn.models.two_layer_cnn import TwoLayerCNN

NETWORK = TwoLayerCNN(n_filters=5, init_std=0.02)


@pytest.mark.parametrize(
    ("filters", "patches", "expected"),
    [("mean", "sum", 1 / 5), ("sum", "sum", 1), ("mean", "mean", 1 / 15), ("sum", "mean", 1 / 3)],
)
def test_scale_of_an_activation(filters, patches, expected):
    scale = replace(NETWORK, filters=filters, patches=patches).scale(3)
    assert scale == pytest.approx(expected, rel=1e-15)


def test_the_literatures_default_scale():
    assert TwoLayerCNN(n_filters=8).scale(4) == 1 / 8
    assert not TwoLayerCNN().bias


def test_positive_filters_come_first():
    assert NETWORK.signs.tolist() == [1.0] * 5 + [-1.0] * 5


def test_default_init_is_torchs():
    """nn.Linear without arguments draws weights and biases uniformly within 1/sqrt(dim)."""
    network = TwoLayerCNN(n_filters=200, init="uniform")
    torch.manual_seed(0)
    layer = torch.nn.Linear(100, 400)
    ours = [network.draw_weights(0, 100).ravel(), network.draw_biases(0, 100)]
    for mine, theirs in zip(ours, (layer.weight, layer.bias), strict=True):
        assert np.abs(mine).max() <= 0.1
        assert stats.ks_2samp(mine, theirs.detach().numpy().ravel()).pvalue > 1e-3
    assert network.std(100) == pytest.approx(0.1 / math.sqrt(3), rel=1e-15)


@pytest.mark.parametrize("init", ["gaussian", "uniform"])
@pytest.mark.parametrize("std", [0.3, None])
def test_init_follows_its_law(init, std):
    network, dim = TwoLayerCNN(n_filters=100, init=init, init_std=std), 400
    size = std or 1 / math.sqrt(3 * dim)
    law = stats.norm(0, size) if init == "gaussian" else stats.uniform(-size * 3**0.5, 2 * size * 3**0.5)
    weights = network.draw_weights(2, dim)
    biases = np.concatenate([network.draw_biases(seed, dim) for seed in range(10)])
    assert weights.shape == (200, dim)
    assert stats.kstest(weights.ravel(), law.cdf).pvalue > 1e-3
    assert stats.kstest(biases, law.cdf).pvalue > 1e-3
    wrong = stats.norm(0, 1.06 * size) if init == "gaussian" else stats.norm(0, size)
    assert stats.kstest(weights.ravel(), wrong.cdf).pvalue < 1e-6


@given(st.integers(0, 2**32), st.floats(1e-3, 10), st.sampled_from(["gaussian", "uniform"]))
@PROPERTY
def test_init_is_scaled_not_redrawn(seed, std, init):
    unit = replace(NETWORK, init=init, init_std=1.0)
    scaled = replace(NETWORK, init=init, init_std=std, bias=True, activation="softplus")
    assert np.allclose(scaled.draw_weights(seed, 6), std * unit.draw_weights(seed, 6), rtol=1e-14, atol=0)
    assert np.allclose(scaled.draw_biases(seed, 6), std * unit.draw_biases(seed, 6), rtol=1e-14, atol=0)


def test_weights_and_biases_are_different_draws():
    weights, biases = NETWORK.draw_weights(0, 1)[:, 0], NETWORK.draw_biases(0, 1)
    assert not set(weights) & set(biases)
    assert not np.array_equal(weights, NETWORK.draw_weights(1, 1)[:, 0])


def test_no_init_at_all():
    assert not replace(NETWORK, init_std=0.0).draw_weights(0, 7).any()
