"""The compiled engine against the plain one: every activation and loss, data models, second layers, precisions."""

from dataclasses import replace

import pytest
import torch
from helpers import engine_of, make_run

from featlearn.data import XOR
from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.engines.span.engine import GramEngine
from featlearn.functions import ACTIVATIONS, LOSSES

MODELS = {
    "signal_noise": {},
    "signal_noise, independent": {"data__noise": "independent", "data__n_patches": 4, "data__flip_prob": 0.2},
    "xor": {"data": XOR(n_samples=8, dim=60, signal_norm=2.0, angle=70.0, n_patches=3)},
}
TOLERANCE = {"float64": 1e-13, "float32": 2e-5}


def twins(dtype="float64", **changes):
    """A block of two runs, one with few mini-batch samples, in both engines."""
    runs = [replace(make_run(seed=seed, network__init_std=0.1, **changes), dtype=dtype) for seed in range(2)]
    fused = engine_of(*runs)
    assert type(fused) is CPUGramEngine
    return fused, GramEngine(fused.problem)


def batch_of(engine):
    batch = torch.full_like(engine.labels, 1 / 8)
    batch[1, :6], batch[1, 6:] = 0.0, 0.5
    return batch


def moved(engine, steps=3, labels=None):
    """A point some steps from the start, the gradients on the way, and inner products."""
    batch, w, found = batch_of(engine), engine.initial(), []
    for _ in range(steps):
        g = engine.gradient(w, batch, labels)
        length = engine.inner(g, g).rsqrt().nan_to_num(posinf=0.0)
        h = engine.gradient(w + 0.1 * length * g, batch)
        found += [*g.leaves, *h.leaves, engine.inner(g, g), engine.inner(g, h), engine.inner(w, h)]
        w = w - 0.05 * (h + 0.1 * w)
    return w, [*found, *w.leaves, engine.losses(w), engine.inner(w, w), engine.rows_square(w), engine.rows_gram(w)]


def apart(ones, others):
    """The largest difference, relative to the largest number if that exceeds 1; NaN where a number is."""
    pairs = list(zip(ones, others, strict=True))
    assert all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs)
    return torch.stack([(a - b).abs().max().double() / b.abs().max().clamp(min=1).double() for a, b in pairs]).max()


def distance(**changes):
    fused, plain = twins(**changes)
    return apart(moved(fused)[1], moved(plain)[1])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation, dtype):
    assert distance(network__activation=activation, dtype=dtype) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("second_layer", ["fixed", "trained"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss, second_layer, dtype):
    changes = {"network__loss": loss, "network__second_layer": second_layer, "dtype": dtype}
    assert distance(**changes, network__activation="gelu") < TOLERANCE[dtype]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("second_layer", ["fixed", "trained"])
@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_every_data_model(model, bias, second_layer, loss):
    changes = {"network__loss": loss, "network__second_layer": second_layer, "network__bias": bias, **MODELS[model]}
    assert distance(**changes) < 1e-13


@pytest.mark.parametrize("second_layer", ["fixed", "trained"])
def test_labels_may_be_given(second_layer):
    fused, plain = twins(network__loss="softmax", network__second_layer=second_layer)
    labels = 1 - fused.labels
    others = moved(fused, 1, labels)[1]
    assert apart(others, moved(plain, 1, labels)[1]) < 1e-13 < apart(others, moved(fused, 1)[1])


def test_a_trained_second_layer_moves_and_the_first_one_stays_the_problems():
    fused, _ = twins(network__second_layer="trained")
    head = fused.problem.head.clone()
    w, _ = moved(fused)
    assert (w.leaves[3] - head).abs().min() > 1e-4 and torch.equal(fused.problem.head, head)
    assert torch.equal(fused.initial().leaves[3], head.expand(2, -1, -1))


WRONG = {
    "another loss": lambda network, incidence: (network._replace(loss=network.loss + 1), incidence),
    "another activation": lambda network, incidence: (network._replace(activation=8), incidence),
    "a fixed second layer": lambda network, incidence: (network._replace(trained=False), incidence),
    "a slot counted once": lambda network, incidence: (network, incidence._replace(times=0 * incidence.times + 1 / 3)),
    "samples of the neighbour": lambda network, incidence: (
        network,
        incidence._replace(shown=incidence.shown[:, :, ::-1].copy()),
    ),
    "no common patch but one": lambda network, incidence: (
        network,
        incidence._replace(common=incidence.common.clip(max=1)),
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_twin_fails(wrong):
    """Negative control: the comparison above detects each of these errors in the arguments of the loops."""
    fused, plain = twins(data__n_patches=3, network__second_layer="trained")
    network, incidence = WRONG[wrong](fused.network, fused._data.incidence)
    fused.network, fused._data = network, fused._data._replace(incidence=incidence)
    assert not apart(moved(fused)[1], moved(plain)[1]) < 1e-6


@pytest.mark.parametrize("second_layer", ["fixed", "trained"])
@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_a_run_has_its_own_bits_in_any_block(loss, second_layer):
    changes = {"network__loss": loss, "network__second_layer": second_layer}
    runs = [make_run(seed=seed, data__n_samples=7, **changes) for seed in range(4)]

    def ends(*block):
        engine = engine_of(*block)
        batch, w = torch.full_like(engine.labels, 1 / 7), engine.initial()
        for _ in range(3):
            w = w - 0.1 * engine.gradient(w, batch)
        return [*w.leaves, engine.inner(w, w)]

    together = ends(*runs)
    for lane, run in enumerate(runs):
        assert all(torch.equal(a[lane], b[0]) for a, b in zip(together, ends(run), strict=True))
