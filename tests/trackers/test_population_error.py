"""Population error by the reduction to 2m Gaussians, against test sets drawn in d dimensions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import PlainNetwork, advance, engine_of, explicit, full_batches, make_run, view_of
from scipy import special

from featlearn.optim import SAM, SGD
from featlearn.trackers import TestError, population_error
from featlearn.trackers.gamma_loops import decay, upper_gamma, upper_gammas
from featlearn.trackers.population_error import (
    _Integral,
    chi_lengths,
    noise_gram,
    rotations,
    semidefinite_cholesky,
    sobol_directions,
)

ACT = {
    "relu": lambda z: np.maximum(z, 0),
    "relu2": lambda z: np.maximum(z, 0) ** 2,
    "relu3": lambda z: np.maximum(z, 0) ** 3,
    "softplus": lambda z: np.logaddexp(0, z),
}
SETTINGS = {
    "relu": {},
    "untrained": {"train__n_steps": 0},
    "relu2": {"network__activation": "relu2", "network__init_std": 0.1, "data__noise_std": 0.6},
    "relu3": {"network__activation": "relu3", "network__init_std": 0.3, "data__noise_std": 0.4},
    "softplus": {"network__activation": "softplus"},
    "bias": {"network__bias": True, "network__init_std": 0.1},
    "softplus, bias, flips": {
        "network__activation": "softplus",
        "network__bias": True,
        "data__flip_prob": 0.1,
        "data__signal_norm": 6.0,
    },
    "P = 4 shared, flips": {"data__n_patches": 4, "data__flip_prob": 0.2, "data__signal_norm": 5.0},
    "P = 4 independent": {"data__n_patches": 4, "data__noise": "independent"},
    "P = 3 independent, bias": {"data__n_patches": 3, "data__noise": "independent", "network__bias": True},
    "orthogonal": {"data__orthogonal_noise": True},
    "orthogonal, bias": {"data__orthogonal_noise": True, "network__bias": True, "network__init_std": 0.1},
    "weak signal": {"data__signal_norm": 0.3},
    "weight decay": {"network__init_std": 0.3},
}
STEPS = 20
TRUE = "test_error_true"


def rule_of(setting):
    return SGD(lr=0.1, weight_decay=0.3) if setting == "weight decay" else SAM(rho=0.05, base=SGD(lr=0.1))


def on_a_test_set(run, weights, size, rng):
    """Mistakes against observed labels on a fresh test set of explicit patches [size, P, d]; and against true ones."""
    data, plain = run.data, PlainNetwork(run)
    y = rng.choice([-1.0, 1.0], size)
    noise = data.noise_std * rng.standard_normal((size, data.noises_per_sample, data.dim))
    if data.orthogonal_noise:
        noise[:, :, 0] = 0  # the signal's direction is e_1
    patches = np.concatenate([np.zeros((size, 1, data.dim)), np.repeat(noise, data.noise_count, 1)], 1)
    patches[:, 0, 0] = y * data.strength
    assert patches.shape[1] == data.n_patches
    hidden = patches @ weights[:, : data.dim].T + (weights[:, data.dim] if run.network.bias else 0.0)
    f = plain.scale * (ACT[run.network.activation](hidden) * np.array(plain.signs)).sum((1, 2))
    observed = np.where(rng.random(size) < data.flip_prob, -y, y)
    return [(label * f < 0) + 0.5 * (f == 0) for label in (observed, y)]


def run_of(setting, **changes):
    return make_run(
        rule_of(setting), **{"data__signal_norm": 3.0, "train__n_steps": STEPS, **SETTINGS[setting], **changes}
    )


def drawn_and_computed(run, change=lambda view: view):
    """For observed and true labels: the error on 40000 fresh samples, that of the tracker, and their joint se.

    The tracker gets so many points that what is compared is its law, not its luck.
    """
    engine, plain = engine_of(run), PlainNetwork(run)
    w, _ = advance(engine, run.optimizer, full_batches(engine, run.train.n_steps))
    rng = np.random.default_rng(7)
    sets = [on_a_test_set(run, explicit(w, plain), 5000, rng) for _ in range(8)]
    columns = TestError(n_points=256, n_scrambles=32)(change(view_of(run, steps=run.train.n_steps)))
    for name, sample, scale in zip(
        ("test_error", TRUE), zip(*sets, strict=True), (1, 1 - 2 * run.data.flip_prob), strict=True
    ):
        sample = np.concatenate(sample)
        se = columns["test_error_se"].item() / scale
        yield sample.mean(), columns[name].item(), math.hypot(sample.std() / math.sqrt(sample.size), se)


@pytest.mark.parametrize("setting", SETTINGS)
def test_error_on_a_test_set_in_d_dimensions(setting):
    for drawn, computed, se in drawn_and_computed(run_of(setting)):
        assert abs(drawn - computed) < 4 * se < 0.02
        assert 0.005 < computed < 0.75


WRONG = {
    "orthogonal": lambda view: replace(view, problem=replace(view.problem, orthogonal_noise=False)),
    "relu": lambda view: replace(view, problem=replace(view.problem, orthogonal_noise=True)),
    "P = 4 shared, flips": lambda view: replace(view, problem=replace(view.problem, noise_count=1)),
    "weight decay": lambda view: replace(view, weight_gram=view.weight_gram + 0.5 * view.problem.init_gram),
    "P = 4 independent": lambda view: replace(
        view, problem=replace(view.problem, noise_std=0.8 * view.problem.noise_std)
    ),
    "bias": lambda view: replace(view, align=torch.cat([view.align[..., :-1], 0 * view.align[..., -1:]], -1)),
}


@pytest.mark.parametrize("setting", WRONG)
def test_the_comparison_notices_a_wrong_reduction(setting):
    """Negative controls: each of these is one line away."""
    _, (drawn, computed, se) = drawn_and_computed(run_of(setting), WRONG[setting])
    assert abs(drawn - computed) > 6 * se


def test_flips_need_no_sampling():
    clean, flipped = (TestError()(view_of(make_run(data__flip_prob=p))) for p in (0.0, 0.2))
    e = flipped[TRUE].item()
    assert flipped["test_error"].item() == pytest.approx(0.8 * e + 0.2 * (1 - e), rel=1e-14)
    assert clean["test_error"].item() == clean[TRUE].item()
    at_start = make_run(data__flip_prob=0.2)
    assert TestError()(view_of(at_start))[TRUE].item() == clean[TRUE].item()  # the untrained network is the same


@pytest.mark.parametrize("changes", [{"network__init_std": 0.0, "data__signal_norm": 0.0}, {"network__init_std": 0.0}])
@pytest.mark.parametrize("activation", ["relu", "relu2", "relu3", "softplus"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_network_without_opinion_is_wrong_half_the_time(changes, activation, bias):
    run = make_run(SAM(rho=0.1, base=SGD(lr=0.1)), network__activation=activation, network__bias=bias, **changes)
    columns = TestError()(view_of(run))
    assert [columns[name].item() for name in ("test_error", TRUE, "test_error_se")] == [0.5, 0.5, 0.0]


def test_without_signal_nothing_can_be_learned():
    """The two classes look alike, so the error is one half, whatever was memorized."""
    columns = TestError()(view_of(make_run(data__signal_norm=0.0), steps=20))
    assert columns[TRUE].item() == pytest.approx(0.5, abs=1e-14)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("radial", [True, False])
def test_signal_alone_decides_without_noise(sign, radial):
    """Filters with no extent across the signal see no noise: the error is 0, or 1 with the classes exchanged."""
    view = view_of(make_run(network__activation="relu" if radial else "softplus"))
    j = view.problem.signs[None]
    align = torch.zeros_like(view.align)
    align[..., :1] = sign * j
    view = replace(view, align=align, weight_gram=torch.zeros_like(view.weight_gram))
    assert TestError()(view)[TRUE].item() == (0.0 if sign > 0 else 1.0)


def seeds(count, setting, steps=STEPS):
    runs = [run_of(setting, seed=seed) for seed in range(count)]
    return view_of(*runs, steps=steps)


def without_degree(view):
    problem = replace(view.problem, activation=replace(view.problem.activation, degree=None))
    return replace(view, problem=problem)


@pytest.mark.parametrize(
    "setting", ["relu", "relu2", "relu3", "P = 4 shared, flips", "P = 4 independent", "orthogonal"]
)
def test_integrating_the_length_changes_nothing_but_the_error_bar(setting):
    """The radial route is exact: same mean as the indicator's, with a smaller standard error."""
    view, tracker = seeds(24, setting), TestError(n_points=256, n_scrambles=16)
    radial, plain = tracker(view), tracker(without_degree(view))
    unseen = (radial[TRUE] / (256 * 16)).sqrt()  # the indicator has no error bar where no point was a mistake
    se = plain["test_error_se"].where(plain[TRUE] > 0, unseen)
    z = (radial["test_error"] - plain["test_error"]) / torch.hypot(radial["test_error_se"], se)
    assert z.abs().max() < 4.5 and abs(z.mean().item()) * math.sqrt(24) < 4
    assert radial["test_error_se"].mean() < plain["test_error_se"].mean()


