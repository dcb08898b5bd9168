"""One step by hand: the formulas of the papers, written with loops in d dimensions or in coefficients.

Agreement of the two engines over many steps is in test_agreement.py.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import (
    PlainNetwork,
    advance,
    drawn_batches,
    engine_of,
    explicit,
    full_batches,
    make_run,
    problem_of,
    redrawn,
    view_of,
)

from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.engines.explicit.engine import WeightEngine
from featlearn.engines.protocol import Loss, Vector
from featlearn.engines.span.engine import GramEngine
from featlearn.geometry import draw_run
from featlearn.optim import SAM, SGD
from featlearn.trackers import Decomposition

SETTINGS = {
    "plain": {},
    "flips": {"data__flip_prob": 0.3},
    "P = 4": {"data__n_patches": 4},
    "P = 4, flips, mean": {"data__n_patches": 4, "data__flip_prob": 0.3, "network__patches": "mean"},
    "summed filters, orthogonal": {"network__filters": "sum", "data__orthogonal_noise": True},
    "relu2, flips": {"network__activation": "relu2", "data__flip_prob": 0.3},
    "relu3": {"network__activation": "relu3"},
    "softplus": {"network__activation": "softplus", "data__n_patches": 3},
}
BEYOND_THE_PAPERS = {
    "bias": {"network__bias": True, "data__n_patches": 3, "data__flip_prob": 0.3},
    "independent": {"data__noise": "independent", "data__n_patches": 4, "data__flip_prob": 0.3},
    "independent, bias, softplus": {
        "data__noise": "independent",
        "data__n_patches": 3,
        "network__bias": True,
        "network__activation": "softplus",
    },
}
KINDS = [GramEngine, CPUGramEngine]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
BATCHES = {8: 8, 3: 2, 5: 5}  # the third batch of 8 samples in threes holds the last two


def at_work(kind, run, steps=2):
    """The engine, the plain network, a point a few steps from the start, and its next mini-batch."""
    engine = kind(engine_of(run).problem)
    weights, samples = drawn_batches(run, steps + 1)
    w, _ = advance(engine, run.optimizer, weights[:steps])
    return engine, PlainNetwork(run), w, weights[steps], samples[steps]


def coefficients_by_hand(run, engine, w, chosen):
    """C of the gradient over the patches +signal, -signal and noises, and C G: one entry after the other."""
    align, problem = w.leaves[2][0].numpy(), engine.problem
    plain = PlainNetwork(run)
    y, yhat, m = plain.labels, plain.true_labels, plain.m
    count = run.data.n_patches - 1
    d = np.zeros_like(align)
    for i in chosen:
        f, signal = 0.0, 0 if yhat[i] > 0 else 1
        for row, j in enumerate(plain.signs):
            f += j * plain.scale * (plain.act(align[row, signal]) + count * plain.act(align[row, 2 + i]))
        c = -1 / (1 + math.exp(y[i] * f)) * y[i] * plain.scale / len(chosen)
        for row, j in enumerate(plain.signs):
            d[row, signal] += j * c * plain.slope(align[row, signal])
            d[row, 2 + i] += j * c * count * plain.slope(align[row, 2 + i])
    assert len(d) == 2 * m
    return d, d @ problem.gram[0].numpy()


@EVERY_KIND
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("batch_size", BATCHES)
def test_gradient_coefficients_and_alignments(kind, setting, batch_size):
    run = make_run(train__batch_size=batch_size, **SETTINGS[setting])
    engine, _, w, batch, chosen = at_work(kind, run)
    d, u = coefficients_by_hand(run, engine, w, chosen)
    alpha, coef, align = engine.gradient(w, batch).leaves
    assert len(chosen) == BATCHES[batch_size] and np.abs(d).max() > 1e-3
    assert alpha.item() == 0
    assert np.allclose(coef[0], d, rtol=1e-12, atol=1e-14)
    assert np.allclose(align[0], u, rtol=1e-12, atol=1e-11)
    g = engine.gradient(w, batch)
    assert engine.inner(g, g).item() == pytest.approx((d * u).sum(), rel=1e-12)


@EVERY_KIND
@pytest.mark.parametrize("setting", SETTINGS | BEYOND_THE_PAPERS)
@pytest.mark.parametrize("batch_size", BATCHES)
def test_gradient_is_the_one_in_d_dimensions(kind, setting, batch_size):
    """|grad|^2 = <D, U>, margins and the gradient itself, against loops over samples, filters and patches."""
    run = make_run(train__batch_size=batch_size, **(SETTINGS | BEYOND_THE_PAPERS)[setting])
    engine, plain, w, batch, chosen = at_work(kind, run)
    weights = explicit(w, plain)
    expected = plain.gradient(weights, chosen)
    g = engine.gradient(w, batch)
    assert np.allclose(g.leaves[1][0].numpy() @ plain.distinct, expected, rtol=1e-11, atol=1e-13)
    assert np.allclose(g.leaves[2][0], expected @ plain.distinct.T, rtol=1e-11, atol=1e-11)
    assert (g.leaves[1] * g.leaves[2]).sum().item() == pytest.approx(np.square(expected).sum(), rel=1e-11)
    assert engine.inner(g, w).item() == pytest.approx((expected * weights).sum(), rel=1e-10, abs=1e-12)
    assert engine.inner(w, w).item() == pytest.approx(np.square(weights).sum(), rel=1e-11)
    outputs = [plain.output(weights, i) for i in range(8)]
    assert np.allclose(engine.outputs(w)[0, :, 0], outputs, rtol=1e-11, atol=1e-13)


@EVERY_KIND
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("batch_size", BATCHES)
@pytest.mark.parametrize("rho", [0.0, 0.2])
def test_updates_of_gamma_and_rho(kind, setting, batch_size, rho):
    """feature_learning.md section 3; SAM evaluates loss' and act' at w + eps."""
    lr = 0.1
    base = SGD(lr=lr)
    run = make_run(SAM(rho=rho, base=base) if rho else base, train__batch_size=batch_size, **SETTINGS[setting])
    engine, plain, w, batch, chosen = at_work(kind, run)
    y, yhat, signs = plain.labels, plain.true_labels, plain.signs
    before, after = [coefs(run, engine, v) for v in (w, advance(engine, run.optimizer, [batch], w)[0])]

    weights = explicit(w, plain)
    g = plain.gradient(weights, chosen)
    there = weights + rho * g / np.linalg.norm(g)
    mu, noise = plain.vectors[0], plain.vectors[1:]
    count, b = run.data.n_patches - 1, len(chosen)
    slopes = {i: plain.loss_slope(there, i) for i in chosen}
    gamma, rhos = before[0].copy(), before[1].copy()
    for row, j in enumerate(signs):
        clean = sum(slopes[i] * plain.slope(there[row] @ (yhat[i] * mu)) for i in chosen if y[i] == yhat[i])
        flipped = sum(slopes[i] * plain.slope(there[row] @ (yhat[i] * mu)) for i in chosen if y[i] != yhat[i])
        gamma[row] -= lr * plain.scale / b * (clean - flipped) * (mu @ mu)
        for i in chosen:
            on = slopes[i] * plain.slope(there[row] @ noise[i])
            rhos[row, i] -= j * y[i] * lr * plain.scale * count**2 / b * on * (noise[i] @ noise[i])
    assert np.allclose(after[0], gamma, rtol=1e-11, atol=1e-12)
    assert np.allclose(after[1], rhos, rtol=1e-11, atol=1e-12)
    assert max(np.abs(after[0] - before[0]).max(), np.abs(after[1] - before[1]).max()) > 1e-3


def coefs(run, engine, w):
    """gamma [f] and the papers' rho [f, n] of a point, from the tracker."""
    view = replace(view_of(run), **vars(engine.observe(w)))
    columns = Decomposition(per_filter=True, per_sample=True)(view)
    return columns["signal_coef"][0].numpy(), columns["noise_coef"][0].numpy().reshape(len(engine.problem.head), -1)


