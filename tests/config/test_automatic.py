"""The choices of ``auto``: where the law of the inner products holds, and which engine is cheaper."""

from dataclasses import replace

import pytest

from featlearn.config.automatic import law_reason, weights_cheaper
from featlearn.data import XOR, SignalNoise
from featlearn.models.two_layer_cnn import TwoLayerCNN

DATA = SignalNoise(n_samples=5, dim=30, signal_norm=1.5, noise_std=0.8)
NETWORK = TwoLayerCNN(n_filters=2, init_std=0.3)


def test_the_law_is_refused_where_it_does_not_hold():
    """It needs d - S >= n_noises + f, and a Gaussian init."""
    smallest = replace(DATA, dim=10)  # d - 1 = 9 = 5 noises + 4 filters
    assert law_reason(smallest, NETWORK) is None
    reason = law_reason(replace(smallest, dim=9), NETWORK)
    assert "dim - 1 = 8 is less than the 9" in reason
    assert "uniform" in law_reason(DATA, replace(NETWORK, init="uniform"))
    independent = replace(DATA, n_patches=6, noise="independent")  # 25 noises + 4 filters = 29 = d - 1
    assert law_reason(independent, NETWORK) is None
    assert law_reason(replace(independent, n_patches=7), NETWORK) is not None
    two_signals = XOR(n_samples=5, dim=11, signal_norm=1.0)
    assert law_reason(two_signals, NETWORK) is None and "dim - 2" in law_reason(replace(two_signals, dim=10), NETWORK)


def test_explicit_weights_are_cheaper_with_many_patches_in_few_dimensions():
    """20 filters, 2000 samples: 20 2002^2 / 4e9 = 20 ms against 0.3 ms + 6 20 2000 2 50 / 2e10 = 1.5 ms."""
    many, network = replace(DATA, n_samples=2000, dim=50), TwoLayerCNN(n_filters=10)
    assert weights_cheaper(many, network)
    assert not weights_cheaper(replace(many, dim=2002), network)  # no more patches than dimensions
    assert weights_cheaper(replace(many, dim=2001), network) == (300 + 6 * 20 * 4000 * 2001 / 2e4 < 20 * 2002**2 / 4e3)
    assert not weights_cheaper(replace(many, n_samples=100), network)  # 0.05 ms are less than a call of autograd


BIG = {"data.n_samples": 2000, "data.dim": 50, "record.trackers": ["loss", "test_error"]}


@pytest.mark.parametrize(
    ("settings", "engine"),
    [
        (BIG, ("weights", "vectors")),
        ({**BIG, "data": {"model": "xor", "n_samples": 2000, "dim": 50, "signal_norm": 1}}, ("weights", "vectors")),
        ({**BIG, "record.trackers": ["decomposition"]}, ("gram", "vectors")),  # not unique with explicit weights
        ({**BIG, "engine": "gram"}, ("gram", "vectors")),
        ({**BIG, "data.n_samples": 20}, ("gram", "gram")),
    ],
)
def test_auto_follows_the_size(load, settings, engine):
    run = load(set=settings).base_run()
    assert (run.engine, run.sampling) == engine
