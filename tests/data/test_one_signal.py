"""A training set of two samples and its kinds, number by number."""

import math

import pytest
import torch

from featlearn.data.model import FreshPatch, Kind, Noise, Slot
from featlearn.data.one_signal import OneSignal


class Model(OneSignal):
    """Two samples of three patches, of which the first shows one of three signal patches."""

    n_classes, n_common, n_samples, dim, n_patches = 2, 3, 2, 25, 3
    noise_std, flip_prob, signal_norm, snr = 0.5, 0.3, 2.0, None

    def __init__(self, noise, **changes):
        self.noise = noise
        vars(self).update(changes)


class Uniforms:
    """The same numbers under every name."""

    def uniforms(self, name, count):
        return torch.tensor([[0.3, 0.31], [1.0, 0.01]], dtype=torch.float64)[:, :count]


def test_shared_noise_is_one_vector_in_two_patches():
    model = Model("shared")
    assert (model.noises_per_sample, model.noise_count) == (1, 2)
    assert model.slots == (Slot("signal", common=True), Slot("noise", 2))
    assert model.noises == (Noise(0.5, (0, 1), 2),)


def test_independent_noise_is_a_vector_a_patch():
    model = Model("independent")
    assert (model.noises_per_sample, model.noise_count) == (2, 1)
    assert model.slots == (Slot("signal", common=True), Slot("noise"), Slot("noise"))
    assert model.noises == (Noise(0.5, (0, 1, 0, 1), 1),)


def test_a_training_set_number_by_number():
    """Patches 0, 1 and 2 show signals 0, 0 and 1; then come the first noises of both samples, and the second ones."""
    labels, signal = torch.tensor([[1.0, -1.0], [1.0, 1.0]]).double(), torch.tensor([[0, 2], [1, 0]])
    found = Model("independent").training_set(Uniforms(), labels, signal, [(0, 1.0), (0, -1.0), (1, 0.5)])
    assert found.shown.tolist() == [[[0, 3, 5], [2, 4, 6]], [[1, 3, 5], [0, 4, 6]]]
    assert found.vectors.tolist() == [[0], [0], [1], [2], [3], [4], [5]]
    assert found.strengths.tolist() == [[1.0], [-1.0], [0.5], [1.0], [1.0], [1.0], [1.0]]
    assert torch.equal(found.true_labels, labels)
    assert found.labels.tolist() == [[-1.0, -1.0], [1.0, -1.0]]  # flipped where the uniform number is at most 0.3


def test_kinds_are_equally_probable_and_have_fresh_noise():
    found = Model("independent").kinds([("a", 1.0, 0, -1.0), ("b", -1.0, 1, 2.0)])
    noises = FreshPatch(noise=0, std=0.5), FreshPatch(noise=1, std=0.5)
    assert found == (
        Kind("a", 0.5, 1.0, (FreshPatch(((0, -1.0),)), *noises)),
        Kind("b", 0.5, -1.0, (FreshPatch(((1, 2.0),)), *noises)),
    )
    (kind,) = Model("shared").kinds([("", 1.0, 0, 1.0)])
    assert kind.patches[1:] == (FreshPatch(noise=0, std=0.5, times=2),)


def test_norm_and_ratio_follow_from_each_other():
    """sqrt(25) = 5, and noise_std = 1/2."""
    assert Model("shared").derived() == {"signal_norm": 2.0, "snr": 0.8}
    by_ratio = Model("shared", signal_norm=None, snr=0.8)
    assert by_ratio.strength == pytest.approx(2.0, rel=1e-15) and math.isclose(by_ratio.derived()["snr"], 0.8)
    for wrong in ({"snr": 0.8}, {"signal_norm": None}):
        with pytest.raises(ValueError, match="exactly one of signal_norm and snr"):
            Model("shared", **wrong).derived()
