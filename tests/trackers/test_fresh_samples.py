"""Kinds of fresh samples in groups of equal noise."""

import torch
from helpers import engine_of, make_run
from leaky import Leaky
from three_classes import ThreeClasses

from featlearn.data import XOR, MultiView
from featlearn.trackers.fresh_samples import groups


def of(*runs):
    composition = engine_of(*runs).problem.composed
    return groups(composition.population, composition.squares, len(composition.frame.signals))


def test_kinds_with_one_noise_are_evaluated_together():
    (group,) = of(
        make_run(data__n_patches=3, data__noise="independent"), make_run(data__n_patches=3, data__noise="independent")
    )
    assert group.labels == (1.0, -1.0) and group.names == ("", "") and not group.shifted
    assert group.n_gaussians == 2 and group.numbers == (0, 1) and group.times == (1, 1)
    assert torch.equal(group.probabilities, torch.full((2, 2), 0.5).double())
    assert group.strengths[0].tolist() == [[1.0, -1.0, 0.0, 0.0]] and group.shown.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert torch.equal(group.stds, torch.ones(2, 2).double())


def test_a_patch_of_signal_and_noise_is_evaluated_by_kind():
    plus, minus = of(make_run(data=Leaky(n_samples=8, dim=60, strength=0.5)))
    assert plus.shifted and plus.strengths.tolist() == [[[0.5]]] and minus.strengths.tolist() == [[[-0.5]]]
    assert plus.shown.shape == (0, 1) and plus.labels == (1.0,) and minus.labels == (-1.0,)


def test_names_and_numbers_of_every_run():
    runs = [make_run(data=XOR(n_samples=8, dim=60, signal_norm=2.0, noise_std=std)) for std in (0.5, 2.0)]
    (group,) = of(*runs)
    assert group.names == ("u", "u", "v", "v") and group.labels == (1.0, 1.0, -1.0, -1.0)
    assert group.stds.tolist() == [[0.5], [2.0]]
    (group,) = of(make_run(data=ThreeClasses(n_samples=9, dim=60, signal_norm=2.0), network__loss="softmax"))
    assert group.names == ("a", "b", "c") and group.labels == (0.0, 1.0, 2.0)


def test_groups_are_found_once_for_a_block():
    composition = engine_of(make_run()).problem.composed
    first, second = (groups(composition.population, composition.squares, 1) for _ in range(2))
    assert first is second


def test_equal_patches_are_evaluated_once():
    """Three classes of two features, each with three strengths, in 3 (multi, view 1, view 2) 3 4 kinds."""
    data = MultiView(n_samples=9, dim=60, signal_norm=2.0)
    (group,) = of(make_run(data=data, network__loss="softmax"))
    assert group.shown.shape == (18, 36) and (group.shown.sum(0) == 3).all()
