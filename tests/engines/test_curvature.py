"""Both engines' Hessians against a dense one by torch.func.hessian on explicit weights, and against curvlinops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import RULES, PlainNetwork, advance, drawn_batches, engine_of, explicit, make_run

from featlearn.data import XOR
from featlearn.engines.cpu import coordinates as wide_coordinates
from featlearn.engines.explicit import curvature as autograd_curvature
from featlearn.engines.explicit.curvature import AutogradCurvature
from featlearn.engines.explicit.engine import TwoLayerModule
from featlearn.engines.protocol import Vector
from featlearn.engines.span import curvature as gram_curvature
from featlearn.engines.span.engine import GramEngine

# torch's own forward mode, which torch.func.hessian uses, is scripted on its first use
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

SETTINGS = {
    "plain": {},
    "flips, P = 4, mean": {"data__flip_prob": 0.3, "data__n_patches": 4, "network__patches": "mean"},
    "bias, P = 3": {"network__bias": True, "data__n_patches": 3, "data__flip_prob": 0.3},
    "independent, bias": {"data__noise": "independent", "data__n_patches": 4, "network__bias": True},
    "orthogonal, summed filters": {"data__orthogonal_noise": True, "network__filters": "sum"},
    "dependent data": {"data__dim": 6},
    "no signal": {"data__signal_norm": 0.0},
    "xor": {"data": XOR(n_samples=8, dim=30, signal_norm=2.0, noise_std=0.5)},  # G has a kernel of two dimensions
}
ACTIVATIONS = ["relu", "relu2", "relu3", "softplus"]
EVERY = pytest.mark.parametrize("setting", SETTINGS)
EVERY_ACTIVATION = pytest.mark.parametrize("activation", ACTIVATIONS)


def dense_hessian(engine, w, batch):
    """The matrix over all parameters of the first run, leaf by leaf, each flattened."""
    shapes = [leaf.shape for leaf in w.leaves]

    def loss(flat):
        parts = torch.split(flat, [shape.numel() for shape in shapes])
        leaves = tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
        return (batch * engine.losses(Vector(leaves))).sum()

    return torch.func.hessian(loss)(torch.cat([leaf.flatten() for leaf in w.leaves]))


def by_size(values):
    return values[values.abs().argsort(descending=True)]


def flat(w):
    return torch.cat([leaf.flatten() for leaf in w.leaves])


class Point:
    """One point a few SAM steps from the start, and its mini-batch, in both engines; the dense Hessian there."""

    def __init__(self, activation="relu", batch_size=8, steps=4, **changes):
        changes = {"data__dim": 30, "data__noise_std": 0.5, "network__init_std": 0.1, **changes}
        self.run = make_run(RULES["sam"], network__activation=activation, train__batch_size=batch_size, **changes)
        self.engines = {name: engine_of(replace(self.run, engine=name)) for name in ("gram", "weights")}
        self.at = {}
        for name, engine in self.engines.items():
            batches = drawn_batches(self.run, steps + 1)[0]
            self.at[name] = advance(engine, self.run.optimizer, batches[:steps])[0]
            self.batch = batches[steps]
        self.dense = dense_hessian(self.engines["weights"], self.at["weights"], self.batch)
        self.values = by_size(torch.linalg.eigvalsh(self.dense))

    def curvature(self, name):
        return self.engines[name].curvature(self.at[name], self.batch)

    def flattened(self, name, direction):
        """A direction of either engine as one of the weights', in the order of ``dense``."""
        if name == "weights":
            return flat(direction)
        plain = PlainNetwork(self.run)
        rows = torch.as_tensor(direction.leaves[1][0].numpy() @ plain.distinct)
        if not self.run.network.bias:
            return rows.flatten()
        return torch.cat([rows[:, :-1].flatten(), rows[:, -1]])


@EVERY_ACTIVATION
@EVERY
@pytest.mark.parametrize("batch_size", [8, 3])
def test_against_the_dense_hessian(activation, setting, batch_size):
    """Eigenvalues, trace, principal vector and products of both engines, to 1e-8 of the largest eigenvalue."""
    point = Point(activation, batch_size, **SETTINGS[setting])
    size = point.values[0].abs().item()
    assert size > 1e-3
    for name in ("gram", "weights"):
        curvature = point.curvature(name)
        assert (curvature.top(6)[0] - point.values[:6]).abs().max() < 1e-8 * size, name
        assert abs(curvature.trace().item() - point.dense.trace().item()) < 1e-8 * size, name
        v = point.flattened(name, curvature.principal())
        assert v.norm().item() == pytest.approx(1, abs=1e-8)
        assert (point.dense @ v - point.values[0] * v).norm() < 1e-7 * size, name
        g = point.engines[name].gradient(point.at[name], point.batch)
        product = point.flattened(name, curvature.hvp(g))
        assert (product - point.dense @ point.flattened(name, g)).abs().max() < 1e-8 * size * flat(g).norm(), name


