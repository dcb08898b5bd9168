"""The two engines share draws and rules but no gradient code: their agreement validates the Gram engine."""

from dataclasses import replace

import pytest
import torch
from helpers import GRAM_RULES, IN_LAW, RULES, make_run, mini_batches, with_steps

from featlearn.data.leaky_mixture import LeakyMixture
from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.engines.protocol import Loss
from featlearn.engines.span.engine import GramEngine
from featlearn.optim import SAM, SGD
from featlearn.simulation import build_engine

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
    "relu3, calm": {
        "network__activation": "relu3",
        "network__init_std": 0.1,
        "seed": 1,
    },  # chaotic with seed 0 and flips
    "softplus, bias": {"network__activation": "softplus", "network__bias": True},
    "no signal": {"data__signal_norm": 0.0},
    "leaky mixture": {
        "data": LeakyMixture(n_samples=8, dim=16, gamma=0.2, flip_prob=0.2),
        "network__activation": "leaky_relu",
        "network__loss": "hinge",
    },
    "two scales": {"data__noise_spectrum": ((0.5, 0.8), (3.0, None))},
}
TELLING = ["flips", "P = 4 independent, bias", "softplus, bias"]


def final(engine, run, n_steps):
    w = engine.initial()
    memory = run.optimizer.init(w)
    for t, loss in zip(range(n_steps), mini_batches(engine.problem.labels, run).losses(engine), strict=False):
        w, memory = run.optimizer.step(loss, w, memory, t)
    return w


def distances(run, n_steps, *kinds):
    """How far the weights have moved, and how far those of Gram engines, rebuilt as alpha W0 + C V, are from them."""
    explicit = build_engine([in_engine(run, "weights")], "cpu")
    start = explicit._joined(explicit.initial())
    end, patches = explicit._joined(final(explicit, run, n_steps)), explicit._distinct
    if run.network.bias:
        patches = torch.nn.functional.pad(patches, (0, 1), value=1.0)
    apart = []
    for kind in kinds:
        alpha, coef, _ = final(kind(explicit.problem), run, n_steps).leaves
        apart.append(float((alpha[:, None, None] * start + coef @ patches - end).abs().max()))
    return float((end - start).abs().max()), *apart


def in_engine(run, name):
    return replace(run, engine=name)


BY_SGD = [name for name, rule in RULES.items() if type(getattr(rule, "base", rule)) is SGD]
THOROUGH = [name for name in BY_SGD if type(RULES[name]) in (SGD, SAM)]  # the others: where they differ most
CASES = [(rule, setting, 3) for rule in THOROUGH for setting in SETTINGS]
CASES += [(rule, setting, 8) for rule in THOROUGH for setting in TELLING]
CASES += [(rule, setting, 3) for rule in GRAM_RULES if rule not in (*THOROUGH, *IN_LAW) for setting in TELLING]
CASES += [("sam around muon", "relu3, calm", 3)]  # small singular values, step after step the same ones


@pytest.mark.parametrize(("rule", "setting", "batch_size"), CASES)
def test_explicit_weights_agree_to_1e_12(rule, setting, batch_size):
    n_steps = 100 if setting in TELLING and rule not in THOROUGH else 300
    run = with_steps(make_run(RULES[rule], **SETTINGS[setting]), n_steps, batch_size=batch_size)
    moved, plain, fused = distances(run, n_steps, GramEngine, CPUGramEngine)
    assert moved > 1e-2
    assert max(plain, fused) <= 1e-12


def test_the_fused_engine_is_its_plain_twin_in_float32_too():
    run = replace(make_run(RULES["sam momentum, decay"], network__bias=True, data__flip_prob=0.2), dtype="float32")
    fused = build_engine([run], "cpu")
    assert isinstance(fused, CPUGramEngine)
    ends = [final(engine, run, 50) for engine in (fused, GramEngine(fused.problem))]
    for a, b in zip(ends[0].leaves, ends[1].leaves, strict=True):
        assert a.dtype == torch.float32
        assert torch.allclose(a, b, rtol=0, atol=2e-5)


def one_wrong_entry(engine, g):
    coef = g.leaves[1].clone()
    coef[:, 0, 2] *= 1 + 1e-9
    return engine.vector(g.leaves[0], coef, coef @ engine.problem.gram)


def alignments_along_the_diagonal_only(engine, g):
    diagonal = engine.problem.gram.diagonal(dim1=1, dim2=2)[:, None, :]
    return engine.vector(g.leaves[0], g.leaves[1], g.leaves[1] * diagonal)


def flips_forgotten(engine, g):
    true_labels = 1 - 2 * engine.problem.shown[..., 0]
    sign = (true_labels * engine.problem.labels)[:, None, :]
    coef = torch.cat([g.leaves[1][..., :2], g.leaves[1][..., 2:] * sign], -1)
    return engine.vector(g.leaves[0], coef, coef @ engine.problem.gram)


@pytest.mark.parametrize("wrong", [one_wrong_entry, alignments_along_the_diagonal_only, flips_forgotten])
def test_a_wrong_twin_disagrees(wrong, monkeypatch):
    """Negative control: the comparison above must detect each of these wrong gradients."""
    run = make_run(RULES["sam"], data__flip_prob=0.3)
    correct = CPUGramEngine.gradient
    monkeypatch.setattr(CPUGramEngine, "gradient", lambda self, w, *rest: wrong(self, correct(self, w, *rest)))
    assert distances(run, 300, CPUGramEngine)[1] > 1e-11


def test_observations_agree():
    changes = {"data__n_patches": 3, "data__flip_prob": 0.2, "data__noise_spectrum": ((0.5, 0.8), (3.0, None))}
    run = make_run(RULES["sam momentum, decay"], network__bias=True, **changes)
    views = {}
    for name in ("weights", "gram"):
        engine = build_engine([in_engine(run, name)], "cpu")
        w, memory = engine.initial(), run.optimizer.init(engine.initial())
        batch = torch.full_like(engine.problem.labels, 1 / 8)
        for t in range(50):
            w, memory = run.optimizer.step(Loss(engine, batch), w, memory, t)
        views[name] = engine.observe(w)
    for field in ("align", "signal_align", "bias", "coef", "weight_gram", "weighted_gram", "outputs", "residual"):
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
