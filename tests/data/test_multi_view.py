import math

import numpy as np
import pytest
import torch
from helpers import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

import featlearn as fl
from featlearn.data import DATA, MultiView
from featlearn.geometry import draw_vectors, patches_of
from featlearn.streams.lanes import LaneDraws

DATASETS = st.builds(
    MultiView,
    n_samples=st.integers(2, 12),
    dim=st.integers(10, 30),
    n_patches=st.integers(4, 6),
    n_classes=st.integers(3, 5),
    signal_norm=st.floats(0.1, 10),
    single_share=st.floats(0, 1),
    minor_strength=st.floats(0.01, 0.5),
    other_strength=st.floats(0.01, 0.5),
    noise=st.sampled_from(["shared", "independent"]),
)


def test_it_has_a_word_in_configs():
    assert DATA["multi_view"] is MultiView


@given(DATASETS, st.integers(0, 2**32))
@PROPERTY
def test_every_sample_shows_the_views_of_its_class_and_a_feature_of_another(data, seed):
    training, vectors = data.draw(LaneDraws(torch.tensor([seed]))), draw_vectors(data, seed)
    x = patches_of(torch.tensor(vectors)[None], training)[0].numpy()[training.shown[0].numpy()]
    features = vectors[: 2 * data.n_classes]
    assert np.allclose(features @ features.T, data.signal_norm**2 * np.eye(len(features)), rtol=1e-12)
    strengths = x[:, :3] @ features.T / data.signal_norm**2  # [n, 3, 2 K]
    for sample, label in zip(strengths, training.true_labels[0].long().tolist(), strict=True):
        first, second = sample[0, 2 * label], sample[1, 2 * label + 1]
        assert max(first, second) == pytest.approx(1)
        assert any(min(first, second) == pytest.approx(least) for least in (1.0, data.minor_strength))
        assert np.count_nonzero(np.abs(sample[:2]) > 1e-9) == 2
        (other,) = np.flatnonzero(np.abs(sample[2]) > 1e-9)
        assert other // 2 != label and sample[2, other] == pytest.approx(data.other_strength)


def test_classes_views_and_other_features_are_equally_probable():
    n, data = 60_000, MultiView(n_samples=60_000, dim=7, signal_norm=1.0, single_share=0.3)
    training = data.draw(LaneDraws(torch.tensor([0])))
    labels, shown = training.labels[0].long(), training.shown[0]
    first, second, other = shown[:, 0] >= 6, shown[:, 1] >= 6, (shown[:, 2] - 12 - 2 * labels - 2) % 6
    assert not (first & second).any()
    for share, p in ((first, 0.15), (second, 0.15), *((labels == k, 1 / 3) for k in range(3))):
        assert abs(share.double().mean().item() - p) < 4 * math.sqrt(p * (1 - p) / n)
    assert np.bincount(other.numpy(), minlength=4) == pytest.approx([n / 4] * 4, abs=4 * math.sqrt(n * 3 / 16))


def test_a_flipped_label_is_any_other_with_equal_probability():
    n, data = 60_000, MultiView(n_samples=60_000, dim=9, n_classes=4, signal_norm=1.0, flip_prob=0.3)
    training = data.draw(LaneDraws(torch.tensor([1])))
    shifts = np.bincount(((training.labels - training.true_labels) % 4)[0].long().numpy(), minlength=4)
    assert shifts / n == pytest.approx([0.7, 0.1, 0.1, 0.1], abs=4 * math.sqrt(0.21 / n))


def test_the_population_is_named_by_view():
    data = MultiView(signal_norm=1.0, single_share=0.2, minor_strength=0.1, other_strength=0.3)
    kinds = data.population()
    total = {name: math.fsum(k.probability for k in kinds if k.name == name) for name in ("multi", "view1", "view2")}
    assert total == pytest.approx({"multi": 0.8, "view1": 0.1, "view2": 0.1}) and len(kinds) == 3 * 3 * 4
    (kind,) = (k for k in kinds if (k.name, k.label) == ("view2", 2.0) and k.patches[2].signals[0][0] == 0)
    assert [patch.signals for patch in kind.patches] == [((4, 0.1),), ((5, 1.0),), ((0, 0.3),), ()]
    assert [signal.name for signal in data.frame.signals][:3] == ["class0_view1", "class0_view2", "class1_view1"]


def test_its_classes_need_the_softmax():
    config = {"name": "x", "data": {"model": "multi_view", "signal_norm": 1.0}}
    with pytest.raises(fl.config.ConfigError, match="the data have 3: use softmax"):
        fl.load_config(config)