@EVERY_ACTIVATION
@pytest.mark.parametrize("setting", ["plain", "independent, bias"])
@pytest.mark.parametrize("plain", [True, False])
def test_lanczos_finds_the_eigenvalues_of_the_whole_matrix(activation, setting, plain, monkeypatch):
    """The route of large problems, on small ones."""
    monkeypatch.setattr(gram_curvature, "DENSE", 0)
    monkeypatch.setattr(autograd_curvature, "DENSE", 0)
    point = Point(activation, **SETTINGS[setting])
    if plain:
        point.engines["gram"] = GramEngine(point.engines["gram"].problem)
    size = point.values[0].abs().item()
    for name in ("gram", "weights"):
        curvature = point.curvature(name)
        assert (curvature.top(5)[0] - point.values[:5]).abs().max() < 1e-8 * size, name
        v = point.flattened(name, curvature.principal())
        assert (point.dense @ v - point.values[0] * v).norm() < 1e-7 * size, name


@EVERY_ACTIVATION
def test_beyond_the_span_all_is_flat(activation):
    """All requested eigenvalues are returned, the last ones zero: in d = 30 the span has 9 dimensions of a filter."""
    point = Point(activation, network__n_filters=1)
    values = point.curvature("gram").top(60)[0]
    assert values.shape == (60,) and not values[18:].any()
    assert (values - point.values).abs().max() < 1e-8


@EVERY_ACTIVATION
def test_the_dimension_does_not_matter(activation):
    """A vector orthogonal to the span is mapped to zero, also when it lies along the initial weights."""
    point = Point(activation)
    engine, w = point.engines["gram"], point.engines["gram"].initial()
    product = point.curvature("gram").hvp(w)
    expected = point.dense @ flat(point.engines["weights"].initial())
    assert torch.allclose(point.flattened("gram", product), expected, rtol=1e-8, atol=1e-12)
    assert engine.inner(product, product).item() > 0


def test_relu_has_no_negative_curvature_and_others_do():
    lowest = {a: torch.linalg.eigvalsh(Point(a).dense)[0].item() for a in ACTIVATIONS}
    assert lowest["relu"] > -1e-12 and max(lowest["relu2"], lowest["relu3"], lowest["softplus"]) < -1e-4


def test_without_the_second_derivative_of_the_activation_it_is_wrong():
    """Negative control: the error of the Gauss-Newton part alone is above a million times the tolerance."""
    for activation in ACTIVATIONS[1:]:
        point = Point(activation)
        curvature = GramEngine.curvature(point.engines["gram"], point.at["gram"], point.batch)
        curvature._seconds = None
        assert (curvature.top(1)[0] - point.values[0]).abs() > 1e-2 * point.values[0].abs()


