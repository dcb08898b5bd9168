import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from featlearn.data import DATA, SignalNoise
from featlearn.geometry import draw_vectors, patches_of
from featlearn.streams.lanes import LaneDraws

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
    """The training set, the vectors and the distinct patches of a run."""
    training = data.draw(LaneDraws(torch.tensor([seed])))
    vectors = draw_vectors(data, seed)
    return training, vectors, patches_of(torch.tensor(vectors)[None], training)[0].numpy()


def labels_of(data, seed=0):
    """True and observed labels."""
    training = data.draw(LaneDraws(torch.tensor([seed])))
    return training.true_labels[0].numpy(), training.labels[0].numpy()


def test_it_has_a_word_in_configs():
    assert DATA["signal_noise"] is SignalNoise


@given(DATASETS, SEEDS)
@PROPERTY
def test_every_sample_shows_its_signal_once_and_its_own_noise_elsewhere(data, seed):
    training, vectors, patches = drawn(data, seed)
    n, p, q = data.n_samples, data.n_patches, data.noises_per_sample
    shown = training.shown[0].numpy()
    assert vectors.shape == (1 + q * n, data.dim) and patches.shape == (2 + q * n, data.dim)
    assert [slot.role for slot in data.slots] == ["signal"] + ["noise"] * q
    assert sum(slot.times for slot in data.slots) == p and q * data.noise_count == p - 1
    assert np.array_equal(patches[shown[:, 0]], training.true_labels[0].numpy()[:, None] * vectors[0])
    for k in range(q):
        assert np.array_equal(patches[shown[:, 1 + k]], vectors[1 + k * n : 1 + (k + 1) * n])
        assert data.frame.owners[k * n : (k + 1) * n] == list(range(n))
    assert data.frame.times == [p - 1 if data.noise == "shared" else 1] * (q * n)
    assert len({tuple(v) for v in vectors[1:, 1:]}) == q * n or data.dim == 2


@given(DATASETS, SEEDS)
@PROPERTY
def test_labels_are_signs_and_patches_exist(data, seed):
    training, _, patches = drawn(data, seed)
    for array in (training.labels, training.true_labels):
        assert array.shape == (1, data.n_samples) and set(array.flatten().tolist()) <= {-1, 1}
    assert training.shown.min() >= 0 and training.shown.max() < len(patches)
    common = [slot.common for slot in data.slots]
    assert common == [True] + [False] * (len(common) - 1)
    assert training.shown[..., 0].max() < data.n_common <= training.shown[..., 1:].min()


@given(DATASETS, SEEDS)
@PROPERTY
def test_the_signal_has_its_norm_and_orthogonal_noise_does_not_see_it(data, seed):
    vectors = draw_vectors(data, seed)
    assert np.linalg.norm(vectors[0]) == data.strength
    if data.orthogonal_noise:
        assert not (vectors[1:] @ vectors[0]).any()
    free = draw_vectors(replace(data, orthogonal_noise=False), seed)
    assert np.array_equal(free[:, 1:], vectors[:, 1:])
    assert np.array_equal(free, vectors) == (not data.orthogonal_noise or data.strength == 0)


@given(DATASETS, SEEDS, st.floats(0.01, 50), st.floats(0, 0.49), st.floats(0.01, 10))
@PROPERTY
def test_a_draw_depends_on_its_own_parameters_only(data, seed, signal_norm, flip_prob, noise_std):
    """So runs are paired: along the axes of a phase diagram a seed has the same training set, scaled."""
    free = replace(data, orthogonal_noise=False)
    other = replace(free, signal_norm=signal_norm, flip_prob=flip_prob, noise_std=noise_std)
    assert np.array_equal(labels_of(free, seed)[0], labels_of(other, seed)[0])
    one, two = draw_vectors(free, seed)[1:], draw_vectors(other, seed)[1:]
    assert np.allclose(one / free.noise_std, two / noise_std, rtol=1e-14, atol=0)
    few, many = sorted([free, other], key=lambda data: data.flip_prob)
    sets = [set(np.flatnonzero(np.not_equal(*labels_of(data, seed)))) for data in (few, many)]
    assert sets[0] <= sets[1]  # more flips flip more of the same samples


@given(DATASETS, SEEDS)
@PROPERTY
def test_same_seed_same_draws(data, seed):
    (one, *first), (two, *second) = drawn(data, seed), drawn(data, seed)
    assert all(torch.equal(x, y) for x, y in zip(vars(one).values(), vars(two).values(), strict=True))
    assert all(np.array_equal(x, y) for x, y in zip(first, second, strict=True))
    assert not np.array_equal(draw_vectors(data, seed), draw_vectors(data, seed + 1))


def binomial_z(hits, n, probability):
    return (hits - n * probability) / math.sqrt(n * probability * (1 - probability))


@pytest.mark.parametrize("flip_prob", [0.1, 0.25, 0.49])
def test_labels_follow_their_law(flip_prob):
    n = 40_000
    true_labels, labels = labels_of(replace(SMALL, n_samples=n, flip_prob=flip_prob))
    flipped, positive = labels != true_labels, true_labels > 0
    assert abs(binomial_z(positive.sum(), n, 0.5)) < 4
    assert abs(binomial_z(flipped.sum(), n, flip_prob)) < 4
    assert abs(binomial_z(flipped[positive].sum(), positive.sum(), flip_prob)) < 4


def test_without_flips_labels_are_true():
    assert np.array_equal(*labels_of(replace(SMALL, n_samples=1000)))


def test_noise_is_gaussian_white_and_scaled():
    data = replace(SMALL, n_samples=400, dim=300, noise_std=0.7)
    noise = draw_vectors(data, 1)[1:] / 0.7
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    rows, columns = np.corrcoef(noise), np.corrcoef(noise.T)
    for correlations, length in ((rows, 300), (columns, 400)):
        z = np.abs(correlations[np.triu_indices_from(correlations, 1)]) * math.sqrt(length)
        assert z.max() < 6 and abs((z > 1.96).mean() - 0.05) < 0.01


def test_signal_to_noise_ratio_gives_the_signal():
    data = SignalNoise(snr=0.05, noise_std=2.0, dim=400)
    assert data.strength == pytest.approx(0.05 * 2.0 * 20, rel=1e-15)
    same = SignalNoise(signal_norm=2.0, noise_std=2.0, dim=400)
    assert np.array_equal(draw_vectors(data, 3), draw_vectors(same, 3))
    assert SignalNoise(snr=0.0).strength == 0


@pytest.mark.parametrize("given", [{}, {"snr": 0.1, "signal_norm": 2.0}, {"snr": 0.0, "signal_norm": 0.0}])
def test_one_of_signal_norm_and_snr_must_be_given(given):
    with pytest.raises(ValueError, match="exactly one of signal_norm and snr"):
        _ = SignalNoise(**given).strength


def test_the_population_is_either_label_with_its_signal_and_fresh_noise():
    data = replace(SMALL, n_patches=4, noise_std=0.7)
    kinds = data.population()
    assert [(kind.name, kind.probability, kind.label) for kind in kinds] == [("", 0.5, 1.0), ("", 0.5, -1.0)]
    for kind in kinds:
        signal, noise = kind.patches
        assert (signal.signals, signal.noise) == (((0, kind.label),), None)
        assert (noise.signals, noise.noise, noise.std, noise.times) == ((), 0, 0.7, 3)
    independent = replace(data, noise="independent").population()[0].patches[1:]
    assert [(patch.noise, patch.times) for patch in independent] == [(0, 1), (1, 1), (2, 1)]
