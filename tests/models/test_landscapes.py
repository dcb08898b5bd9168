"""Every landscape against formulas written by hand in numpy, independent of the engine's autograd."""

import math

import numpy as np
import pytest
import torch
from helpers import landscape_engine

from featlearn.data.chebyshev import Chebyshev
from featlearn.data.digits import Digits
from featlearn.data.gaussian import Gaussian
from featlearn.data.iris import Iris
from featlearn.data.none import NoData
from featlearn.models import MODELS
from featlearn.models.beale import Beale
from featlearn.models.bump import Bump
from featlearn.models.diagonal_network import DiagonalNetwork
from featlearn.models.landscape import Landscape
from featlearn.models.linear_autoencoder import LinearAutoencoder
from featlearn.models.mlp import MLP
from featlearn.models.product import Product
from featlearn.models.quadratic import Quadratic
from featlearn.models.saddle import Saddle
from featlearn.models.teacher_student import TeacherStudent
from featlearn.models.two_valleys import TwoValleys
from featlearn.models.valley import Valley

NONE, CLOUD, POINTS, IMAGES = NoData(), Gaussian(n_samples=9, dim=4, decay=0.5), Chebyshev(n_samples=7), Digits()
SEED = 3


def quadratic(model, leaves, given):
    (w,), (eigenvalues, rows) = leaves, given
    h = rows.T @ np.diag(eigenvalues) @ rows
    return [w @ h @ w / 2], [h @ w]


def valley(model, leaves, given):
    ((x, y),), c = leaves, model.curvature
    return [(c + y) * x * x / 2], [[(c + y) * x, x * x / 2]]


def product(model, leaves, given):
    ((x, y),) = leaves
    return [(x * y) ** 2 / 2], [[x * y * y, x * x * y]]


def saddle(model, leaves, given):
    (w,), lam = leaves, np.array(model.spectrum)
    value = sum(lam * w**2 / 2 - model.cubic * w**3 / 3 + model.quartic * w**4 / 4)
    return [value], [lam * w - model.cubic * w**2 + model.quartic * w**3]


def diagonal_network(model, leaves, given):
    """|x (u * v) - y|^2 / 2 and its gradient: (r' x) * v and (r' x) * u for the residual r."""
    (u, v), (x, y) = leaves, given
    residual = x @ (u * v).T - y
    back = residual.T @ x / len(x)
    return (residual**2).sum(1) / 2, [back * v, back * u]


def beale(model, leaves, given):
    ((x, y),) = leaves
    value = dx = dy = 0.0
    for k, c in enumerate((1.5, 2.25, 2.625), start=1):
        residual = c - x * (1 - y**k)
        value += residual**2
        dx -= 2 * residual * (1 - y**k)
        dy += 2 * residual * x * k * y ** (k - 1)
    return [value], [[dx, dy]]


def bump(model, leaves, given):
    ((x,),) = leaves
    return [2 * model.curvature * math.sin(x / 2) ** 2], [[model.curvature * math.sin(x)]]


def two_valleys(model, leaves, given):
    (w,), (a, b, d) = leaves, (model.sharp, model.flat, model.distance)
    z, u = w[0] / d, w[1:]
    q = (a * (1 - z) ** 2 + b * (1 + z) ** 2) / 4
    slope = (b * (1 + z) - a * (1 - z)) / 2
    height = d**2 * (1 - z**2) ** 2 / 8 + u @ u / 2
    return [q * height], [[slope * height / d - q * d * z * (1 - z**2) / 2, *(q * u)]]


def linear_autoencoder(model, leaves, given):
    (e, d), (x,) = leaves, given
    miss, moments = d @ e - np.eye(len(d)), x.T @ x / len(x)
    return [np.sum((miss @ row) ** 2) / 2 for row in x], [d.T @ miss @ moments, miss @ moments @ e.T]