def test_a_closed_form():
    """One filter a sign, all of them on: H = sum_i l''_i g_i g_i' / n with g_i = j (yhat_i mu + xi_i), by hand."""
    point = Point("relu", network__n_filters=1)
    engine, plain = point.engines["gram"], PlainNetwork(point.run)
    w = explicit(point.at["gram"], plain)
    rows = []
    for i, patches in enumerate(plain.patches):
        f = plain.output(w, i)
        gradient = np.stack([j * sum((w[r] @ x > 0) * x for x in patches) for r, j in enumerate(plain.signs)]).flatten()
        rows.append(gradient / (2 * np.cosh(f / 2)) * np.sqrt(point.batch[0, i].item()))
    expected = np.linalg.svd(np.stack(rows), compute_uv=False) ** 2
    assert np.allclose(engine.curvature(point.at["gram"], point.batch).top(8)[0], expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_curvlinops_agrees(activation):
    """Another library's exact Hessian of the same module and loss."""
    from curvlinops import HessianLinearOperator

    point = Point(activation, network__bias=True)
    engine, w = point.engines["weights"], point.at["weights"]
    p = engine.problem
    module = TwoLayerModule(w.leaves[0][0], w.leaves[1][0], p.head, p.scale, p.activation, trained=False)
    data = [(engine._patches[0], (p.labels + 1).T / 2)]
    hessian = HessianLinearOperator(module, torch.nn.BCEWithLogitsLoss(), list(module.parameters()), data)
    matrix = hessian @ torch.eye(hessian.shape[1], dtype=torch.float64)
    assert torch.allclose(matrix, point.dense, rtol=0, atol=1e-8 * float(point.values[0].abs()))
    for name in ("gram", "weights"):
        top = point.curvature(name).top(5)[0]
        assert (top - by_size(torch.linalg.eigvalsh(matrix))[:5]).abs().max() < 1e-8 * point.values[0].abs()


# many runs at once


@EVERY_ACTIVATION
@pytest.mark.parametrize("name", ["gram", "weights"])
@pytest.mark.parametrize("dense", [True, False])
def test_a_block_is_its_runs_one_by_one(activation, name, dense, monkeypatch):
    if not dense:
        monkeypatch.setattr(gram_curvature, "DENSE", 0)
        monkeypatch.setattr(autograd_curvature, "DENSE", 0)
    runs = [
        make_run(engine=name, network__activation=activation, seed=seed, data__dim=20, data__signal_norm=1.0 + seed)
        for seed in range(4)
    ]
    block = found(engine_of(*runs))
    for lane, run in enumerate(runs):
        alone = found(engine_of(run))
        for a, b in zip(block, alone, strict=True):
            assert torch.allclose(a[lane], b[0], rtol=1e-9, atol=1e-10)


def found(engine):
    w = engine.initial()
    batch = torch.full_like(engine.problem.labels, 1 / 8)
    curvature = engine.curvature(w, batch)
    g, v = engine.gradient(w, batch), curvature.principal()
    return curvature.top(3), curvature.trace(), engine.inner(g, v).abs()


@EVERY_ACTIVATION
@pytest.mark.parametrize("dense", [True, False])
def test_bits_do_not_depend_on_the_neighbours(activation, dense, monkeypatch):
    """At a fixed number of lanes: other runs of the block, one of them without any gradient, change no bit."""
    if not dense:
        monkeypatch.setattr(gram_curvature, "DENSE", 0)
    runs = [make_run(network__activation=activation, seed=seed) for seed in range(6)]
    others = [
        replace(runs[0], seed=9),
        *[make_run(network__activation=activation, network__init_std=s) for s in (0.0, 3.0)],
    ]
    here, there = found(engine_of(*runs)), found(engine_of(runs[2], *others, runs[1], runs[5]))
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a[2], b[0]) and torch.equal(a[1], b[4]) and torch.equal(a[5], b[5])


@EVERY_ACTIVATION
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("k", [1, 4])
def test_the_fused_route_is_the_plain_one(activation, setting, k, monkeypatch):
    """The loops compiled for a CPU against the batched torch that CUDA uses."""
    monkeypatch.setattr(gram_curvature, "DENSE", 0)
    engine = engine_of(*[make_run(network__activation=activation, seed=s, **SETTINGS[setting]) for s in range(3)])
    w, batch = engine.initial(), torch.full_like(engine.problem.labels, 1 / 8)
    fused, plain = engine.curvature(w, batch), GramEngine.curvature(engine, w, batch)
    assert type(fused) is not type(plain)
    assert torch.allclose(fused.top(k), plain.top(k), rtol=1e-10, atol=1e-12)
    along = engine.inner(fused.principal(), plain.principal()).abs()
    assert torch.allclose(along, torch.ones(3, dtype=torch.float64), rtol=1e-8)


@pytest.mark.parametrize("setting", SETTINGS)
def test_coordinates_serve_where_coefficients_do(setting, monkeypatch):
    """Both routes of the compiled search, where G is far from singular, and the remaining one where it is not."""
    monkeypatch.setattr(gram_curvature, "DENSE", 0)
    changes = {"network__activation": "softplus", "data__noise_std": 0.5, **SETTINGS[setting]}
    runs, found = [make_run(seed=seed, **changes) for seed in range(2)], []
    for limit in (wide_coordinates.REGULAR, 2.0):
        monkeypatch.setattr(wide_coordinates, "REGULAR", limit)
        engine = engine_of(*runs)
        w, batch = engine.initial(), torch.full_like(engine.problem.labels, 1 / 8)
        curvature = engine.curvature(w, batch)
        found.append((curvature.top(1), curvature.top(3), curvature.principal(), engine))
    (one, three, v, engine), (other, others, u, _) = found
    assert torch.allclose(one, other, rtol=1e-11) and torch.allclose(three, others, rtol=1e-11)
    assert torch.allclose(engine.inner(u, v).abs(), torch.ones(2, dtype=torch.float64), rtol=1e-10)


