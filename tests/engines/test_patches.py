"""Shared by all engines of the network on patches: flipped labels, losses under given labels, micro-batches."""

import pytest
import torch
from helpers import engine_of, make_run
from three_classes import ThreeClasses

from featlearn.engines.loss import Loss

CLASSES = ThreeClasses(n_samples=8, dim=40, signal_norm=2.0)


def of_classes(**changes):
    return engine_of(make_run(data=CLASSES, network__loss="softmax", **changes))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_flipped_class_is_any_other_with_equal_probability(dtype):
    engine = of_classes(dtype=dtype)
    draws = torch.arange(1, 2**10 + 1).double()[None] / 2**10  # equally probable; 1 is the largest
    for label in range(3):
        labels = torch.full((1, 2**10), float(label), dtype=engine.labels.dtype)
        found = engine.flipped(labels, torch.ones_like(draws, dtype=torch.bool), draws)
        assert found.dtype == labels.dtype
        counts = torch.bincount(found[0].long(), minlength=3).tolist()
        assert counts[label] == 0 and sorted(counts) == [0, 2**9, 2**9]


def test_the_smallest_draw_is_another_class_too():
    labels, draws = torch.tensor([[0.0, 1.0, 2.0]]).double(), torch.full((1, 3), 2.0**-53).double()
    assert of_classes().flipped(labels, draws < 1, draws).tolist() == [[2.0, 0.0, 1.0]]


def test_only_chosen_labels_are_flipped_and_signs_to_the_other():
    which = torch.tensor([[True, False, True, False]])
    draws = torch.full((1, 4), 0.3).double()
    signs = torch.tensor([[1.0, 1.0, -1.0, -1.0]])
    assert engine_of(make_run()).flipped(signs, which, draws).tolist() == [[-1.0, 1.0, 1.0, -1.0]]
    classes = torch.tensor([[0.0, 1.0, 2.0, 0.0]])
    assert of_classes().flipped(classes, which, draws).tolist() == [[2.0, 1.0, 1.0, 0.0]]


@pytest.mark.parametrize("engine", ["gram", "weights"])
def test_losses_under_given_labels(engine):
    """log(1 + exp(-y F)) of either sign: they differ by y F."""
    built = engine_of(make_run(engine=engine))
    w, y = built.initial(), built.labels
    outputs = built.outputs(w)[..., 0]
    assert torch.allclose(built.losses(w), torch.log1p(torch.exp(-y * outputs)), rtol=1e-13)
    assert torch.allclose(built.losses(w, -y) - built.losses(w), y * outputs, atol=1e-14)


@pytest.mark.parametrize("engine", ["gram", "weights"])
def test_micro_batches_have_the_losses_and_labels_of_their_samples(engine):
    built = engine_of(make_run(engine=engine, data__flip_prob=0.3), make_run(engine=engine, seed=1))
    samples = torch.tensor([[5, 0, 3, 6], [1, 2, 7, 4]])
    weights = torch.zeros_like(built.labels).scatter_(1, samples, 0.25)
    shards, w = built.shards(Loss(built, weights, samples), 2), built.initial()
    found = shards.loss.engine.losses(shards.split(w))
    assert shards.count == 2 and found.shape == (4, 2)
    assert torch.allclose(found.reshape(2, 4), built.losses(w).gather(1, samples), rtol=1e-13)
    average = shards.average(lambda loss, at, x: x * loss.gradient(at), w, torch.tensor([1.0, 2.0]).double())
    expected = torch.tensor([1.0, 2.0]).double() * built.gradient(w, weights)
    assert all(torch.allclose(a, b, atol=1e-13) for a, b in zip(average.leaves, expected.leaves, strict=True))