@EVERY_KIND
@pytest.mark.parametrize("setting", SETTINGS | BEYOND_THE_PAPERS)
@pytest.mark.parametrize("batch_size", BATCHES)
def test_one_sam_step(kind, setting, batch_size):
    """w - lr grad(w + rho grad(w) / |grad(w)|), the norm over all filters jointly, the same batch twice."""
    rule = SAM(rho=0.3, base=SGD(lr=0.1))
    run = make_run(rule, train__batch_size=batch_size, **(SETTINGS | BEYOND_THE_PAPERS)[setting])
    engine, plain, w, batch, chosen = at_work(kind, run)
    weights = explicit(w, plain)
    g = plain.gradient(weights, chosen)
    perturbed = weights + 0.3 * g / math.sqrt(np.square(g).sum())
    expected = weights - 0.1 * plain.gradient(perturbed, chosen)
    probe = rule.probe(Loss(engine, batch), w, rule.init(w), 0)
    assert np.allclose(explicit(probe, plain), perturbed, rtol=1e-10, atol=1e-12)
    assert np.allclose(explicit(advance(engine, rule, [batch], w)[0], plain), expected, rtol=1e-10, atol=1e-12)


@EVERY_KIND
def test_alignments_are_carried_exactly(kind):
    """After a thousand SAM steps align is still alpha A0 + C G to the last digits, and W W' is that of the weights."""
    run = make_run(SAM(rho=0.1, base=SGD(lr=0.1, momentum=0.9, weight_decay=0.01)), network__bias=True)
    engine, plain = kind(engine_of(run).problem), PlainNetwork(run)
    w, _ = advance(engine, run.optimizer, full_batches(engine, 1000))
    alpha, coef, align = w.leaves
    rebuilt = alpha[:, None, None] * engine.problem.align0 + coef @ engine.problem.gram
    assert 0 < alpha.item() < 0.9
    assert torch.allclose(align, rebuilt, rtol=1e-10, atol=1e-11)
    weights, seen = explicit(w, plain), engine.observe(w)
    assert np.allclose(seen.bias[0], weights[:, -1], rtol=1e-10, atol=1e-11)
    weights = weights[:, :-1]
    assert np.allclose(seen.weight_gram[0], weights @ weights.T, rtol=1e-10, atol=1e-11)