@EVERY_ACTIVATION
@pytest.mark.parametrize("std", [0.0, 1e-9, 1e-7, 1e-5])
def test_filters_that_are_nearly_the_same(activation, std):
    """Their eigenvalues are clustered, arbitrarily closely."""
    for signal in (0.0, 1.0):
        point = Point(activation, network__init_std=std, network__n_filters=6, data__signal_norm=signal, steps=2)
        size = point.values[0].abs().item()
        assert (point.curvature("gram").top(1)[0] - point.values[0]).abs() <= 1e-8 * size


# many eigenvalues, one after the other

MANY = {  # activation, m, n, d, bias, init_std, k
    "small weights": ("relu2", 4, 20, 1000, False, 1e-4, 8),
    "two filters a sign": ("relu2", 2, 20, 1000, False, 0.5 / 1000**0.5, 5),
    "multiple": ("softplus", 4, 20, 10, True, 0.0, 8),
    "multiple but for rounding": ("softplus", 4, 20, 15, True, 1e-8, 8),
    "multiple at first sight": ("softplus", 4, 20, 60, True, 1e-4, 12),
    "both signs alike": ("relu2", 4, 40, 2000, False, 0.1, 16),
}


def point_of_many(name, seeds):
    activation, m, n, d, bias, std, k = MANY[name]
    runs = [
        make_run(
            seed=seed,
            network__activation=activation,
            network__n_filters=m,
            network__bias=bias,
            network__init_std=std,
            data__n_samples=n,
            data__dim=d,
            train__batch_size=n,
        )
        for seed in seeds
    ]
    return runs, torch.full((len(runs), n), 1 / n, dtype=torch.float64), k


@pytest.mark.parametrize("name", MANY)
def test_many_eigenvalues(name, monkeypatch):
    """Compiled and plain search against the whole matrix: none is missed, and each is repeated by its multiplicity.

    By absolute value: which of lambda and -lambda comes first is left to rounding.
    """
    runs, batch, k = point_of_many(name, (3, 10, 11, 14))
    engine = engine_of(*runs)
    w = engine.initial()
    compiled, plain = engine.curvature(w, batch), GramEngine.curvature(engine, w, batch)
    found = [compiled.top(k), plain.top(k)]
    monkeypatch.setattr(gram_curvature, "DENSE", 10**6)
    expected = GramEngine.curvature(engine, w, batch).top(k)
    for top in found:
        assert ((top.abs() - expected.abs()).abs() < 1e-8 * expected[:, :1].abs()).all()


@pytest.mark.parametrize("name", ["multiple", "multiple but for rounding", "multiple at first sight"])
def test_many_eigenvalues_of_explicit_weights(name, monkeypatch):
    """Both engines' searches against the eigenvalues of a dense Hessian by torch."""
    runs, batch, k = point_of_many(name, [0])
    engines = [engine_of(replace(runs[0], engine=e)) for e in ("gram", "weights")]
    expected = by_size(torch.linalg.eigvalsh(dense_hessian(engines[1], engines[1].initial(), batch))).abs()
    monkeypatch.setattr(autograd_curvature, "DENSE", 0)
    for engine in engines:
        top = engine.curvature(engine.initial(), batch).top(k)[0].abs()
        assert (top - expected[:k]).abs().max() < 1e-8 * expected[0]


@EVERY_ACTIVATION
@pytest.mark.parametrize("k", [8, 11, 12])
def test_nearly_as_many_eigenvalues_as_parameters(activation, k, monkeypatch):
    """Two filters a sign in three dimensions: the data span them, and the searches use all dimensions."""
    monkeypatch.setattr(gram_curvature, "DENSE", 0)
    monkeypatch.setattr(autograd_curvature, "DENSE", 0)
    point = Point(activation, data__dim=3, network__n_filters=2)
    found = [point.curvature(name).top(k)[0] for name in ("gram", "weights")]
    found.append(GramEngine.curvature(point.engines["gram"], point.at["gram"], point.batch).top(k)[0])
    for top in found:
        assert (top.abs() - point.values[:k].abs()).abs().max() < 1e-8 * point.values[0].abs()


