"""Random perturbations: their law, the same in both engines; the draws of a step are reproducible."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from equations import PLAIN
from helpers import engine_of, full_batches, make_run
from scipy.stats import ks_2samp, kstest

from featlearn.engines.protocol import Loss
from featlearn.optim import RandomPerturbation

LAWS = ["sphere", "ball", "gaussian"]
SMALL = {"data__dim": 5, "data__n_samples": 2, "network__n_filters": 1, "network__bias": True, "train__batch_size": 2}
N = 1500


@cache
def perturbations(engine, law, change=None):
    """Alignments [N, f k] of the perturbations of N steps, the perturbations, and the engine."""
    rule = RandomPerturbation(rho=0.7, law=law, base=PLAIN)
    built = engine_of(make_run(rule, engine=engine, **{**SMALL, **dict([change] if change else [])}))
    w, batch = built.initial(), full_batches(built, 1)[0]
    found = [rule.perturbation(Loss(built, batch, step=t), w, rule.init(w), t)[0] for t in range(N)]
    return torch.stack([built.align(eps)[0].flatten() for eps in found]).numpy(), found, built


def statistics(aligns, built):
    """Statistics that distinguish laws: an alignment, a product of two filters' ones, the length within the span."""
    gram = built.problem.gram[0].numpy()
    f = len(built.problem.head)
    rows = aligns.reshape(len(aligns), f, -1)
    inside = np.einsum("tfk,kl,tfl->t", rows, np.linalg.pinv(gram, rcond=1e-10, hermitian=True), rows)
    return rows[:, 0, 2], rows[:, 0, 2] * rows[:, 1, 3], inside.round(9)  # where all is inside it is rho^2


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("change", [None, ("data__signal_norm", 0.0), ("data__dim", 2)], ids=str)
def test_both_engines_draw_from_one_law(law, change):
    """Also where G is singular: without a signal, and with more data vectors than dimensions."""
    gram, weights = (
        statistics(aligns, built)
        for aligns, _, built in (perturbations(engine, law, change) for engine in ("gram", "weights"))
    )
    for a, b in zip(gram, weights, strict=True):
        assert ks_2samp(a, b).pvalue > 1e-3


def test_another_law_is_detected():
    """Negative control: the comparison above, between laws, and without the part orthogonal to the span."""
    inside = {law: statistics(*perturbations("gram", law)[::2])[2] for law in LAWS}
    for a, b in [("sphere", "ball"), ("sphere", "gaussian"), ("ball", "gaussian")]:
        assert ks_2samp(inside[a], inside[b]).pvalue < 1e-6
    forgotten = np.full(N, 0.49)
    assert ks_2samp(inside["sphere"], forgotten).pvalue < 1e-6


def test_explicit_lengths_and_moments():
    """|eps| = rho, or |eps| <= rho with (|eps| / rho)^D uniform, or E |eps|^2 = rho^2; E eps eps' is isotropic."""
    found = {law: perturbations("weights", law) for law in LAWS}
    lengths = {law: np.array([math.sqrt(b.inner(e, e)) for e in eps]) for law, (_, eps, b) in found.items()}
    assert np.allclose(lengths["sphere"], 0.7, rtol=1e-12)
    assert kstest((lengths["ball"] / 0.7) ** 12, "uniform").pvalue > 1e-3  # D = 2 filters, 5 weights and a bias each
    square = lengths["gaussian"] ** 2
    assert abs(square.mean() - 0.49) < 4 * square.std() / math.sqrt(N)
    for law, mean_square in (("sphere", 0.49), ("ball", 0.49 * 12 / 14), ("gaussian", 0.49)):
        aligns, _, built = found[law]
        gram = built.problem.gram[0].numpy()
        second = aligns[:, :4].T @ aligns[:, :4] / N * 12 / mean_square
        assert np.abs(second - gram).max() < 0.12 * gram.max()


@pytest.mark.parametrize("engine", ["gram", "weights"])
def test_a_step_has_a_draw_of_its_own_that_can_be_had_again(engine):
    rule = RandomPerturbation(rho=0.3, base=PLAIN)
    runs = [make_run(rule, engine=engine, seed=seed) for seed in range(2)]
    built = engine_of(*runs)
    batch, w = full_batches(built, 1)[0], built.initial()

    def drawn(t):
        return built.align(rule.probe(Loss(built, batch, step=t), w, rule.init(w), t))

    assert torch.equal(drawn(3), drawn(3)) and not torch.equal(drawn(3), drawn(4))
    alone = engine_of(runs[1])
    one = alone.align(rule.probe(Loss(alone, batch[:1], step=3), alone.initial(), rule.init(w), 3))
    assert torch.allclose(drawn(3)[1], one[0], rtol=1e-12)


def test_in_high_dimension_the_data_hardly_feel_it():
    """At equal radius a random direction moves the alignments by about rho |v| / sqrt(D)."""
    rule = RandomPerturbation(rho=1.0, base=PLAIN)
    built = engine_of(make_run(rule, data__dim=10**10, sampling="gram", network__init_std=1e-6))
    loss, w = Loss(built, full_batches(built, 1)[0]), built.initial()
    moved = (built.align(rule.probe(loss, w, rule.init(w), 0)) - built.align(w))[0, :, 1:]
    norms = built.problem.gram[0].diagonal()[1:].sqrt()
    assert 0.3 < (moved / norms).square().mean().sqrt() * math.sqrt(6e10) < 3
