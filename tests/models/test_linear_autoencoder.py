"""The linear autoencoder: its minimum by principal components."""

import math

import numpy as np
import pytest
import torch
from helpers import landscape_engine

from featlearn.data.gaussian import Gaussian
from featlearn.engines.protocol import Vector
from featlearn.models.linear_autoencoder import LinearAutoencoder

SEED = 3


def test_the_autoencoders_minimum_is_half_of_the_smallest_moments():
    """Baldi, Hornik 1989: at the leading principal directions, with zero gradient, and nothing random is below."""
    data, model = Gaussian(n_samples=30, dim=6, decay=0.5), LinearAutoencoder(n_hidden=2)
    engine = landscape_engine(model, data, SEED)
    (x,) = model.given(SEED, data)
    _, singular, directions = np.linalg.svd(x / math.sqrt(len(x)))
    lead = torch.as_tensor(directions[None, :2])
    best, batch = Vector((lead, lead.mT)), torch.full_like(engine.labels, 1 / 30)
    minimum = np.sum(singular[2:] ** 2) / 2
    assert engine.losses(best).mean().item() == pytest.approx(minimum, rel=1e-13)
    gradient = engine.gradient(best, batch)
    assert engine.inner(gradient, gradient).item() < 1e-28
    w = engine.initial()
    for _ in range(4000):
        w = w - 0.2 * engine.gradient(w, batch)
    assert engine.losses(w).mean().item() == pytest.approx(minimum, rel=1e-9)