def teacher_student(model, leaves, given):
    (w, v), (x, _), (teacher, outer) = leaves, given, model.teacher(SEED, CLOUD)
    act = {"erf": np.vectorize(math.erf), "tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}[model.activation]
    slope = {
        "erf": lambda z: 2 / math.sqrt(math.pi) * np.exp(-(z**2)),
        "tanh": lambda z: 1 - np.tanh(z) ** 2,
        "relu": lambda z: (z > 0) * 1.0,
    }[model.activation]
    losses, dw, dv = [], np.zeros_like(w), np.zeros_like(v)
    for row in x / math.sqrt(x.shape[1]):
        residual = v @ act(w @ row) - outer @ act(teacher @ row)
        losses.append(residual**2 / 2)
        dv += residual * act(w @ row) / len(x)
        dw += residual * np.outer(v * slope(w @ row), row) / len(x)
    return losses, [dw, dv]


def mlp(model, leaves, given):
    """Backpropagation sample by sample."""
    weights, biases, (x, y) = leaves[::2], leaves[1::2], given
    act = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
    act["identity"] = lambda z: z
    slope = {"tanh": lambda a: 1 - a * a, "relu": lambda a: (a > 0) * 1.0, "sigmoid": lambda a: a * (1 - a)}
    slope["identity"] = np.ones_like
    losses, grads = [], [np.zeros_like(leaf) for leaf in leaves]
    for row, target in zip(x, y, strict=True):
        layers = [row]
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            layers.append(act[model.activation](w @ layers[-1] + b))
        out = weights[-1] @ layers[-1] + biases[-1]
        if model.loss == "half_square":
            losses.append(np.sum((out - target) ** 2) / 2)
            delta = out - target
        else:
            chance = np.exp(out) / np.exp(out).sum()
            losses.append(-math.log(chance @ target))
            delta = chance - target
        for i in reversed(range(len(weights))):
            grads[2 * i] += np.outer(delta, layers[i]) / len(x)
            grads[2 * i + 1] += delta / len(x)
            delta = (weights[i].T @ delta) * slope[model.activation](layers[i])
    return losses, grads


CASES = [
    (quadratic, Quadratic(spectrum=(3.0, 0.5, -1.0)), NONE),
    (quadratic, Quadratic(spectrum=(3.0, 0.5, -1.0, 0.0), rotated=True), NONE),
    (valley, Valley(curvature=4.0, x=0.3, y=-0.7), NONE),
    (product, Product(x=-0.4, y=2.0), NONE),
    (saddle, Saddle(spectrum=(-1.0, 2.0, 0.3), cubic=0.2, quartic=0.7, init_std=1.0), NONE),
    (saddle, Saddle(start=(0.2, -0.3)), NONE),
    (beale, Beale(x=0.7, y=-1.2), NONE),
    (bump, Bump(curvature=1.5, x=2.5), NONE),
    (two_valleys, TwoValleys(sharp=9.0, flat=2.0, distance=1.5, x=-0.6), NONE),
    (two_valleys, TwoValleys(sharp=0.5, flat=2.0, n_transverse=3, x=0.3), NONE),
    (linear_autoencoder, LinearAutoencoder(n_hidden=2, init_std=0.7), CLOUD),
    (teacher_student, TeacherStudent(), CLOUD),
    (teacher_student, TeacherStudent(n_hidden=3, n_teacher=4, activation="tanh"), CLOUD),
    (teacher_student, TeacherStudent(activation="relu"), CLOUD),
    (diagonal_network, DiagonalNetwork(start_u=0.3, start_v=-0.2, n_active=2), CLOUD),
    (diagonal_network, DiagonalNetwork(start_v=0.4, noise=0.5, n_active=4), CLOUD),
    (diagonal_network, DiagonalNetwork(start_v=0.1), Iris(n_samples=8)),
    (mlp, MLP(width=5), POINTS),
    (mlp, MLP(width=4, n_hidden=3, activation="sigmoid", init_scale=2.0), POINTS),
    (mlp, MLP(width=6, activation="relu"), Digits(n_samples=8)),
    (mlp, MLP(width=6, n_hidden=2, loss="cross_entropy"), Digits(n_samples=8)),
    (mlp, MLP(width=3, activation="identity", loss="cross_entropy"), Iris(n_samples=8)),
]
ONE_START = Valley, Product, Beale, Bump, TwoValleys, DiagonalNetwork
EVERY = pytest.mark.parametrize(("by_hand", "model", "data"), CASES)


def test_every_landscape_is_among_the_cases():
    tried = {type(model) for _, model, _ in CASES}
    assert tried == {cls for cls in MODELS.values() if issubclass(cls, Landscape)}


@EVERY
def test_losses_and_gradient_are_those_of_the_formula(by_hand, model, data):
    engine = landscape_engine(model, data, SEED)
    w = engine.initial()
    losses, gradient = by_hand(model, model.initial(SEED, data), model.given(SEED, data))
    assert np.allclose(engine.losses(w)[0], losses, rtol=1e-12, atol=1e-14)
    found = engine.gradient(w, torch.full_like(engine.labels, 1 / data.n_samples))
    for leaf, expected in zip(found.leaves, gradient, strict=True):
        assert leaf.shape[1:] == np.shape(expected)
        assert np.allclose(leaf[0], expected, rtol=1e-11, atol=1e-13)


@EVERY
def test_all_are_smooth_but_those_with_relu(by_hand, model, data):
    assert model.smooth == (getattr(model, "activation", None) != "relu")


@EVERY
def test_parameters_are_counted_and_drawn_from_the_runs_own_stream(by_hand, model, data):
    first, again, other = (model.initial(seed, data) for seed in (0, 0, 1))
    assert tuple(leaf.shape for leaf in first) == model.shapes(data)
    assert sum(leaf.size for leaf in first) == model.n_parameters(data)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    fixed = isinstance(model, ONE_START) or getattr(model, "start", None) is not None
    assert all(np.array_equal(a, b) == fixed for a, b in zip(first, other, strict=True))


@EVERY
def test_real_numbers_enter_by_the_draws_only(by_hand, model, data):
    """Runs that differ in them may share a block."""
    other = type(model)(**{k: v for k, v in vars(model).items() if not isinstance(v, float | tuple)})
    engine = landscape_engine(model, data, SEED)
    leaves, given = engine.initial().leaves, [torch.as_tensor(x) for x in model.given(SEED, data)]
    losses = other.losses(tuple(leaf[0] for leaf in leaves), tuple(given))
    assert torch.allclose(losses.reshape(-1), engine.losses(engine.initial())[0], rtol=1e-13)
