"""The declarations of every data model are consistent."""

import math

import numpy as np
import pytest
import torch

from featlearn.data import DATA, has_patches
from featlearn.data.model import Frame, Noise, Signal
from featlearn.streams.lanes import LaneDraws

OWN = {"leaky_mixture": {}}  # numbers in place of a signal strength
MODELS = {
    word: cls(n_samples=7, dim=40, **OWN.get(word, {"snr": 0.3})) for word, cls in DATA.items() if has_patches(cls)
}


@pytest.mark.parametrize("word", MODELS)
def test_a_training_set_is_of_the_frame(word):
    data = MODELS[word]
    training, frame = data.draw(LaneDraws(torch.tensor([0, 1]))), data.frame
    n_vectors = len(frame.signals) + frame.n_noises
    assert training.labels.shape == training.true_labels.shape == (2, 7)
    assert training.shown.shape == (2, 7, len(data.slots)) and training.shown.dtype == torch.int64
    assert training.vectors.shape[-2:] == training.strengths.shape[-2:] and training.vectors.max() == n_vectors - 1
    n_patches = training.vectors.shape[-2]
    assert n_patches == data.n_common + frame.n_noises and training.shown.max() < n_patches
    assert set(training.shown.flatten().tolist()) >= set(range(data.n_common, n_patches))  # every own patch is shown
    assert sum(slot.times for slot in data.slots) == data.n_patches
    assert len(frame.owners) == len(frame.times) == frame.n_noises and set(frame.owners) == set(range(7))


@pytest.mark.parametrize("word", MODELS)
def test_a_population_is_of_the_frame(word):
    data = MODELS[word]
    kinds = data.population()
    assert math.isclose(sum(kind.probability for kind in kinds), 1)
    for kind in kinds:
        assert sum(patch.times for patch in kind.patches) == data.n_patches
        assert all(number < len(data.frame.signals) for patch in kind.patches for number, _ in patch.signals)
        assert kind.label in ((1.0, -1.0) if data.n_classes == 2 else range(data.n_classes))


@pytest.mark.parametrize("word", MODELS)
def test_a_run_is_drawn_from_its_own_seed(word):
    data = MODELS[word]
    alone, beside = data.draw(LaneDraws(torch.tensor([5]))), data.draw(LaneDraws(torch.tensor([9, 5, 1])))
    for name in ("labels", "true_labels", "shown"):
        assert torch.equal(getattr(alone, name)[0], getattr(beside, name)[1])


def frame_of(gram):
    return Frame(tuple(Signal(str(i)) for i in range(len(gram))), gram, (Noise(1.0, (0, 1)),))


def test_coordinates_of_signals_have_their_inner_products():
    rng = np.random.default_rng(0)
    for size in (1, 2, 5):
        vectors = rng.normal(size=(size, size + 1))
        gram = vectors @ vectors.T
        lower = np.array(frame_of(tuple(map(tuple, gram.tolist()))).coordinates)
        assert np.allclose(lower @ lower.T, gram, rtol=1e-13) and not np.triu(lower, 1).any()


@pytest.mark.parametrize(
    "gram", [((0.0,),), ((4.0, 4.0), (4.0, 4.0)), ((0.0, 0.0), (0.0, 1.0)), ((1.0, -1.0), (-1.0, 1.0))]
)
def test_dependent_and_vanishing_signals_are_ordinary(gram):
    lower = np.array(frame_of(gram).coordinates)
    assert np.allclose(lower @ lower.T, gram, atol=1e-14)
    assert (np.diagonal(lower) > 0).sum() == np.linalg.matrix_rank(gram)


@pytest.mark.parametrize("norm", [1e-150, 0.1, 1 / 3, 7.7, 1e150])
def test_one_signal_keeps_its_norm_to_the_last_bit(norm):
    assert frame_of(((norm**2,),)).coordinates == ((norm,),)
