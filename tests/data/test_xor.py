import numpy as np
import pytest
import torch
from helpers import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from featlearn.data import DATA, XOR
from featlearn.geometry import draw_vectors, patches_of
from featlearn.streams.lanes import LaneDraws

DATASETS = st.builds(
    XOR,
    n_samples=st.integers(2, 12),
    dim=st.integers(3, 30),
    n_patches=st.integers(2, 4),
    signal_norm=st.floats(0.01, 100),
    angle=st.floats(1, 179),
    noise=st.sampled_from(["shared", "independent"]),
)


def test_it_has_a_word_in_configs():
    assert DATA["xor"] is XOR


@given(DATASETS, st.integers(0, 2**32))
@PROPERTY
def test_the_label_is_the_axis_and_not_the_sign(data, seed):
    training, vectors = data.draw(LaneDraws(torch.tensor([seed]))), draw_vectors(data, seed)
    patches = patches_of(torch.tensor(vectors)[None], training)[0].numpy()
    signal = patches[training.shown[0, :, 0]]
    assert np.array_equal(patches[:4], [vectors[0], -vectors[0], vectors[1], -vectors[1]])
    for label, own in zip(training.true_labels[0].tolist(), signal, strict=True):
        axis = vectors[0 if label > 0 else 1]
        assert np.array_equal(own, axis) or np.array_equal(own, -axis)
    assert np.allclose(np.linalg.norm(signal, axis=1), data.signal_norm, rtol=1e-12)


def test_the_four_centres_are_equally_probable():
    data, n = XOR(n_samples=40_000, dim=3, signal_norm=1.0, flip_prob=0.1), 40_000
    training = data.draw(LaneDraws(torch.tensor([0])))
    counts = np.bincount(training.shown[0, :, 0], minlength=4)
    assert np.abs(counts - n / 4).max() < 4 * np.sqrt(n * 3 / 16)
    flips = (training.labels != training.true_labels).double().mean().item()
    assert abs(flips - 0.1) < 4 * 0.3 / np.sqrt(n)


def test_no_linear_classifier_is_better_than_chance():
    """Least squares on the sum of the patches, on as many samples as dimensions times 100."""
    data, n = XOR(n_samples=4000, dim=20, signal_norm=10.0), 4000
    training, vectors = data.draw(LaneDraws(torch.tensor([1]))), draw_vectors(data, 1)
    patches = patches_of(torch.tensor(vectors)[None], training)[0].numpy()
    x, y = patches[training.shown[0].numpy()].sum(1), training.true_labels[0].numpy()
    w = np.linalg.lstsq(x[: n // 2], y[: n // 2])[0]
    assert abs(np.mean(np.sign(x[n // 2 :] @ w) == y[n // 2 :]) - 0.5) < 0.05
    even = np.abs(x[n // 2 :] @ vectors[0]) - np.abs(x[n // 2 :] @ vectors[1])
    assert np.mean(np.sign(even) == y[n // 2 :]) > 0.99  # the control: the axes separate the classes


def test_the_axes_are_orthogonal_exactly_at_90_degrees():
    assert XOR(signal_norm=3.0).frame.gram == ((9.0, 0.0), (0.0, 9.0))
    assert XOR(signal_norm=1.0, angle=60.0).frame.gram[0][1] == pytest.approx(0.5, rel=1e-15)


def test_the_population_is_named_by_the_axes():
    kinds = XOR(signal_norm=1.0).population()
    assert [(kind.name, kind.label) for kind in kinds] == [("u", 1.0)] * 2 + [("v", -1.0)] * 2
    assert sum(kind.probability for kind in kinds) == 1
    assert [kind.patches[0].signals for kind in kinds] == [((0, 1.0),), ((0, -1.0),), ((1, 1.0),), ((1, -1.0),)]
