import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from featlearn.data import DATA, SignalNoise

SMALL = SignalNoise(n_samples=8, dim=50, signal_norm=2.0)

DATASETS = st.builds(
    SignalNoise,
    n_samples=st.integers(2, 12),
    dim=st.integers(2, 30),
    n_patches=st.integers(2, 5),
    signal_norm=st.one_of(st.just(0.0), st.floats(0.01, 100)),
    noise_std=st.floats(0.01, 10),
    flip_prob=st.floats(0, 0.49),
    noise=st.sampled_from(["shared", "independent"]),
    orthogonal_noise=st.booleans(),
)
SEEDS = st.integers(0, 2**32)


def drawn(data, seed=0):
    labels, vectors = data.draw_labels(seed), data.draw_vectors(seed)
    return labels, vectors, data.patches(vectors, labels)


def test_it_has_a_word_in_configs():
    assert DATA["signal_noise"] is SignalNoise


@given(DATASETS, SEEDS)
@PROPERTY
def test_every_sample_shows_its_signal_once_and_its_own_noise_elsewhere(data, seed):
    labels, vectors, patches = drawn(data, seed)
    n, p, d, q = data.n_samples, data.n_patches, data.dim, data.noises_per_sample
    assert vectors.shape == (1 + q * n, d) and patches.shape == (n, p, d)
    assert q * data.noise_count == p - 1
    for i in range(n):
        rest = [patches[i, k] for k in range(p) if k != labels.positions[i]]
        assert np.array_equal(patches[i, labels.positions[i]], labels.true_labels[i] * vectors[0])
        for k, patch in enumerate(rest):
            own = 1 + i if data.noise == "shared" else 1 + k * n + i
            assert np.array_equal(patch, vectors[own])
    assert len({tuple(v) for v in vectors[1:, 1:]}) == q * n or d == 2


@given(DATASETS, SEEDS)
@PROPERTY
def test_labels_are_signs_and_positions_are_patches(data, seed):
    labels = data.draw_labels(seed)
    for array in (labels.labels, labels.true_labels, labels.positions):
        assert array.shape == (data.n_samples,)
    assert set(labels.labels) | set(labels.true_labels) <= {-1, 1}
    assert labels.positions.min() >= 0 and labels.positions.max() < data.n_patches


@given(DATASETS, SEEDS)
@PROPERTY
def test_the_signal_has_its_norm_and_orthogonal_noise_does_not_see_it(data, seed):
    vectors = data.draw_vectors(seed)
    assert np.linalg.norm(vectors[0]) == data.strength
    if data.orthogonal_noise:
        assert not (vectors[1:] @ vectors[0]).any()
    free = replace(data, orthogonal_noise=False).draw_vectors(seed)
    assert np.array_equal(free[:, 1:], vectors[:, 1:])
    assert np.array_equal(free, vectors) == (not data.orthogonal_noise or data.strength == 0)


@given(DATASETS, SEEDS, st.floats(0.01, 50), st.floats(0, 0.49), st.floats(0.01, 10))
@PROPERTY
def test_a_draw_depends_on_its_own_parameters_only(data, seed, signal_norm, flip_prob, noise_std):
    """So runs pair: along a phase diagram's axes the same seed is the same training set, scaled."""
    free = replace(data, orthogonal_noise=False)
    other = replace(free, signal_norm=signal_norm, flip_prob=flip_prob, noise_std=noise_std)
    a, b = free.draw_labels(seed), other.draw_labels(seed)
    assert np.array_equal(a.true_labels, b.true_labels)
    assert np.array_equal(a.positions, b.positions)
    one, two = free.draw_vectors(seed)[1:], other.draw_vectors(seed)[1:]
    assert np.allclose(one / free.noise_std, two / noise_std, rtol=1e-14, atol=0)
    few, many = sorted([free, other], key=lambda data: data.flip_prob)
    flipped = [data.draw_labels(seed) for data in (few, many)]
    sets = [set(np.flatnonzero(x.labels != x.true_labels)) for x in flipped]
    assert sets[0] <= sets[1]  # more flips flip more of the same samples


@given(DATASETS, SEEDS)
@PROPERTY
def test_same_seed_same_draws(data, seed):
    for one, two in zip(drawn(data, seed)[1:], drawn(data, seed)[1:], strict=True):
        assert np.array_equal(one, two)
    assert not np.array_equal(data.draw_vectors(seed), data.draw_vectors(seed + 1))


def binomial_z(hits, n, probability):
    return (hits - n * probability) / math.sqrt(n * probability * (1 - probability))


@pytest.mark.parametrize("flip_prob", [0.1, 0.25, 0.49])
def test_labels_follow_their_law(flip_prob):
    n, p = 40_000, 5
    labels = replace(SMALL, n_samples=n, n_patches=p, flip_prob=flip_prob).draw_labels(0)
    flipped, positive = labels.labels != labels.true_labels, labels.true_labels > 0
    assert abs(binomial_z(positive.sum(), n, 0.5)) < 4
    assert abs(binomial_z(flipped.sum(), n, flip_prob)) < 4
    assert abs(binomial_z(flipped[positive].sum(), positive.sum(), flip_prob)) < 4
    for position in range(p):
        here = labels.positions == position
        assert abs(binomial_z(here.sum(), n, 1 / p)) < 4
        assert abs(binomial_z(positive[here].sum(), here.sum(), 0.5)) < 4


def test_without_flips_labels_are_true():
    labels = replace(SMALL, n_samples=1000).draw_labels(0)
    assert np.array_equal(labels.labels, labels.true_labels)


def test_noise_is_gaussian_white_and_scaled():
    data = replace(SMALL, n_samples=400, dim=300, noise_std=0.7)
    noise = data.draw_vectors(1)[1:] / 0.7
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    rows, columns = np.corrcoef(noise), np.corrcoef(noise.T)
    for correlations, length in ((rows, 300), (columns, 400)):
        z = np.abs(correlations[np.triu_indices_from(correlations, 1)]) * math.sqrt(length)
        assert z.max() < 6 and abs((z > 1.96).mean() - 0.05) < 0.01


def test_signal_to_noise_ratio_gives_the_signal():
    data = SignalNoise(snr=0.05, noise_std=2.0, dim=400)
    assert data.strength == pytest.approx(0.05 * 2.0 * 20, rel=1e-15)
    same = SignalNoise(signal_norm=2.0, noise_std=2.0, dim=400)
    assert np.array_equal(data.draw_vectors(3), same.draw_vectors(3))
    assert SignalNoise(snr=0.0).strength == 0


@pytest.mark.parametrize("given", [{}, {"snr": 0.1, "signal_norm": 2.0}, {"snr": 0.0, "signal_norm": 0.0}])
def test_one_of_signal_norm_and_snr_must_be_given(given):
    with pytest.raises(ValueError, match="exactly one of signal_norm and snr"):
        _ = SignalNoise(**given).strength
