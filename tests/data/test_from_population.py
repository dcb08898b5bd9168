"""A model from its population: frame, slots and draws that follow from the kinds of samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from leaky import Leaky
from mixed_margins import MixedMargins

from featlearn.data import XOR, FreshPatch, FromPopulation, Kind
from featlearn.data.contract import breach
from featlearn.data.model import Noise, Signal, Slot
from featlearn.geometry import patches_of
from featlearn.streams.lanes import LaneDraws


@dataclass(frozen=True, kw_only=True)
class Classes(FromPopulation):
    """Three classes, each with its signal and the common noise of two patches, one with a half signal too."""

    def population(self):
        noise = FreshPatch(noise=1, std=self.noise_std, times=2)
        kinds = (((label, 2.0),) for label in range(3))
        mixed = (FreshPatch(((label, 1.0),), noise=1, std=self.noise_std) for label in range(3))
        return tuple(
            Kind("", 1 / 3, float(label), (FreshPatch(signals), both, noise, FreshPatch(noise=4, std=0.5)))
            for label, (signals, both) in enumerate(zip(kinds, mixed, strict=True))
        )


@dataclass(frozen=True, kw_only=True)
class Axes(FromPopulation):
    """XOR of two signals, in the words of a population."""

    orthogonal = True
    signal_norm: float = 2.0

    def population(self):
        noise, size = FreshPatch(noise=0, std=self.noise_std), self.signal_norm
        return tuple(
            Kind("uv"[axis], 0.25, 1.0 - 2 * axis, (FreshPatch(((axis, sign * size),)), noise))
            for axis in (0, 1)
            for sign in (1.0, -1.0)
        )


def drawn(model, runs=1):
    return model.draw(LaneDraws(torch.arange(runs)))


@pytest.mark.parametrize("model", [MixedMargins(), Classes(n_samples=5), Classes(flip_prob=0.3), Axes(dim=30)])
def test_it_keeps_the_contract(model):
    assert breach(model) is None


def test_frame_and_slots_follow_from_the_kinds():
    model = Classes(n_samples=2)
    assert (model.n_classes, model.n_patches, model.n_common) == (3, 5, 3)
    assert model.slots == (Slot("signal", common=True), Slot("both"), Slot("noise", 2), Slot("noise"))
    assert model.frame.noises == (Noise(1.0, (0, 1), 3), Noise(0.5, (0, 1), 1))
    assert model.frame.gram == ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    assert Axes().frame.signals == (Signal("0", even=True), Signal("1", even=True)) and Axes().frame.orthogonal
    assert MixedMargins().frame.signals == (Signal(),)


def test_a_sample_is_what_its_kind_says():
    """Every patch, written out in coordinates of the vectors: the signals, then the noises."""
    model = Classes(n_samples=4)
    training = drawn(model, runs=3)
    vectors = torch.eye(3 + 8, dtype=torch.float64).expand(3, -1, -1)
    shown = patches_of(vectors, training)[torch.arange(3)[:, None, None], training.shown]
    for run in range(3):
        for i, label in enumerate(training.true_labels[run].long().tolist()):
            signal, shared, other = vectors[0, label], vectors[0, 3 + i], vectors[0, 3 + 4 + i]
            expected = [2 * signal, signal + shared, shared, other]
            assert torch.equal(shown[run, i], torch.stack(expected))


def test_kinds_and_flips_have_their_probabilities():
    """Within 4 standard errors of 4000 samples; wrong labels of three classes are equally probable."""
    model = MixedMargins(n_samples=4000, small_share=0.25, flip_prob=0.1)
    training = drawn(model)
    share = (training.shown[0, :, 0] >= 2).double().mean()
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5
    assert abs((training.labels != training.true_labels).double().mean() - 0.1) < 4 * (0.09 / 4000) ** 0.5
    assert abs(training.true_labels.mean()) < 4 / 4000**0.5
    training = drawn(Classes(n_samples=4000, flip_prob=0.3))
    apart = (training.labels - training.true_labels) % 3
    for shift in (1, 2):
        assert abs((apart == shift).double().mean() - 0.15) < 4 * (0.15 * 0.85 / 4000) ** 0.5


def test_the_frame_of_a_model_that_draws_itself():
    """XOR and the one-patch mixture, said both ways, have one frame and one population."""
    ours, theirs = Axes(n_samples=6, dim=30), XOR(n_samples=6, dim=30, signal_norm=2.0)
    assert ours.frame.noises == theirs.frame.noises and ours.slots == theirs.slots
    assert [kind.label for kind in ours.population()] == [kind.label for kind in theirs.population()]

    @dataclass(frozen=True, kw_only=True)
    class Mixture(FromPopulation):
        def population(self):
            patches = [FreshPatch(((0, 2 * sign),), noise=0, std=self.noise_std) for sign in (1.0, -1.0)]
            return tuple(Kind("", 0.5, sign, (p,)) for sign, p in zip((1.0, -1.0), patches, strict=True))

    assert Mixture().slots == Leaky().slots and Mixture().frame.noises == Leaky().frame.noises
    assert Mixture().n_common == Leaky.n_common and drawn(Mixture()).vectors.shape == (1, 20, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda kinds: (kinds[0], replace(kinds[1], patches=kinds[1].patches[:1])), "different numbers of patches"),
        (
            lambda kinds: (kinds[0], replace(kinds[1], patches=(kinds[1].patches[0], FreshPatch(noise=0, std=9.0)))),
            "patch 1 of some kinds differs from that of others in std",
        ),
        (
            lambda kinds: (kinds[0], replace(kinds[1], patches=(FreshPatch(noise=0), FreshPatch()))),
            "patch 0 of some kinds differs from that of others in noise",
        ),
    ],
)
def test_kinds_that_disagree_are_refused(change, message):
    class Other(MixedMargins):
        def population(self):
            return change(super().population()[:2])

    with pytest.raises(ValueError, match=message):
        _ = Other().slots
