"""The data sets of scikit-learn: whole, standardised, chosen by the seed."""

import numpy as np
import pytest

from featlearn.data import DATA
from featlearn.data.bundled import Bundled

COUNTS = {"iris": [50, 50, 50], "breast_cancer": [212, 357]}  # malignant, benign
WORDS = [word for word, cls in DATA.items() if issubclass(cls, Bundled)]
every = pytest.mark.parametrize("word", WORDS)


@pytest.mark.parametrize("word", COUNTS)
def test_by_default_the_set_is_whole_standardised_and_one_hot(word):
    data = DATA[word]()
    x, y = data.draw(0)
    assert x.shape == (data.n_samples, data.dim) and y.shape == (data.n_samples, data.n_outputs)
    assert np.allclose(x.mean(0), 0, atol=1e-12) and np.allclose(x.std(0), 1)
    assert y.sum(0).tolist() == COUNTS[word] and np.array_equal(y.sum(1), np.ones(len(y)))


@every
def test_a_seed_chooses_the_samples(word):
    first, again, other = (DATA[word](n_samples=30).draw(seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert all(np.array_equal(a[:9], b) for a, b in zip(first, DATA[word](n_samples=9).draw(0), strict=True))


@pytest.mark.parametrize(("word", "share"), [("iris", 0.8), ("breast_cancer", 0.9)])
def test_features_and_classes_are_paired(word, share):
    """Least squares on one half is far better than chance on the other."""
    x, y = DATA[word]().draw(0)
    x, half = np.column_stack([x, np.ones(len(x))]), len(x) // 2
    fit = np.linalg.lstsq(x[:half], y[:half])[0]
    assert np.mean((x[half:] @ fit).argmax(1) == y[half:].argmax(1)) > share


@every
def test_it_is_refused_without_scikit_learn(word, monkeypatch):
    monkeypatch.setattr("featlearn.data.bundled.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=rf"^{word} comes with scikit-learn, which is not installed: pip install 'fea"):
        DATA[word]()
