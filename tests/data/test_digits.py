"""Handwritten digits."""

import numpy as np

from featlearn.data.digits import Digits


def test_digits_are_standardised_and_one_hot():
    x, y = Digits(n_samples=1797).draw(0)
    assert x.shape == (1797, 64) and y.shape == (1797, 10)
    assert np.allclose(x.mean(0), 0, atol=1e-12)
    assert set(np.round(x.std(0), 9)) == {0.0, 1.0} and (x.std(0) == 0).sum() == 3  # pixels that are never touched
    assert np.array_equal(y.sum(1), np.ones(1797)) and y.sum(0).min() > 170


def test_a_seed_chooses_its_digits_without_repetition():
    first, again, other = (Digits(n_samples=300).draw(seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert len(np.unique(first, axis=0)) == 300
    assert np.array_equal(first[:20], Digits(n_samples=20).draw(0)[0])


def test_a_linear_fit_separates_the_digits():
    """Images and classes are paired correctly: least squares on one half is far better than chance on the other."""
    x, y = Digits(n_samples=1797).draw(0)
    x = np.column_stack([x, np.ones(len(x))])
    fit = np.linalg.lstsq(x[:900], y[:900])[0]
    assert np.mean((x[900:] @ fit).argmax(1) == y[900:].argmax(1)) > 0.85
