"""The Gram matrices of drawn vectors, and where they have a simple law."""

from dataclasses import replace

import numpy as np
import pytest

from featlearn.data import SignalNoise
from featlearn.geometry import draw_run, gram_of_vectors, law_reason
from featlearn.models.two_layer_cnn import TwoLayerCNN

DATA = SignalNoise(n_samples=5, dim=30, signal_norm=1.5, noise_std=0.8)
NETWORK = TwoLayerCNN(n_filters=2, init_std=0.3)

# by hand


def test_gram_of_vectors_by_hand():
    vectors, weights = np.array([[2.0, 0.0], [1.0, 3.0]]), np.array([[1.0, -1.0], [0.0, 5.0], [2.0, 1.0]])
    gram = gram_of_vectors(vectors, weights)
    assert gram.data.tolist() == [[4, 2], [2, 10]]
    assert gram.data_init.tolist() == [[2, -2], [0, 15], [4, 5]]
    assert gram.init_init.tolist() == [[2, -5, 1], [-5, 25, 5], [1, 5, 5]]


def test_bias_is_one_more_orthonormal_vector():
    rng = np.random.default_rng(0)
    vectors, weights, biases = rng.normal(size=(4, 6)), rng.normal(size=(3, 6)), rng.normal(size=3)
    padded = np.zeros((5, 7))
    padded[:4, :6], padded[4, 6] = vectors, 1
    expected = gram_of_vectors(padded, np.column_stack([weights, biases]))
    for name, array in vars(gram_of_vectors(vectors, weights).with_bias(biases)).items():
        assert np.allclose(array, getattr(expected, name), rtol=1e-14, atol=1e-14), name


@pytest.mark.parametrize("bias", [False, True])
def test_an_explicit_draw_is_its_vectors(bias):
    network = replace(NETWORK, bias=bias)
    draw = draw_run(DATA, network, 3, patches=True)
    assert np.array_equal(draw.vectors, DATA.draw_vectors(3))
    assert np.array_equal(draw.weights, network.draw_weights(3, 30))
    assert np.array_equal(draw.patches, DATA.patches(draw.vectors, DATA.draw_labels(3)))
    assert np.array_equal(draw.labels, DATA.draw_labels(3).labels)
    plain = gram_of_vectors(draw.vectors, draw.weights)
    expected = plain.with_bias(network.draw_biases(3, 30)) if bias else plain
    assert all(np.array_equal(a, b) for a, b in zip(vars(draw.gram).values(), vars(expected).values(), strict=True))
    assert (draw.biases is not None) == bias


def test_vectors_are_kept_only_on_request():
    draw = draw_run(DATA, NETWORK, 3)
    assert draw.vectors is draw.weights is draw.patches is None


def test_the_law_is_refused_where_it_does_not_hold():
    """It needs d - 1 >= n_noises + 2m, and a Gaussian init."""
    smallest = replace(DATA, dim=10)  # d - 1 = 9 = 5 noises + 4 filters
    assert law_reason(smallest, NETWORK) is None
    reason = law_reason(replace(smallest, dim=9), NETWORK)
    assert "dim - 1 = 8 is less than the 9" in reason
    assert "uniform" in law_reason(DATA, replace(NETWORK, init="uniform"))
    independent = replace(DATA, n_patches=6, noise="independent")  # 25 noises + 4 filters = 29 = d - 1
    assert law_reason(independent, NETWORK) is None
    assert law_reason(replace(independent, n_patches=7), NETWORK) is not None
