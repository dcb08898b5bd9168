"""The inner products of drawn vectors."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from featlearn.data import XOR, SignalNoise
from featlearn.data.model import TrainingSet
from featlearn.geometry import by_run, draw_run, draw_vectors, inner_products, patches_of, stacked, taken
from featlearn.models.two_layer_cnn import TwoLayerCNN

DATA = SignalNoise(n_samples=5, dim=30, signal_norm=1.5, noise_std=0.8)
NETWORK = TwoLayerCNN(n_filters=2, init_std=0.3)


def tensor(rows):
    return torch.tensor(rows, dtype=torch.float64)[None]


def training(vectors, strengths):
    none = torch.zeros(1, 1)
    return by_run(TrainingSet(none, none, none[..., None].long(), torch.tensor(vectors), torch.tensor(strengths)))


# by hand


def test_inner_products_by_hand():
    """Two vectors, the first of them the signal; three patches: the signal, minus the signal, and a sum of both."""
    vectors, filters = tensor([[2.0, 0.0], [1.0, 3.0]]), tensor([[1.0, -1.0], [0.0, 5.0]])
    patches = patches_of(vectors, training([[0, 0], [0, 0], [0, 1]], [[1.0, 0.0], [-1.0, 0.0], [0.5, 2.0]]))
    assert patches.tolist() == [[[2, 0], [-2, 0], [3, 6]]]
    g = inner_products(vectors, patches, filters, None, 1, torch.matmul)
    assert g.gram.tolist() == [[[4, -4, 6], [-4, 4, -6], [6, -6, 45]]]
    assert g.align0.tolist() == [[[2, -2, -3], [0, 0, 30]]]
    assert g.init_gram.tolist() == [[[2, -5], [-5, 25]]]
    assert g.signal_gram.tolist() == [[[4], [-4], [6]]] and g.signal_align0.tolist() == [[[2], [0]]]
    assert g.squares.tolist() == [[4, 10]] and g.biases is None


def test_a_bias_is_one_more_coordinate_at_which_every_patch_is_1():
    generator = torch.Generator().manual_seed(0)
    patches, filters, biases = (torch.randn(*s, generator=generator).double() for s in ((1, 4, 6), (1, 3, 6), (1, 3)))
    found = inner_products(patches, patches, filters, biases, 1, torch.matmul)
    one = torch.ones(1, 4, 1).double()
    longer, own = torch.cat([patches, one], 2), torch.cat([filters, biases[..., None]], 2)
    expected = inner_products(longer, longer, own, None, 1, torch.matmul)
    for name in ("gram", "align0", "init_gram"):
        assert torch.allclose(getattr(found, name), getattr(expected, name), rtol=1e-14, atol=1e-14), name
    assert torch.equal(found.biases, biases)


def test_each_run_may_make_its_patches_of_other_vectors():
    vectors = torch.stack([torch.eye(3), 2 * torch.eye(3)]).double()
    own = training([[0], [1]], [[1.0], [1.0]])
    both = replace(
        own, vectors=torch.tensor([[[0], [1]], [[2], [0]]]), strengths=torch.tensor([[[1.0], [2.0]], [[3.0], [-1.0]]])
    )
    assert patches_of(vectors, both).tolist() == [[[1, 0, 0], [0, 2, 0]], [[0, 0, 6], [-2, 0, 0]]]


# draws


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("data", [DATA, XOR(n_samples=5, dim=30, signal_norm=1.5, angle=70.0, n_patches=3)])
def test_an_explicit_draw_is_its_vectors(data, bias):
    network = replace(NETWORK, bias=bias)
    draw = draw_run(data, network, 3, keep=True)
    assert np.array_equal(draw.vectors[0], draw_vectors(data, 3))
    assert np.array_equal(draw.weights[0], network.draw_weights(3, data))
    assert torch.equal(draw.patches, patches_of(draw.vectors, draw.training))
    expected = inner_products(
        draw.vectors, draw.patches, draw.weights, draw.geometry.biases, len(data.frame.signals), torch.matmul
    )
    for name, x in vars(expected).items():
        assert x is getattr(draw.geometry, name) or torch.equal(x, getattr(draw.geometry, name)), name
    assert np.array_equal(draw.geometry.biases[0], network.draw_biases(3, data)) if bias else not bias


def test_vectors_are_kept_only_on_request():
    draw = draw_run(DATA, NETWORK, 3)
    assert draw.vectors is draw.weights is draw.patches is None


def test_draws_are_stacked_and_taken_run_by_run():
    draws = [draw_run(DATA, NETWORK, seed) for seed in (0, 1, 2)]
    block = taken(stacked(draws), torch.tensor([2, 0]))
    assert torch.equal(block.geometry.gram[0], draws[2].geometry.gram[0])
    assert torch.equal(block.training.labels[1], draws[0].training.labels[0]) and block.vectors is None


@pytest.mark.parametrize("angle", [20.0, 90.0, 135.0])
def test_signals_have_their_gram_matrix_and_noise_is_off_both(angle):
    data = XOR(n_samples=5, dim=30, signal_norm=1.5, angle=angle)
    vectors = draw_vectors(data, 0)
    expected = 1.5**2 * np.array([[1, np.cos(np.radians(angle))], [np.cos(np.radians(angle)), 1]])
    assert np.allclose(vectors[:2] @ vectors[:2].T, expected, rtol=1e-14, atol=1e-15)
    assert not (vectors[2:] @ vectors[:2].T).any()
