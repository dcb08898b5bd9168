"""The embedded saddle: its critical points by the formula."""

import math

import pytest
import torch
from helpers import landscape_engine

from featlearn.data.none import NoData
from featlearn.engines.protocol import Vector
from featlearn.models.saddle import Saddle


def test_the_embedded_saddle_has_the_minima_of_the_formula():
    """lambda - c w + q w^2 = 0: w = (c +- sqrt(c^2 - 4 lambda q)) / 2q; the origin is critical too."""
    model = Saddle()
    engine = landscape_engine(model, NoData(), 0)
    roots = [(0.1 + sign * math.sqrt(0.01 + 4)) / 2 for sign in (1, -1)]
    for w in ([0.0, 0.0], *[[root, 0.0] for root in roots]):
        gradient = engine.gradient(Vector((torch.tensor([w], dtype=torch.float64),)), torch.ones(1, 1))
        assert gradient.leaves[0].abs().max() < 1e-15


def test_a_start_is_the_initial_point_of_every_seed():
    model = Saddle(spectrum=(-1.0, 2.0), start=(0.1, -0.0))
    assert [model.initial(seed, NoData())[0].tolist() for seed in (0, 1)] == [[0.1, 0.0]] * 2
    with pytest.raises(ValueError, match="start has 1 coordinates, and spectrum 2"):
        Saddle(spectrum=(-1.0, 2.0), start=(0.1,))
