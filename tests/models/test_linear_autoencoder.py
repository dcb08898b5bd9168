"""The linear autoencoder: its minimum by principal components."""

import math

import numpy as np
import pytest
import torch
from helpers import landscape_engine, make_landscape_run

from featlearn.data.gaussian import Gaussian
from featlearn.engines.protocol import Vector
from featlearn.models.linear_autoencoder import LinearAutoencoder
from featlearn.optim import SAM, SGD
from featlearn.simulation import simulate
from featlearn.trackers import Loss, Position

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


def test_started_at_the_origin_it_is_at_a_saddle_and_stays():
    """The origin: half the mean square of the inputs, gradient exactly 0, which SAM does not perturb."""
    data, model = Gaussian(n_samples=30, dim=6), LinearAutoencoder(init_std=0.0)
    rule, trackers = SAM(rho=0.1, base=SGD(lr=0.1)), (Loss(), Position(n_coordinates=24))
    last = simulate(make_landscape_run(model, rule, data, trackers=trackers, seed=SEED))
    assert last.status == "ok" and not any(last.values[f"x{i}"].any() for i in range(24))
    (x,) = model.given(SEED, data)
    assert last.values["train_loss"] == pytest.approx(np.sum(x**2) / 60, rel=1e-14)
    engine = landscape_engine(model, data, SEED)
    off = torch.full((1, 2, 6), 0.1, dtype=torch.float64)
    assert engine.losses(Vector((off, off.mT))).mean() < engine.losses(engine.initial()).mean()