# zero gradients


def dead_draw(run):
    """A draw on which no filter is active anywhere: -1 on every noise, 0 on the signal."""
    vectors = draw_run(run.data, run.network, 0, keep=True).vectors[0].numpy()
    target = np.full((2 * run.network.n_filters, len(vectors)), -1.0)
    target[:, 0] = 0
    weights = target @ np.linalg.pinv(vectors).T
    weights[:, 0] = 0  # exactly, not up to rounding; the signal's direction is e_1
    vectors = vectors.copy()
    vectors[1:, 0] = 0
    return redrawn(run, vectors=vectors, weights=weights)


@pytest.mark.parametrize("activation", ["relu", "relu2", "relu3"])
@pytest.mark.parametrize("kind", [*KINDS, WeightEngine])
def test_dead_filters_stay_dead_without_nan(activation, kind):
    """Zero gradient: zero perturbation. A division by |grad| = 0 would give NaN here."""
    run = make_run(SAM(rho=0.5, base=SGD(lr=0.1, momentum=0.9)), network__activation=activation)
    draw = dead_draw(run)
    problem = problem_of(run, draw)
    engine = WeightEngine(problem, draw) if kind is WeightEngine else kind(problem)
    w, batch = engine.initial(), full_batches(engine, 1)
    assert engine.align(w)[0, :, 2:].max() < -0.9
    assert engine.inner(engine.gradient(w, batch[0]), engine.gradient(w, batch[0])).item() == 0
    assert identical(run.optimizer.probe(Loss(engine, batch[0]), w, run.optimizer.init(w), 0), w)
    end, _ = advance(engine, run.optimizer, batch * 5)
    assert identical(end, w)


@pytest.mark.parametrize("name", ["gram", "weights"])
def test_without_init_and_signal_nothing_happens(name):
    rule = SAM(rho=0.5, base=SGD(lr=0.1, momentum=0.9, weight_decay=0.1))
    run = make_run(rule, engine=name, network__init_std=0.0, data__signal_norm=0.0)
    engine = engine_of(run)
    w, _ = advance(engine, rule, full_batches(engine, 5))
    assert all(leaf.isfinite().all() for leaf in w.leaves)
    assert not engine.align(w).any() and not engine.outputs(w).any()
    observed = engine.observe(w)
    assert not observed.coef.any() and not observed.weight_gram.any()


@pytest.mark.parametrize("name", ["gram", "weights"])
def test_a_dead_run_does_not_disturb_its_neighbour(name):
    runs = [make_run(SAM(rho=0.3, base=SGD(lr=0.1)), engine=name, network__init_std=std) for std in (0.0, 0.05)]
    runs[0] = replace(runs[0], data=replace(runs[0].data, signal_norm=0.0))
    both = engine_of(*runs)
    w, _ = advance(both, runs[0].optimizer, full_batches(both, 5))
    alone = engine_of(runs[1])
    v, _ = advance(alone, runs[0].optimizer, full_batches(alone, 5))
    assert not both.align(w)[0].any()
    assert torch.allclose(both.align(w)[1], alone.align(v)[0], rtol=1e-12)


def identical(u: Vector, v: Vector) -> bool:
    return all(torch.equal(a, b) for a, b in zip(u.leaves, v.leaves, strict=True))


def test_a_gradient_too_small_to_square_gives_no_perturbation():
    engine = engine_of(make_run())
    loss, w = Loss(engine, full_batches(engine, 1)[0]), engine.initial()
    g = engine.gradient(w, loss.batch)
    for factor, length in ((1e-180, 0.0), (1e-100, 1.0), (1e100, 1.0), (1e180, 0.0)):
        unit = loss.unit(factor * g)
        assert all(leaf.isfinite().all() for leaf in unit.leaves)
        assert math.sqrt(engine.inner(unit, unit).item()) == pytest.approx(length, abs=1e-12)
