"""The mixture's boundaries, and the error of a linear classifier against explicit samples."""

import numpy as np
import pytest

from featlearn.theory.mixtures import benign_share, enough_dimensions, harmful_share, linear_error


def test_shares_of_the_theorems():
    assert benign_share(2.0, n_flipped=np.array([4, 10])) == pytest.approx([0.5, 0.2])
    assert harmful_share(2.0, dim=10**12) == pytest.approx(2e-12)
    assert enough_dimensions(dim=100, n_samples=100) and not enough_dimensions(dim=199, n_samples=100, c=2)


@pytest.mark.parametrize("gamma", [0.0, 0.05, 0.5])
def test_error_of_a_linear_classifier(gamma):
    rng, dim, count = np.random.default_rng(0), 20, 400_000
    w = rng.standard_normal(dim)
    noise = rng.standard_normal((count, dim)) / np.sqrt(dim)
    noise[:, 0] = 0
    x = np.sqrt(1 - gamma) * noise
    x[:, 0] = np.sqrt(gamma)
    found = np.mean(x @ w < 0)
    expected = linear_error(gamma=gamma, dim=dim, along=w[0], norm=np.linalg.norm(w))
    assert abs(found - expected) < 4 * np.sqrt(0.25 / count)


def test_error_without_noise():
    errors = [linear_error(gamma=1.0, dim=9, along=along, norm=2.0) for along in (1.0, -1.0, 0.0)]
    assert errors == [0.0, 1.0, 0.5]
