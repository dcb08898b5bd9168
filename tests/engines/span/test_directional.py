"""Hessian products for any sample weights: of the Gram engines, plain and compiled, of their micro-batches, and of the
weight engine, which shares no formula with them."""

from dataclasses import replace

import pytest
import torch
from helpers import engine_of, loss_on, make_run

from featlearn.data import XOR
from featlearn.engines.protocol import Loss
from featlearn.engines.span.directional import Linearization
from featlearn.engines.span.engine import GramEngine
from featlearn.functions.activations import ACTIVATIONS
from featlearn.functions.losses import LOSSES

BENT = [name for name, act in ACTIVATIONS.items() if act.second is not None]
NETWORKS = {
    "fixed": {},
    "bias, P = 3": {"network__bias": True, "data__n_patches": 3, "data__flip_prob": 0.3},
    "trained": {"network__second_layer": "trained"},
    "trained, softmax, bias": {"network__second_layer": "trained", "network__loss": "softmax", "network__bias": True},
    "softmax of 4 classes": {
        "data": XOR(n_samples=8, dim=60, signal_norm=2.0),
        "network__loss": "softmax",
        "network__second_layer": "trained",
    },
}
CASES = [("softplus", name, "logistic") for name in NETWORKS]
CASES += [(act, "bias, P = 3", "logistic") for act in ACTIVATIONS] + [(act, "trained", "logistic") for act in BENT]
CASES += [("softplus", "trained", loss) for loss in LOSSES]
SIGNED = torch.tensor([[0.4, -0.3, 0.2, 0.0, -0.1, 0.5, 0.3, -0.6]], dtype=torch.float64)
OTHER = torch.tensor([[0.1, 0.3, -0.2, 0.4, 0.6, 0.0, -0.5, 0.2]], dtype=torch.float64)


def run_with(activation, network, loss):
    changes = {"network__activation": activation, "network__init_std": 0.1, "data__noise_std": 0.5, **NETWORKS[network]}
    changes["data"] = replace(changes.get("data", make_run().data), noise_std=changes.pop("data__noise_std"))
    if "softmax" not in network:
        changes["network__loss"] = loss
    return make_run(**changes)


def engines(run):
    fused, weights = engine_of(run), engine_of(replace(run, engine="weights"))
    return {"compiled": fused, "plain": GramEngine(fused.problem), "weights": weights}


def place(engine):
    """A point, a direction with a part along the initial weights, and directions to measure others by."""
    start, single = engine.initial(), torch.eye(8, dtype=torch.float64)
    w = start - 0.5 * engine.gradient(start, OTHER)
    v = engine.gradient(w, SIGNED) + 0.3 * start
    points = (start, w, w + 0.5 * v)
    return w, v, [start, v, *(engine.gradient(p, one[None]) for p in points for one in single)]


def products(engine, rulers, u):
    """The inner products of u with the rulers and with itself, which no choice of coordinates changes."""
    return torch.cat([engine.inner(r, u) for r in (*rulers, u)])


def apart(a, b):
    return float((a - b).abs().max() / b.abs().max())


@pytest.mark.parametrize(("activation", "network", "loss"), CASES)
def test_the_engines_agree_for_weights_of_any_sign(activation, network, loss):
    found = {}
    for name, engine in engines(run_with(activation, network, loss)).items():
        w, v, rulers = place(engine)
        g, hvp = engine.linearize(w, SIGNED)
        one, two = hvp(v), hvp(rulers[3])
        across = engine.inner(v, two)
        assert apart(engine.inner(rulers[3], one), across) < 1e-11  # symmetric
        found[name] = [products(engine, rulers, x) for x in (g, one, two)]
    for name in ("compiled", "plain"):
        for a, b in zip(found[name], found["weights"], strict=True):
            assert apart(a, b) < 1e-12


@pytest.mark.parametrize("part", ["_bend", "_dshare"])
def test_a_wrong_twin_disagrees(part, monkeypatch):
    """Negative control: a Hessian without the curvature of the activations, or without that of the loss."""
    run = run_with("softplus", "trained", "logistic")
    engine, right = (engines(run)[name] for name in ("plain", "weights"))
    if part == "_bend":
        monkeypatch.setattr(Linearization, "_bend", None)
    else:
        zero = torch.zeros(1, engine.problem.gram.shape[1], 1, dtype=torch.float64)
        monkeypatch.setattr(Linearization, "_dshare", lambda self, dz, dv: zero)
    results = []
    for each in (engine, right):
        w, v, rulers = place(each)
        results.append(products(each, rulers, each.linearize(w, SIGNED)[1](v)))
    assert apart(*results) > 1e-3


@pytest.mark.parametrize("activation", ["relu", "relu2", "relu3", "softplus"])
@pytest.mark.parametrize("network", ["fixed", "bias, P = 3", "trained, softmax, bias"])
def test_micro_batches_have_their_own_hessians(activation, network):
    """The mean over micro-batches of H_b g_b; micro-batches of compiled loops have vectors of another kind."""
    found = {}
    for name, engine in engines(run_with(activation, network, "logistic")).items():
        w, _, rulers = place(engine)
        samples = torch.tensor([[5, 0, 3, 6, 1, 1]])
        shards = engine.shards(replace(loss_on(engine, torch.full_like(SIGNED, 1 / 8)), samples=samples), 2)

        def bent(loss, at, strength):
            g, hvp = loss.linearize(at)
            return g + strength * hvp(loss.unit(g))

        mean = shards.average(bent, w, 0.7)
        found[name] = products(engine, rulers, mean)
        hand = engine.initial() * 0.0
        for pair in samples.reshape(3, 2):
            batch = torch.zeros_like(SIGNED).index_add_(1, pair, torch.full((1, 2), 0.5, dtype=torch.float64))
            hand = hand + (1 / 3) * bent(Loss(engine, batch), w, 0.7)
        assert apart(found[name], products(engine, rulers, hand)) < 1e-12
    assert apart(found["compiled"], found["weights"]) < 1e-12
    assert apart(found["plain"], found["weights"]) < 1e-12


def test_products_are_the_slopes_of_the_gradient():
    engine = engine_of(run_with("softplus", "trained, softmax, bias", "softmax"))
    w, v, rulers = place(engine)
    errors = []
    for step in (2e-2, 1e-2):
        ahead, behind = (engine.gradient(w + sign * step * v, SIGNED) for sign in (1.0, -1.0))
        slope = (0.5 / step) * (ahead - behind)
        errors.append(
            apart(products(engine, rulers, engine.linearize(w, SIGNED)[1](v)), products(engine, rulers, slope))
        )
    assert 3.9 < errors[0] / errors[1] < 4.1 and errors[1] < 1e-4
