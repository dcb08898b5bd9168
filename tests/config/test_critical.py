"""Starts at critical points, and near them."""

import math

import pytest

from featlearn.config.critical import NEAR, starts_at_rest
from featlearn.data import Chebyshev, SignalNoise
from featlearn.data.gaussian import Gaussian
from featlearn.data.none import NoData
from featlearn.models import MODELS, TwoLayerCNN
from featlearn.models.linear_autoencoder import LinearAutoencoder
from featlearn.models.mlp import MLP

DATA = SignalNoise(n_samples=8, dim=60, signal_norm=2.0)
CASES = [
    ("quadratic", {"spectrum": (2.0, 1.0), "start": (0.0, 0.0)}, True),
    ("quadratic", {"spectrum": (2.0, 1.0), "start": (0.0, 1.0)}, False),
    ("quadratic", {"spectrum": (2.0, 0.0), "start": (0.0, 1.0)}, True),  # a valley of minima
    ("quadratic", {"init_std": 0.0}, True),
    ("quadratic", {"init_std": 0.0, "start": (1.0, 1.0, 1.0)}, False),
    ("quadratic", {"init_std": 1e-3}, False),
    ("beale", {}, False),
    ("beale", {"x": 0.0, "y": 1.0}, True),  # the saddle
    ("beale", {"x": 3.0, "y": 0.5}, True),  # the minimum
    ("valley", {"x": 0.0}, True),
    ("valley", {}, False),
    ("bump", {"x": math.pi}, True),
    ("bump", {"x": 3.14159}, True),
    ("bump", {"x": math.pi + 2 * NEAR}, False),
    ("bump", {}, False),
]


@pytest.mark.parametrize(("word", "settings", "at_rest"), CASES)
def test_critical_points_of_landscapes(word, settings, at_rest):
    assert starts_at_rest(MODELS[word](**settings), NoData(), 0) == at_rest


def test_zero_weights_are_critical_where_the_activation_is_flat():
    for activation, flat in (("relu", True), ("relu3", True), ("softplus", False)):
        assert starts_at_rest(TwoLayerCNN(activation=activation, init_std=0.0), DATA, 0) == flat
    assert not starts_at_rest(TwoLayerCNN(init_std=0.01), DATA, 0)


def test_data_and_tensors_of_a_landscape_count():
    assert starts_at_rest(LinearAutoencoder(init_std=0.0), Gaussian(n_samples=6, dim=3), 0)
    assert not starts_at_rest(MLP(width=2, n_hidden=1), Chebyshev(n_samples=5, degree=3), 0)


def test_data_that_cannot_be_drawn_are_no_matter_here(monkeypatch):
    def missing(*_):
        raise ImportError("scikit-learn")

    monkeypatch.setattr(Chebyshev, "draw", missing)
    assert not starts_at_rest(MLP(width=3, n_hidden=1), Chebyshev(n_samples=4, degree=2), 0)
