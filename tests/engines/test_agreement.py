"""The two engines share draws and rules but no gradient code: their agreement is the proof of the Gram engine."""

from dataclasses import replace

import pytest
import torch
from helpers import RULES, make_run, with_steps

from featlearn.engines.gram import GramEngine
from featlearn.engines.protocol import Loss, Vector
from featlearn.simulate import MiniBatches, build_engine

SETTINGS = {
    "plain": {},
    "flips": {"data__flip_prob": 0.3},
    "bias": {"network__bias": True},
    "bias, mean scale": {"network__bias": True, "network__patches": "mean", "network__filters": "sum"},
    "P = 4 shared": {"data__n_patches": 4},
    "P = 4 independent, bias": {"data__n_patches": 4, "data__noise": "independent", "network__bias": True},
    "orthogonal noise": {"data__orthogonal_noise": True},
    "uniform init": {"network__init": "uniform", "network__init_std": None},
    # with noise_std = 1 SAM on relu2 is chaotic: 1e-15 on the initial weights becomes 1e-4 in one and the same engine
    "relu2": {"network__activation": "relu2", "data__noise_std": 0.5},
    "relu3, flips": {"network__activation": "relu3", "data__flip_prob": 0.2, "network__init_std": 0.1},
    "softplus, bias": {"network__activation": "softplus", "network__bias": True},
    "no signal": {"data__signal_norm": 0.0},
}


def weights_after(run, n_steps):
    """Explicit joint weights [b, f, D] of both engines after n_steps, the Gram ones rebuilt as alpha W0 + C V."""
    runs = [with_steps(run, n_steps)]
    ends, explicit = {}, None
    for name in ("weights", "gram"):
        engine = build_engine([in_engine(r, name) for r in runs], "cpu")
        w = engine.initial()
        memory = run.optimizer.init(w)
        for t, batch in zip(range(n_steps), MiniBatches(runs, engine.problem.labels).weights(), strict=False):
            w, memory = run.optimizer.step(Loss(engine, batch), w, memory, t)
        ends[name] = w
        explicit = explicit or engine
    alpha, coef, _ = ends["gram"].leaves
    rebuilt = alpha[:, None, None] * explicit._joined(explicit.initial()) + coef @ explicit._data
    return explicit._joined(ends["weights"]), rebuilt


def in_engine(run, name):
    return replace(run, engine=name)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("batch_size", [8, 3])
def test_explicit_weights_agree_to_1e_12_over_300_steps(rule, setting, batch_size):
    run = with_steps(make_run(RULES[rule], **SETTINGS[setting]), 300, batch_size=batch_size)
    explicit, rebuilt = weights_after(run, 300)
    assert (explicit - rebuilt).abs().max() <= 1e-12
    start = weights_after(run, 0)[0]
    assert (explicit - start).abs().max() > 1e-2  # it has moved


def one_wrong_entry(engine, g):
    coef = g.leaves[1].clone()
    coef[:, 0, 1] *= 1 + 1e-9
    return Vector((g.leaves[0], coef, coef @ engine.problem.gram))


def alignments_along_the_diagonal_only(engine, g):
    diagonal = engine.problem.gram.diagonal(dim1=1, dim2=2)[:, None, :]
    return Vector((g.leaves[0], g.leaves[1], g.leaves[1] * diagonal))


def flips_forgotten(engine, g):
    sign = (engine.problem.true_labels * engine.problem.labels)[:, None, :]
    coef = torch.cat([g.leaves[1][..., :1], g.leaves[1][..., 1:] * sign], -1)
    return Vector((g.leaves[0], coef, coef @ engine.problem.gram))


@pytest.mark.parametrize("wrong", [one_wrong_entry, alignments_along_the_diagonal_only, flips_forgotten])
def test_a_wrong_twin_disagrees(wrong, monkeypatch):
    """Negative control: the very comparison above must catch each of these wrong gradients."""
    run = make_run(RULES["sam"], data__flip_prob=0.3)
    correct = GramEngine.gradient
    monkeypatch.setattr(GramEngine, "gradient", lambda self, w, batch: wrong(self, correct(self, w, batch)))
    explicit, rebuilt = weights_after(run, 300)
    assert (explicit - rebuilt).abs().max() > 1e-11


def test_observations_agree():
    run = make_run(RULES["sam momentum, decay"], data__n_patches=3, network__bias=True, data__flip_prob=0.2)
    views = {}
    for name in ("weights", "gram"):
        engine = build_engine([in_engine(run, name)], "cpu")
        w, memory = engine.initial(), run.optimizer.init(engine.initial())
        batch = torch.full_like(engine.problem.labels, 1 / 8)
        for t in range(50):
            w, memory = run.optimizer.step(Loss(engine, batch), w, memory, t)
        views[name] = engine.observe(w)
    for field in ("align", "coef", "weight_gram", "margins", "residual"):
        difference = getattr(views["weights"], field) - getattr(views["gram"], field)
        assert difference.abs().max() < 1e-12, field


def test_inner_products_agree_along_the_initial_weights():
    run = make_run(network__bias=True)
    gram, weights = (build_engine([in_engine(run, name)], "cpu") for name in ("gram", "weights"))
    batch = torch.full_like(gram.problem.labels, 1 / 8)
    values = []
    for engine in (gram, weights):
        u = engine.initial()
        v = engine.gradient(u, batch) + 0.3 * u
        values.append(torch.stack([engine.inner(u, u), engine.inner(u, v), engine.inner(v, u), engine.inner(v, v)]))
    assert torch.allclose(*values, rtol=1e-12, atol=0)
