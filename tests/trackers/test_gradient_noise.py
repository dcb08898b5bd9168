"""Covariance and regularizer by loops over samples and mini-batches in d dimensions, and their limits."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from helpers import PlainNetwork, explicit, make_landscape_run, make_run, view_of

from featlearn.data import XOR, SignalNoise
from featlearn.models import MLP
from featlearn.trackers import GradientCovariance, Loss

SETTINGS = {
    "plain": {},
    "bias, flips": {"network__bias": True, "data__flip_prob": 0.3},
    "softplus": {"network__activation": "softplus"},
    "two signals": {"data": XOR(n_samples=8, dim=60, snr=0.3)},
}


def projected(u, plain, n_signals):
    """The rows' projection onto the signals, by least squares."""
    signals = np.zeros((n_signals, u.shape[1]))
    signals[:, : plain.vectors.shape[1]] = plain.vectors[:n_signals]
    return np.linalg.lstsq(signals.T, u.T, rcond=None)[0].T @ signals


def one(view, **settings):
    return {name: column.item() for name, column in GradientCovariance(**settings)(view).items()}


@pytest.mark.parametrize("engine", ["gram", "weights"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_by_hand(engine, setting):
    run = make_run(engine=engine, **SETTINGS[setting])
    view, plain = view_of(run, steps=5), PlainNetwork(run)
    w, n, n_signals = explicit(view.w, plain), len(plain.labels), len(run.data.frame.signals)

    def square(u):
        return (u**2).sum()

    def signal(u):
        return square(projected(u, plain, n_signals))

    g = plain.gradient(w, range(n))
    away = [plain.gradient(w, [i]) - g for i in range(n)]
    batches = [plain.gradient(w, batch) for batch in combinations(range(n), 3)]
    seen = one(view, batch_size=3)
    assert seen["grad_norm_signal"] == pytest.approx(signal(g) ** 0.5, rel=1e-9)
    assert seen["grad_noise_trace"] == pytest.approx(np.mean([square(u) for u in away]), rel=1e-9)
    assert seen["grad_noise_trace_signal"] == pytest.approx(np.mean([signal(u) for u in away]), rel=1e-9)
    assert seen["batch_grad_norm"] == pytest.approx(np.mean([square(u) ** 0.5 for u in batches]), rel=1e-9)
    shares = [signal(u) / square(u) ** 0.5 for u in batches]
    assert seen["batch_grad_norm_signal"] == pytest.approx(np.mean(shares), rel=1e-9)
    assert seen["batch_grad_norm_se"] == 0 and len(batches) <= GradientCovariance().n_batches


@pytest.mark.parametrize("bias", [False, True])
def test_the_gains_are_derivatives_of_the_mean_norm(bias):
    """<h, v> is the derivative of E|g_b| along v, for v = Pg and for v = (I - P)g."""
    run = make_run(network__activation="softplus", network__bias=bias)
    view, plain = view_of(run, steps=5), PlainNetwork(run)
    w, n = explicit(view.w, plain), len(plain.labels)
    batches = list(combinations(range(n), 2))

    def mean_norm(point):
        return np.mean([np.linalg.norm(plain.gradient(point, batch)) for batch in batches])

    g = plain.gradient(w, range(n))
    along = projected(g, plain, 1)
    seen = one(view, batch_size=2)
    for part, v in (("signal", along), ("noise", g - along)):
        e = 1e-4 / np.linalg.norm(v)
        slope = (mean_norm(w + e * v) - mean_norm(w - e * v)) / (2 * e)
        assert seen[f"regularizer_gain_{part}"] * (v**2).sum() == pytest.approx(slope, rel=1e-6)


def test_of_the_whole_set_it_is_the_gradient_norm():
    """h = H g / |g|, and E|g_b| = |g|."""
    view = view_of(make_run(network__activation="softplus"), steps=5)
    seen, loss = one(view, batch_size=8), view.loss("full")
    g, hvp = loss.linearize(view.w)
    assert seen["batch_grad_norm"] == pytest.approx(Loss()(view)["grad_norm"].item(), rel=1e-12)
    assert seen["regularizer_norm"] == pytest.approx(loss.norm(hvp(loss.unit(g))).item(), rel=1e-12)
    assert seen == one(view, batch_size=100)


def test_sampled_mini_batches_agree_with_all_of_them_within_their_error():
    view = view_of(*(make_run(seed=seed) for seed in range(40)), steps=5)
    every, drawn = (GradientCovariance(batch_size=4, n_batches=k)(view) for k in (70, 20))
    off = (drawn["batch_grad_norm"] - every["batch_grad_norm"]) / drawn["batch_grad_norm_se"]
    assert (every["batch_grad_norm_se"] == 0).all() and off.abs().max() < 4 and 0.7 < off.std() < 1.4


def test_a_run_draws_its_own_mini_batches():
    runs = [make_run(seed=seed) for seed in range(3)]
    tracker = GradientCovariance(batch_size=4, n_batches=20)
    together, alone = tracker(view_of(*runs, steps=5)), tracker(view_of(runs[1], steps=5))
    assert all(torch.equal(together[name][1:2], alone[name]) for name in alone)


def test_the_trace_is_the_variance_of_mini_batches():
    """E|g_b|^2 - |g|^2 = tr V (n - B)/(B (n - 1)), for B = 1; E|g_b| lies between |g| and its root."""
    view = view_of(make_run(), steps=5)
    g = Loss()(view)["grad_norm"].item()
    for size in (1, 2, 5):
        seen = one(view, batch_size=size)
        square = g**2 + seen["grad_noise_trace"] * (8 - size) / (size * 7)
        assert g < seen["batch_grad_norm"] < square**0.5


def test_orthogonal_noise_without_signal_has_no_signal_part():
    view = view_of(make_run(data=SignalNoise(n_samples=8, dim=60, signal_norm=0.0)), steps=5)
    seen = one(view)
    assert seen["grad_noise_trace"] == seen["grad_noise_trace_noise"] > 0
    assert seen["grad_norm_signal"] == seen["batch_grad_norm_signal"] == seen["regularizer_gain_signal"] == 0


def test_a_landscape_has_the_columns_without_parts():
    run = make_landscape_run(MLP(), trackers=(GradientCovariance(),))
    view = view_of(run, steps=3)
    columns = GradientCovariance(batch_size=2, n_batches=9)(view)
    whole = ["grad_noise_trace", "batch_grad_norm", "batch_grad_norm_se", "regularizer_norm"]
    assert list(columns) == whole and all(column.item() > 0 for column in columns.values())
    alone = replace(view.loss("full"), batch=torch.eye(view.batch.shape[1]).double()[:1]).gradient(view.w)
    assert view.loss("full").norm(alone).item() > 0
