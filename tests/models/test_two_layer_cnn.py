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


@pytest.mark.parametrize(
    ("activation", "loss", "expected"),
    [("relu", "logistic", False), ("gelu", "logistic", True), ("gelu", "hinge", False), ("tanh", "softmax", True)],
)
def test_it_is_smooth_where_activation_and_loss_are(activation, loss, expected):
    assert TwoLayerCNN(activation=activation, loss=loss).smooth is expected


def test_the_literatures_default_scale():
    assert TwoLayerCNN(n_filters=8).scale(4) == 1 / 8
    assert not TwoLayerCNN().bias


def test_positive_filters_come_first():
    assert NETWORK.head(DATA).tolist() == [[1.0]] * 5 + [[-1.0]] * 5
    assert replace(NETWORK, loss="softmax").head(DATA).tolist() == [[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 5


class Classes:
    """The part of data that a network uses."""

    def __init__(self, n_classes=2, dim=100):
        self.n_classes, self.dim = n_classes, dim


DATA = Classes()


def test_the_sizes_of_a_network():
    binary, classes = NETWORK, replace(NETWORK, loss="softmax", bias=True, second_layer="trained")
    assert (binary.n_outputs(DATA), binary.n_neurons(DATA), binary.n_parameters(DATA)) == (1, 10, 10 * 100)
    three = Classes(3)
    assert (classes.n_outputs(three), classes.n_neurons(three)) == (3, 15)
    assert classes.n_parameters(three) == 15 * (100 + 1 + 3)
    assert binary.refusal(DATA) is classes.refusal(three) is None
    assert "logistic is a loss of two classes, and the data have 3: use softmax" in binary.refusal(three)


def test_targets_of_the_softmax_are_classes():
    labels = torch.tensor([1.0, -1.0, 1.0])
    assert replace(NETWORK, loss="softmax").targets(labels, DATA).tolist() == [0, 1, 0]
    assert NETWORK.targets(labels, DATA) is labels
    classes = torch.tensor([2.0, 0.0])
    assert replace(NETWORK, loss="softmax").targets(classes, Classes(3)) is classes


def test_default_init_is_torchs():
    """nn.Linear without arguments draws weights and biases uniformly within 1/sqrt(dim)."""
    network = TwoLayerCNN(n_filters=200, init="uniform")
    torch.manual_seed(0)
    layer = torch.nn.Linear(100, 400)
    ours = [network.draw_weights(0, DATA).ravel(), network.draw_biases(0, DATA)]
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
    weights = network.draw_weights(2, Classes(dim=dim))
    biases = np.concatenate([network.draw_biases(seed, Classes(dim=dim)) for seed in range(10)])
    assert weights.shape == (200, dim)
    assert stats.kstest(weights.ravel(), law.cdf).pvalue > 1e-3
    assert stats.kstest(biases, law.cdf).pvalue > 1e-3
    wrong = stats.norm(0, 1.06 * size) if init == "gaussian" else stats.norm(0, size)
    assert stats.kstest(weights.ravel(), wrong.cdf).pvalue < 1e-6


@given(st.integers(0, 2**32), st.floats(1e-3, 10), st.sampled_from(["gaussian", "uniform"]))
@PROPERTY
def test_init_is_scaled_not_redrawn(seed, std, init):
    unit, six = replace(NETWORK, init=init, init_std=1.0), Classes(dim=6)
    scaled = replace(NETWORK, init=init, init_std=std, bias=True, activation="softplus")
    assert np.allclose(scaled.draw_weights(seed, six), std * unit.draw_weights(seed, six), rtol=1e-14, atol=0)
    assert np.allclose(scaled.draw_biases(seed, six), std * unit.draw_biases(seed, six), rtol=1e-14, atol=0)


def test_weights_and_biases_are_different_draws():
    one = Classes(dim=1)
    weights, biases = NETWORK.draw_weights(0, one)[:, 0], NETWORK.draw_biases(0, one)
    assert not set(weights) & set(biases)
    assert not np.array_equal(weights, NETWORK.draw_weights(1, one)[:, 0])


def test_no_init_at_all():
    assert not replace(NETWORK, init_std=0.0).draw_weights(0, DATA).any()