@pytest.mark.parametrize("setting", ["relu", "softplus", "bias", "P = 4 independent", "softplus, bias, flips"])
def test_the_standard_error_is_honest(setting):
    """Over 100 independent sets of 8 scrambles the estimates spread as widely as their error bars say, within 15 %."""
    view, flip = seeds(24, setting), SETTINGS[setting].get("data__flip_prob", 0.0)
    replicates = (1 - 2 * flip) * TestError(n_scrambles=800)._by_scramble(view).reshape(24, 100, 8)
    spread = replicates.mean(2).var(1).mean().sqrt()
    said = (replicates.var(2) / 8).mean().sqrt()
    assert 0.85 < (spread / said).item() < 1.15
    shown = TestError()(view)["test_error_se"]
    assert torch.allclose(shown, replicates[:, 0].std(1) / math.sqrt(8), rtol=1e-9)
    assert shown.max() < 0.03


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_fused_route_is_the_plain_one(setting, monkeypatch):
    """The loops compiled for a CPU against the same formulas in plain torch, which CUDA uses."""
    view, tracker = seeds(6, setting), TestError(n_points=32)
    fused = tracker._by_scramble(view)
    monkeypatch.setattr(_Integral, "fused", _Integral.plain)
    assert torch.allclose(fused, tracker._by_scramble(view), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("route", ["fused", "plain"])
@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_what_has_overflown_is_not_an_error_rate(route, activation, monkeypatch):
    if route == "plain":
        monkeypatch.setattr(_Integral, "fused", _Integral.plain)
    view = seeds(2, "relu")
    view = replace(view, problem=view_of(make_run(network__activation=activation), make_run(seed=1)).problem)
    for name in ("align", "weight_gram"):
        for wild in (math.inf, math.nan):
            broken = getattr(view, name).clone()
            broken[0] = wild
            error = TestError()(replace(view, **{name: broken}))[TRUE]
            assert error[0].isnan() and error[1].isfinite(), (name, wild)


@pytest.mark.parametrize("a", [1, 2, 3, 10, 11, 64, 65, 200])
def test_many_gamma_functions_at_once_are_those_one_by_one(a):
    x = np.concatenate([[0.0, 1e-300, 700.0, 1e9, math.inf], np.linspace(0, 3 * a, 400)])
    one_by_one = np.array([upper_gamma(a, float(v)) for v in x])
    found = np.empty_like(x)
    upper_gammas(a, x.copy(), found, np.empty_like(x), np.empty(len(x), np.int64))
    assert np.allclose(found, one_by_one, rtol=1e-13, atol=1e-290)
    assert not np.allclose(found, np.roll(one_by_one, 1), rtol=1e-13, atol=1e-290)


def test_the_exponential_is_exact_to_its_last_bits():
    x = np.concatenate([np.linspace(0, 700, 100_001), np.arange(0, 1000) * math.log(2) / 2])
    expected, found = np.exp(-x), x.copy()
    decay(found, np.empty_like(x), np.empty(len(x), np.int64))
    assert np.abs(found / expected - 1).max() < 4e-16 * 2


@pytest.mark.parametrize("a", [1, 2, 3, 10, 63, 64, 65, 66, 200, 5000])
def test_the_tail_of_the_gamma_law(a):
    x = np.concatenate(
        [[0, 1e-300, 1e-9], np.geomspace(1e-3, 30 * a + 2000, 200), a + np.linspace(-0.9, 9, 50) * a**0.5]
    )
    ours = np.array([upper_gamma(a, float(v)) for v in x])
    assert np.abs(ours - special.gammaincc(a, x)).max() < 1e-12 * max(1, a / 200)  # an exponent of size a log a cancels
    assert upper_gamma(a, math.inf) == pytest.approx(0.0, abs=1e-200)


def test_more_points_bring_less_error():
    view = seeds(24, "relu")
    ses = [TestError(n_points=n)(view)["test_error_se"].mean().item() for n in (16, 64, 256)]
    assert ses[0] > 1.7 * ses[1] > 1.7 * 1.7 * ses[2]  # Monte Carlo would gain 2 each time


def test_runs_share_their_random_numbers():
    """Two optimizers are compared on the same points: their difference is known better than either."""
    run = make_run(SGD(lr=0.1))
    pair = [view_of(replace(run, optimizer=SGD(lr=lr)), steps=8) for lr in (0.1, 0.11)]
    tracker = TestError(n_scrambles=32)
    a, b = (tracker._by_scramble(view)[0] for view in pair)
    assert (a - b).std() < 0.2 * a.std()


@pytest.mark.parametrize("n_points", [3, 100, 65])
def test_sobol_points_come_in_powers_of_two(n_points):
    with pytest.raises(ValueError, match="power of two"):
        TestError(n_points=n_points)


def test_points_are_standard_normal_and_scrambled_anew():
    directions = sobol_directions(1, 6, 64, 8).reshape(8, 64, 6)
    assert np.allclose(np.linalg.norm(directions, axis=2), 1)
    assert len({tuple(first) for first in directions[:, 0]}) == 8
    points = chi_lengths(torch.tensor([0]), 1, 6, 64, 8).numpy().reshape(8, 64, 1) * directions
    assert np.abs(points.mean((0, 1))).max() < 0.02 and np.abs(points.std((0, 1)) - 1).max() < 0.03


def test_lengths_follow_the_chi_law_in_every_scramble():
    lengths = chi_lengths(torch.arange(50), 1, 6, 64, 8).numpy().reshape(50, 8, 64)
    assert (np.sort(lengths[3, 2])[1:] > np.sort(lengths[3, 2])[:-1]).all()
    reach = (lengths**2).max() / 64  # moving all places across their shares moves the mean by the range / 64
    assert np.abs((lengths**2).mean(2) - 6).max() < reach and abs((lengths**2).mean() - 6) < reach / math.sqrt(400)


def test_rotations_are_rotations_and_belong_to_seeds():
    turns = rotations(torch.tensor([3, 4, 3]), 2, 5).numpy()
    assert np.allclose(turns @ turns.swapaxes(-1, -2), np.eye(5), atol=1e-13)
    assert (turns[0] == turns[2]).all() and (rotations(torch.tensor([4]), 2, 5)[0].numpy() == turns[1]).all()
    assert np.abs(turns[0, 0] - turns[0, 1]).max() > 0.1 and np.abs(turns[0] - turns[1]).max() > 0.1
    many = rotations(torch.arange(2000), 1, 3)[:, 0].numpy()
    assert np.abs(many.mean(0)).max() < 4 / math.sqrt(3 * 2000)


# the factor


def gram_matrices():
    rng = np.random.default_rng(0)
    for f in (1, 2, 6, 20):
        for rank in {0, 1, f // 2, f - 1, f}:
            for scale in (1e-12, 1.0, 1e9):
                rows = rng.normal(size=(f, rank))
                if f > 2 and rank > 1:
                    rows[1] = rows[0]  # dead filters are often equal
                    rows[2] = 0
                yield scale * rows @ rows.T


def test_the_factor_of_singular_matrices():
    for gram in gram_matrices():
        lower = semidefinite_cholesky(torch.tensor(gram)[None])[0].numpy()
        values, vectors = np.linalg.eigh(gram)
        by_eigenvalues = vectors * np.sqrt(values.clip(min=0))
        size = max(np.abs(gram).max(), 1e-300)
        assert np.array_equal(lower, np.tril(lower)) and np.isfinite(lower).all()
        assert np.abs(lower @ lower.T - by_eigenvalues @ by_eigenvalues.T).max() < 1e-9 * size


def test_the_factor_of_regular_matrices_is_choleskys():
    rng = np.random.default_rng(1)
    rows = torch.tensor(rng.normal(size=(5, 6, 9)))
    gram = rows @ rows.mT
    assert torch.allclose(semidefinite_cholesky(gram), torch.linalg.cholesky(gram), rtol=1e-10, atol=1e-12)


def test_the_factor_is_continuous_at_a_positive_definite_matrix():
    """With equal eigenvalues too, where factors from eigenvectors jump."""
    shift = torch.tensor([[0.0, 1.0, 0.5], [1.0, 0.0, -0.5], [0.5, -0.5, 0.0]], dtype=torch.float64)[None]
    base = torch.eye(3, dtype=torch.float64)[None]
    plus, minus = (semidefinite_cholesky(base + sign * 1e-7 * shift) for sign in (1, -1))
    assert (plus - minus).abs().max() < 1e-6


def test_a_bad_pivot_in_one_run_is_its_own():
    rows = torch.tensor(np.random.default_rng(3).normal(size=(2, 4, 6)))
    gram = rows @ rows.mT
    gram[0] = 0
    both = semidefinite_cholesky(gram)
    assert not both[0].any() and torch.equal(both[1], semidefinite_cholesky(gram[1:])[0])


def test_the_noise_sees_the_weights_without_bias_and_signal():
    run = make_run(network__bias=True, data__orthogonal_noise=True, network__init_std=0.3)
    engine, plain = engine_of(run), PlainNetwork(run)
    w, _ = advance(engine, run.optimizer, full_batches(engine, 5))
    seen = explicit(w, plain)[:, 1:-1]  # the signal is along e_1, the bias the last coordinate
    assert np.allclose(noise_gram(view_of(run, steps=5))[0], seen @ seen.T, rtol=1e-11, atol=1e-12)


# many seeds


def test_errors_of_the_integral_average_out_over_seeds(monkeypatch):
    """The mean over seeds is as good as its spread says; with one rotation for all (negative control) it is not."""

    def z_score(activation, bias):
        runs = [make_run(seed=s, network__activation=activation, network__bias=bias) for s in range(400)]
        view = view_of(*runs, steps=10)
        off = TestError(n_points=2, n_scrambles=4)(view)[TRUE] - TestError(n_points=2048)(view)[TRUE]
        return abs(float(off.mean() / (off.std() / math.sqrt(len(runs)))))

    settings = [("relu", False), ("relu", True), ("softplus", True)]
    own = [z_score(*setting) for setting in settings]

    def unturned(seeds, q, f):
        return torch.eye(f).double().repeat(len(seeds), q, 1, 1)

    monkeypatch.setattr(population_error, "rotations", unturned)
    assert max(own) < 3.5 and max(z_score(*setting) for setting in settings) > 7
