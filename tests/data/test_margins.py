import math

import numpy as np
import pytest
import torch
from helpers import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from featlearn.data import DATA, Margins
from featlearn.data.model import FreshPatch
from featlearn.geometry import draw_vectors, patches_of
from featlearn.streams.lanes import LaneDraws

DATASETS = st.builds(
    Margins,
    n_samples=st.integers(2, 12),
    dim=st.integers(2, 30),
    n_patches=st.integers(2, 4),
    signal_norm=st.floats(0.01, 100),
    small_share=st.floats(0, 1),
    small_strength=st.floats(0, 1),
    noise=st.sampled_from(["shared", "independent"]),
)


def test_it_has_a_word_in_configs():
    assert DATA["margins"] is Margins


@given(DATASETS, st.integers(0, 2**32))
@PROPERTY
def test_every_sample_shows_the_signal_by_its_label_with_one_of_two_strengths(data, seed):
    training, vectors = data.draw(LaneDraws(torch.tensor([seed]))), draw_vectors(data, seed)
    x = patches_of(torch.tensor(vectors)[None], training)[0].numpy()[training.shown[0].numpy()]
    labels, small = training.true_labels[0].numpy(), training.shown[0, :, 0].numpy() >= 2
    strength = np.where(small, data.small_strength, 1.0)
    assert np.array_equal(x[:, 0], (labels * strength)[:, None] * vectors[0])
    assert np.abs(x[:, 1:] @ vectors[0]).max() == 0  # the noise is orthogonal to the signal


def test_the_share_of_small_margins_is_that_given_in_each_run_of_a_block():
    n, shares = 40_000, torch.tensor([0.1, 0.5], dtype=torch.float64)
    strengths = torch.tensor([0.2, 0.3], dtype=torch.float64)
    block = Margins(n_samples=n, dim=3, signal_norm=1.0, small_share=shares, small_strength=strengths)
    training = block.draw(LaneDraws(torch.tensor([0, 1])))
    small = (training.shown[..., 0] >= 2).double().mean(1)
    assert ((small - shares).abs() < 4 * (shares * (1 - shares) / n).sqrt()).all()
    assert training.strengths[:, :4, 0].tolist() == [[1, -1, 0.2, -0.2], [1, -1, 0.3, -0.3]]
    correlation = np.corrcoef(training.true_labels[1].numpy(), training.shown[1, :, 0].numpy() >= 2)[0, 1]
    assert abs(correlation) < 4 / math.sqrt(n)


def test_the_population_is_named_by_margin():
    kinds = Margins(signal_norm=1.0, small_share=0.2, small_strength=0.25, noise_std=0.5).population()
    assert [(k.name, k.label) for k in kinds] == [(g, y) for g in ("large", "small") for y in (1.0, -1.0)]
    assert [k.probability for k in kinds] == pytest.approx([0.4, 0.4, 0.1, 0.1])
    assert kinds[3].patches == (FreshPatch(((0, -0.25),)), FreshPatch(noise=0, std=0.5))
