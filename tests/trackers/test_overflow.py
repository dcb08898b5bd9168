"""Runs that blow up: to the last row every column is finite, infinite or NaN in both engines and their twins alike."""

import math
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from helpers import ALL_TRACKERS, engine_of, make_run

from featlearn import simulation
from featlearn.data import SignalNoise
from featlearn.engines.loss import Loss
from featlearn.engines.span.engine import GramEngine
from featlearn.linalg import eigh, eigvalsh
from featlearn.models import TwoLayerCNN
from featlearn.optim import SAM, SGD, USAM
from featlearn.runs import Record
from featlearn.trackers import SamEdge, Sharpness, StabilityEdge

DATA = SignalNoise(n_samples=8, dim=30, signal_norm=1.5, noise_std=0.6, flip_prob=0.25)
OTHERS = [tracker for tracker in ALL_TRACKERS if not isinstance(tracker, Sharpness)]
TRACKERS = (*OTHERS, Sharpness(top=3), StabilityEdge(), SamEdge())
RUNS = {
    "usam": (USAM(rho=0.5, base=SGD(lr=0.2)), "relu3", {"seed": 1}),
    "sam": (SAM(rho=0.5, base=SGD(lr=5.0)), "relu3", {"seed": 5, "network__bias": True}),
    "zero outputs beside huge ones": (SAM(rho=1e-9, base=SGD(lr=50.0)), "relu3", {"seed": 5, "network__bias": True}),
    "single precision": (SAM(rho=0.5, base=SGD(lr=5.0)), "relu3", {"seed": 4, "dtype": "float32"}),
    "one large step": (SAM(rho=0.0, base=SGD(lr=1e100)), "relu3", {"seed": 6}),
    "relu": (SAM(rho=0.5, base=SGD(lr=1e152)), "relu", {"seed": 4, "dtype": "float32"}),
    "softplus": (SAM(rho=0.1, base=SGD(lr=1e20, weight_decay=0.01)), "softplus", {"seed": 5}),
}


def kinds(column):
    """Finite, infinite (of which sign) or NaN."""
    return np.where(np.isfinite(column), 0.0, column)


@pytest.fixture(scope="module", params=RUNS)
def rows(request):
    rule, activation, changes = RUNS[request.param]
    trackers = TRACKERS if getattr(rule, "edge", None) else TRACKERS[:-2]
    network = TwoLayerCNN(n_filters=3, init_std=0.4, activation=activation)
    record = Record(steps=tuple(range(21)), trackers=trackers)
    run = make_run(rule, data=DATA, network=network, record=record, **changes)
    fused, weights = simulation.simulate(run), simulation.simulate(replace(run, engine="weights"))
    with patch.object(simulation, "_gram_engine", GramEngine):
        plain = simulation.simulate(run)
    assert fused.status == plain.status == weights.status == "diverged"
    return fused, plain, weights


def test_every_column_is_of_one_kind(rows):
    fused, *others = rows
    for other in others:
        assert fused.steps.tolist() == other.steps.tolist() and fused.values.keys() == other.values.keys()
        for name, column in fused.values.items():
            np.testing.assert_array_equal(kinds(column), kinds(other.values[name]), err_msg=name)


def test_the_gradient_s_norm_is_known_where_its_square_overflows(rows):
    fused, plain, weights = (run.values["grad_norm"].astype(float) for run in rows)
    assert not np.isnan(fused).any()
    for other in (plain, weights):
        np.testing.assert_allclose(fused, other, rtol=1e-4)


def test_the_setting_in_which_engines_differed():
    rule, activation, changes = RUNS["usam"]
    network = TwoLayerCNN(n_filters=3, init_std=0.4, activation=activation)
    run = make_run(rule, data=DATA, network=network, record=Record(steps=(0, 20), trackers=TRACKERS), **changes)
    gram, weights = simulation.simulate(run), simulation.simulate(replace(run, engine="weights"))
    for name in ("grad_norm", "hessian_trace"):
        a, b = gram.values[name][-1], weights.values[name][-1]
        assert math.isfinite(a) and a > 1e78 and a == pytest.approx(b, rel=1e-9)


@pytest.mark.parametrize("size", [1e200, 1e300, 1.0])
def test_norm_of_any_size(size):
    engine = engine_of(make_run())
    loss, w = Loss(engine, engine.labels), engine.initial()
    g = engine.gradient(w, torch.full_like(engine.labels, 1 / 8))
    large = g.with_leaves(tuple(size * leaf for leaf in g.leaves))
    assert loss.norm(large).item() == pytest.approx(size * loss.norm(g).item(), rel=1e-14)
    assert loss.norm(0.0 * g).item() == 0.0


def test_the_norms_of_others_keep_their_bits_beside_one_that_overflows():
    engine = engine_of(*(make_run(seed=seed) for seed in range(8)))
    loss, g = Loss(engine, engine.labels), engine.gradient(engine.initial(), torch.full_like(engine.labels, 1 / 8))
    factor = torch.ones(8, dtype=torch.float64)
    factor[3], factor[5] = 1e200, math.inf
    alone, beside = loss.norm(g), loss.norm(factor * g)
    assert beside[3].isfinite() and beside[5] == math.inf
    assert torch.equal(beside[factor == 1], alone[factor == 1])


@pytest.mark.parametrize("wrong", [math.inf, -math.inf, math.nan])
def test_the_norm_of_a_vector_that_is_not_finite_is_infinite(wrong):
    engine = engine_of(make_run())
    g = engine.gradient(engine.initial(), torch.full_like(engine.labels, 1 / 8))
    alpha, coef, align = (leaf.clone() for leaf in g.leaves)
    coef[0, 0, 0] = wrong
    assert Loss(engine, engine.labels).norm(g.with_leaves((alpha, coef, align))).item() == math.inf


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_eigenvalues_of_any_size(size):
    matrix = torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    pair = size * torch.stack([matrix, torch.full_like(matrix, math.nan)])
    values, vectors = eigh(pair)
    assert torch.allclose(values[0] / size, torch.tensor([1.0, 3.0]).double(), rtol=1e-14)
    assert torch.allclose(vectors[0].abs(), torch.full((2, 2), 0.5**0.5).double())
    assert torch.equal(eigvalsh(pair)[0], values[0])
    assert values[1].isnan().all() and vectors[1].isnan().all() and eigvalsh(pair)[1].isnan().all()