@pytest.mark.parametrize("name", ["gram", "weights"])
def test_many_eigenvalues_of_nothing(name, monkeypatch):
    """H = 0, by a search: zeros, no amplified rounding."""
    monkeypatch.setattr(autograd_curvature, "DENSE", 0)
    changes = {"network__activation": "relu3", "network__init_std": 0.0, "network__n_filters": 8}
    engine = engine_of(make_run(engine=name, data__signal_norm=0.0, **changes))
    batch = torch.full_like(engine.problem.labels, 1 / 8)
    assert not engine.curvature(engine.initial(), batch).top(8).any()


# where there is no curvature, or none that fits a number


@EVERY_ACTIVATION
@pytest.mark.parametrize("name", ["gram", "weights"])
def test_a_flat_loss(activation, name):
    """No init and no signal: only softplus curves the loss there; elsewhere everything is zero, and nothing is NaN."""
    run = make_run(engine=name, network__activation=activation, network__init_std=0.0, data__signal_norm=0.0)
    top, trace, along = found(engine_of(run))
    flat_loss = activation in ("relu", "relu3")
    assert top.isfinite().all() and trace.isfinite().all() and along.isfinite().all()
    assert (not top.any() and trace.item() == 0 and along.item() == 0) or not flat_loss


@EVERY_ACTIVATION
@pytest.mark.parametrize("dense", [True, False])
def test_a_run_that_overflows_is_nan_and_its_neighbour_is_not(activation, dense, monkeypatch):
    if not dense:
        monkeypatch.setattr(gram_curvature, "DENSE", 0)
    engine = engine_of(make_run(network__activation=activation), make_run(network__activation=activation, seed=1))
    w, batch = engine.initial(), torch.full_like(engine.problem.labels, 1 / 8)
    leaves = [leaf.clone() for leaf in w.leaves]
    leaves[2][0] = torch.nan
    curvature = engine.curvature(Vector(tuple(leaves)), batch)
    values, alone = curvature.top(2), engine.curvature(w, batch).top(2)
    assert values[0].isnan().all() and torch.equal(values[1], alone[1])
    assert curvature.trace()[0].isnan() and curvature.principal().leaves[1][0].isnan().all()


# losses of any kind


def quadratic(matrix):
    """Per-sample losses [b, 1] of w' A w / 2 on weights in two leaves, and a point."""

    def losses(w):
        x = torch.cat([leaf.flatten(1) for leaf in w.leaves], 1)
        return ((x @ matrix) * x).sum(1, keepdim=True) / 2

    return losses, Vector(
        (torch.ones(1, 2, 2, dtype=torch.float64), torch.ones(1, len(matrix) - 4, dtype=torch.float64))
    )


@pytest.mark.parametrize("dense", [True, False])
def test_a_quadratic_has_its_own_spectrum(dense, monkeypatch):
    if not dense:
        monkeypatch.setattr(autograd_curvature, "DENSE", 0)
    spectrum = torch.tensor([20.0, -15.0, 7.0, 3.0, 0.5, 0.0, -1e-3], dtype=torch.float64)
    turn = torch.linalg.qr(torch.as_tensor(np.random.default_rng(0).normal(size=(7, 7))))[0]
    losses, w = quadratic(turn * spectrum @ turn.T)
    curvature = AutogradCurvature(losses, w, torch.ones(1, 1, dtype=torch.float64))
    assert torch.allclose(curvature.top(7)[0], by_size(spectrum), rtol=1e-12, atol=1e-12)
    assert curvature.trace().item() == pytest.approx(spectrum.sum().item(), rel=1e-12)
    assert abs(flat(curvature.principal()) @ turn[:, 0]).item() == pytest.approx(1, abs=1e-9)
    assert torch.allclose(flat(curvature.hvp(w)), turn * spectrum @ turn.T @ torch.ones(7, dtype=torch.float64))


def test_a_linear_loss_has_none():
    w = Vector((torch.ones(2, 3, dtype=torch.float64),))
    curvature = AutogradCurvature(lambda w: w.leaves[0].sum(1, keepdim=True), w, torch.ones(2, 1, dtype=torch.float64))
    assert not curvature.top(3).any() and not curvature.trace().any() and not flat(curvature.principal()).any()


def test_single_precision():
    engine = engine_of(make_run(dtype="float32"))
    double = engine_of(make_run())
    for a, b in zip(found(engine), found(double), strict=True):
        assert a.dtype == torch.float32 and torch.allclose(a.double(), b, rtol=1e-4, atol=1e-5)
