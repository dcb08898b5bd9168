import math

import numpy as np
import pytest
import torch
from helpers import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from featlearn.data import DATA, Oscillation
from featlearn.data.model import FreshPatch
from featlearn.geometry import draw_vectors, patches_of
from featlearn.streams.lanes import LaneDraws

DATASETS = st.builds(
    Oscillation,
    n_samples=st.integers(2, 12),
    dim=st.integers(3, 30),
    weak_norm=st.floats(0.01, 10),
    strong_norm=st.floats(0.01, 10),
    strong_share=st.floats(0, 1),
)


def test_it_has_a_word_in_configs():
    assert DATA["oscillation"] is Oscillation


@given(DATASETS, st.integers(0, 2**32))
@PROPERTY
def test_every_sample_shows_the_weak_signal_and_the_strong_one_or_noise(data, seed):
    training, vectors, n = data.draw(LaneDraws(torch.tensor([seed]))), draw_vectors(data, seed), data.n_samples
    x = patches_of(torch.tensor(vectors)[None], training)[0].numpy()[training.shown[0].numpy()]
    labels, (weak, strong) = training.true_labels[0].numpy(), vectors[:2]
    assert np.array_equal(x[:, 0], labels[:, None] * weak) and np.array_equal(x[:, 2], vectors[2 + n :])
    for own, label, noise in zip(x[:, 1], labels, vectors[2 : 2 + n], strict=True):
        assert np.array_equal(own, label * strong) or np.array_equal(own, noise)
    assert np.abs(vectors[2:] @ vectors[:2].T).max() == 0 and weak @ strong == 0


def test_the_share_of_strong_samples_is_that_given():
    n = 20_000
    training = Oscillation(n_samples=n, dim=3, strong_share=0.7).draw(LaneDraws(torch.tensor([0])))
    strong = training.strengths[0, 2 : 2 + n, 0].abs()
    assert set(strong.tolist()) == {0.0, 1.0}
    assert torch.equal(strong, 1 - training.strengths[0, 2 : 2 + n, 1])
    assert abs(strong.mean().item() - 0.7) < 4 * math.sqrt(0.21 / n)


def test_the_population_is_named_by_what_it_shows():
    kinds = Oscillation(strong_share=0.6, noise_std=0.5).population()
    assert [(k.name, k.label) for k in kinds] == [(g, y) for y in (1.0, -1.0) for g in ("strong", "weak")]
    assert [k.probability for k in kinds] == pytest.approx([0.3, 0.2] * 2)
    noises = FreshPatch(noise=0, std=0.5), FreshPatch(noise=1, std=0.5)
    assert kinds[2].patches == (FreshPatch(((0, -1.0),)), FreshPatch(((1, -1.0),)), noises[0])
    assert kinds[3].patches == (FreshPatch(((0, -1.0),)), *noises)
