"""Population error by the reduction to a Gaussian for each filter, against fresh samples drawn in d dimensions."""

import math
from dataclasses import replace

import pytest
import torch
from fresh_draws import DIM, PARTS, Explicit
from helpers import make_run, view_of
from leaky import Leaky
from mixed_margins import MixedMargins
from three_classes import ThreeClasses

from featlearn.data import XOR, Margins, MultiView, Oscillation, SignalNoise, Spurious
from featlearn.data.model import Kind
from featlearn.optim import SAM, SGD
from featlearn.trackers import TestError, integral
from featlearn.trackers.integral import Integral

XOR_DATA = XOR(n_samples=8, dim=DIM, signal_norm=3.0)
CLASSES = ThreeClasses(n_samples=9, dim=DIM, signal_norm=2.0)
LEAKY = Leaky(n_samples=8, dim=DIM)
TWO_SCALES = SignalNoise(n_samples=8, dim=DIM, signal_norm=2.0, noise_spectrum=((3.0, 0.2), (0.4, None)))
SETTINGS = {
    "relu": {},
    "untrained": {"train__n_steps": 0},
    "relu2": {"network__activation": "relu2", "network__init_std": 0.1, "data__noise_std": 0.6},
    "relu3": {"network__activation": "relu3", "network__init_std": 0.3, "data__noise_std": 0.4},
    "cubic": {"network__activation": "cubic", "network__init_std": 0.3, "data__noise_std": 0.7},
    "gelu": {"network__activation": "gelu"},
    "softplus": {"network__activation": "softplus"},
    "bias": {"network__bias": True, "network__init_std": 0.1},
    "softplus, bias, flips": {
        "network__activation": "softplus",
        "network__bias": True,
        "data__flip_prob": 0.1,
        "data__signal_norm": 4.0,
    },
    "P = 4 shared, flips": {"data__n_patches": 4, "data__flip_prob": 0.2, "data__signal_norm": 4.0},
    "P = 4 shared, mean": {"data__n_patches": 4, "network__patches": "mean"},
    "P = 3 independent": {"data__n_patches": 3, "data__noise": "independent"},
    "P = 3 independent, bias": {"data__n_patches": 3, "data__noise": "independent", "network__bias": True},
    "orthogonal": {"data__orthogonal_noise": True},
    "orthogonal, bias": {"data__orthogonal_noise": True, "network__bias": True, "network__init_std": 0.1},
    "weak signal": {"data__signal_norm": 0.3},
    "weight decay": {"network__init_std": 0.3},
    "softmax": {"network__loss": "softmax", "data__flip_prob": 0.1},
    "trained": {"network__second_layer": "trained"},
    "xor": {"data": XOR_DATA},
    "xor, bias, flips": {
        "data": replace(XOR_DATA, angle=70.0, flip_prob=0.1),
        "network__bias": True,
        "network__init_std": 0.2,
    },
    "classes": {"data": CLASSES, "network__loss": "softmax"},
    "classes, relu2, flips": {
        "data": replace(CLASSES, flip_prob=0.2, n_patches=3, noise="independent"),
        "network__loss": "softmax",
        "network__activation": "relu2",
        "network__init_std": 0.1,
    },
    "classes, gelu, trained": {
        "data": replace(CLASSES, flip_prob=0.2),
        "network__loss": "softmax",
        "network__activation": "gelu",
        "network__second_layer": "trained",
    },
    "spurious": {
        "data": Spurious(n_samples=8, dim=DIM, core_norm=1.5, spurious_norm=2.0, alignment=0.7, flip_prob=0.1),
        "network__init_std": 0.2,
    },
    "margins": {
        "data": Margins(n_samples=8, dim=DIM, signal_norm=3.0, small_share=0.4, small_strength=0.5, n_patches=3),
        "network__activation": "relu2",
        "network__init_std": 0.1,
    },
    "multi-view": {
        "data": MultiView(n_samples=9, dim=DIM, signal_norm=3.0, single_share=0.6, minor_strength=0.2, flip_prob=0.1),
        "network__activation": "smoothed_relu",
        "network__loss": "softmax",
        "network__init_std": 0.2,
    },
    "oscillation": {
        "data": Oscillation(n_samples=8, dim=DIM, strong_norm=2.0, strong_share=0.6, noise_std=0.7),
        "network__activation": "relu2",
        "network__loss": "square",
        "network__init_std": 0.1,
    },
    "leaky": {"data": LEAKY},
    "from its population": {
        "data": MixedMargins(n_samples=8, dim=DIM, signal_norm=3.0, flip_prob=0.1),
        "network__activation": "gelu",
    },
    "two scales": {"data": TWO_SCALES},
    "two scales, orthogonal, bias": {"data": replace(TWO_SCALES, orthogonal_noise=True), "network__bias": True},
    "spurious, two scales": {
        "data": Spurious(n_samples=8, dim=DIM, core_norm=2.0, noise_spectrum=((2.0, 4), (0.5, None)))
    },
    "margins, spiked": {
        "data": Margins(n_samples=8, dim=DIM, signal_norm=3.0, noise_spectrum=((0.5, None), (6.0, 2.0)))
    },
    "xor, spiked": {"data": replace(XOR_DATA, noise_spectrum=((0.5, None), (6.0, 2.0)))},
    "leaky, gelu, bias": {"data": LEAKY, "network__activation": "gelu", "network__bias": True},
}
STEPS = 20
TRUE = "test_error_true"
MANY = TestError(n_points=512, n_scrambles=32, loss=True)  # what is compared is its law, not its luck


def rule_of(setting):
    return SGD(lr=0.1, weight_decay=0.3) if setting == "weight decay" else SAM(rho=0.05, base=SGD(lr=0.1))


def run_of(setting, **changes):
    own = SETTINGS[setting] | changes
    data = {} if "data" in own else {"data__dim": DIM, "data__signal_norm": 2.0}
    return make_run(rule_of(setting), **{"train__n_steps": STEPS, **data, **own})


def view_at_end(run):
    return view_of(run, steps=run.train.n_steps)


def apart(run, tracker=MANY, change=lambda view: view, n_parts=PARTS):
    """By how many standard errors each column is off explicit fresh samples of every kind, 10^6 in all parts."""
    view = change(view_at_end(run))
    columns, (names, _, by_kind, _) = tracker(view), tracker.by_kind(view)
    ses = dict(zip(names, by_kind[0].std(1) / tracker.n_scrambles**0.5, strict=True))
    for name, (drawn, se) in Explicit(run, run.train.n_steps).columns(tracker.noise_scale, n_parts).items():
        kind = name.partition(".")[2]
        own = ses[kind] if kind else columns["test_loss_se" if name == "test_loss" else "test_error_se"].item()
        joint = math.hypot(se, own)
        yield name, abs(drawn - columns[name].item()) / joint, joint, columns[name].item()


@pytest.mark.parametrize("setting", SETTINGS)
def test_errors_and_loss_of_explicit_fresh_samples(setting):
    found = list(apart(run_of(setting)))
    named = {kind.name for kind in run_of(setting).data.population()} - {""}
    assert {name for name, *_ in found} == {"test_error", TRUE, "test_loss", *(f"test_error.{name}" for name in named)}
    for name, z, se, value in found:
        assert z < 4 and se < 0.005, name
        assert 0.001 < value < 0.95 or name == "test_loss", name


@pytest.mark.parametrize("setting", ["relu", "xor, bias, flips"])
def test_noise_of_another_strength(setting):
    found = list(apart(run_of(setting), replace(MANY, noise_scale=1.7)))
    assert all(z < 4 for _, z, *_ in found)
    plain = {name: column.item() for name, column in MANY(view_at_end(run_of(setting))).items()}
    assert max(abs(value - plain[name]) / se for name, _, se, value in found) > 20


def composed(**changes):
    """A change of the composition, in which a setting's own numbers are found by name."""

    def change(view):
        composition = view.problem.composed
        made = {name: new(getattr(composition, name)) for name, new in changes.items()}
        return replace(view, problem=replace(view.problem, composition=replace(composition, **made)))

    return change


def orthogonal(on):
    return composed(frame=lambda frame: replace(frame, orthogonal=on))


def patches(**changes):
    """A change of the patches with noise."""

    def changed(patch):
        return (
            patch
            if patch.noise is None
            else replace(patch, **{k: new(getattr(patch, k)) for k, new in changes.items()})
        )

    def kind(kind: Kind) -> Kind:
        return replace(kind, patches=tuple(map(changed, kind.patches)))

    return composed(population=lambda population: tuple(map(kind, population)))


WRONG = {
    "orthogonal": orthogonal(False),
    "relu": orthogonal(True),
    "xor": orthogonal(False),
    "P = 4 shared, flips": patches(times=lambda times: 1),
    "weight decay": lambda view: replace(view, weight_gram=view.weight_gram + 0.5 * view.problem.init_gram),
    "P = 3 independent": patches(std=lambda std: 0.8 * std),
    "bias": lambda view: replace(view, bias=0 * view.bias),
    "leaky": patches(signals=lambda signals: ()),
    "trained": lambda view: replace(view, second=view.problem.head[None]),
    "classes": composed(population=lambda p: tuple(replace(kind, label=(kind.label + 1) % 3) for kind in p)),
    "softmax": composed(flip_prob=lambda p: 0 * p),
}


@pytest.mark.parametrize("setting", WRONG)
def test_the_comparison_notices_a_wrong_reduction(setting):
    """Negative controls: each of these is one line away."""
    assert max(z for _, z, *_ in apart(run_of(setting), change=WRONG[setting], n_parts=1)) > 6


@pytest.mark.parametrize("activation", ["relu", "relu2", "softplus"])
def test_two_classes_are_the_logistic_problem(activation):
    logistic, softmax = (
        TestError(loss=True)(view_at_end(run_of("relu", network__loss=loss, network__activation=activation)))
        for loss in ("logistic", "softmax")
    )
    assert all(logistic[name].item() == pytest.approx(softmax[name].item(), rel=1e-9) for name in logistic)


def test_a_network_with_equal_outputs_is_right_for_one_class_in_three():
    for activation in ("relu", "gelu"):
        run = run_of("classes", network__init_std=0.0, network__activation=activation, train__n_steps=0)
        columns = TestError(loss=True)(view_at_end(run))
        expected = {"test_error": 2 / 3, "test_error.b": 2 / 3, "test_error_se": 0.0, "test_loss": math.log(3)}
        assert {name: columns[name].item() for name in expected} == pytest.approx(expected, rel=1e-14)


def test_kinds_are_weighted_by_their_probability():
    """Also those that never come keep an error."""
    view = view_at_end(run_of("xor"))
    only_u = composed(
        population=lambda p: tuple(replace(k, probability=k.probability * 2 * (k.name == "u")) for k in p)
    )
    plain, changed = TestError()(view), TestError()(only_u(view))
    assert plain[TRUE].item() == pytest.approx((plain["test_error.u"] + plain["test_error.v"]).item() / 2, rel=1e-14)
    assert changed[TRUE].item() == pytest.approx(plain["test_error.u"].item(), rel=1e-14)
    assert changed["test_error.v"].item() == pytest.approx(plain["test_error.v"].item(), rel=1e-14)


def test_the_loss_costs_no_other_error():
    view = view_at_end(run_of("relu"))
    plain, with_loss = TestError()(view), TestError(loss=True)(view)
    assert set(with_loss) - set(plain) == {"test_loss", "test_loss_se"}
    assert all(torch.equal(plain[name], with_loss[name]) for name in plain)


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
    """The two classes have the same law, so the error is one half, whatever was memorized."""
    columns = TestError()(view_of(make_run(data__signal_norm=0.0), steps=20))
    assert columns[TRUE].item() == pytest.approx(0.5, abs=1e-14)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("radial", [True, False])
def test_signal_alone_decides_without_noise(sign, radial):
    """Filters with no extent across the signal see no noise: the error is 0, or 1 with the classes exchanged."""
    view = view_of(make_run(network__activation="relu" if radial else "softplus"))
    view = replace(view, signal_align=sign * view.problem.head[None], weight_gram=torch.zeros_like(view.weight_gram))
    assert TestError()(view)[TRUE].item() == (0.0 if sign > 0 else 1.0)


def by_scramble(tracker, view):
    """The error against true labels, [b, s]."""
    _, probabilities, errors, _ = tracker.by_kind(view)
    return (probabilities[..., None] * errors).sum(1)


def force_plain(monkeypatch):
    for part in ("noise", "errors"):
        monkeypatch.setattr(Integral, f"_compiled_{part}", getattr(Integral, f"_plain_{part}"))


def seeds(count, setting, steps=STEPS):
    runs = [run_of(setting, seed=seed) for seed in range(count)]
    return view_of(*runs, steps=steps)


def without_degree(view):
    problem = replace(view.problem, activation=replace(view.problem.activation, degree=None))
    return replace(view, problem=problem)


@pytest.mark.parametrize(
    "setting", ["relu", "relu2", "relu3", "P = 4 shared, flips", "P = 3 independent", "orthogonal"]
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


@pytest.mark.parametrize("setting", ["relu", "softplus", "bias", "P = 3 independent", "softplus, bias, flips"])
def test_the_standard_error_agrees_with_the_spread(setting):
    """Over 100 independent sets of 8 scrambles the estimates spread as widely as their error bars say, within 15 %."""
    view, flip = seeds(24, setting), run_of(setting).data.flip_prob
    replicates = (1 - 2 * flip) * by_scramble(TestError(n_scrambles=800), view).reshape(24, 100, 8)
    spread = replicates.mean(2).var(1).mean().sqrt()
    reported = (replicates.var(2) / 8).mean().sqrt()
    assert 0.85 < (spread / reported).item() < 1.15
    shown = TestError()(view)["test_error_se"]
    assert torch.allclose(shown, replicates[:, 0].std(1) / math.sqrt(8), rtol=1e-9)
    assert shown.max() < 0.03


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_fused_route_is_the_plain_one(setting, monkeypatch):
    """The loops compiled for a CPU against the same formulas in plain torch, which CUDA uses."""
    view, tracker = seeds(6, setting), TestError(n_points=32)
    fused = by_scramble(tracker, view)
    force_plain(monkeypatch)
    assert torch.allclose(fused, by_scramble(tracker, view), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("route", ["fused", "plain"])
@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_no_error_rate_after_overflow(route, activation, monkeypatch):
    if route == "plain":
        force_plain(monkeypatch)
    view = seeds(2, "relu")
    view = replace(view, problem=view_of(make_run(network__activation=activation), make_run(seed=1)).problem)
    for name in ("signal_align", "weight_gram"):
        for wild in (math.inf, math.nan):
            broken = getattr(view, name).clone()
            broken[0] = wild
            error = TestError()(replace(view, **{name: broken}))[TRUE]
            assert error[0].isnan() and error[1].isfinite(), (name, wild)


def test_more_points_bring_less_error():
    view = seeds(24, "relu")
    ses = [TestError(n_points=n)(view)["test_error_se"].mean().item() for n in (16, 64, 256)]
    assert ses[0] > 1.7 * ses[1] > 1.7 * 1.7 * ses[2]  # Monte Carlo would gain 2 each time


def test_runs_share_their_random_numbers():
    """Two optimizers are compared on the same points: their difference is known better than either."""
    run = make_run(SGD(lr=0.1), seed=1)
    pair = [view_of(replace(run, optimizer=SGD(lr=lr)), steps=8) for lr in (0.1, 0.11)]
    tracker = TestError(n_scrambles=32)
    a, b = (by_scramble(tracker, view)[0] for view in pair)
    assert (a - b).std() < 0.2 * a.std()


# many seeds


def test_errors_of_the_integral_average_out_over_seeds(monkeypatch):
    """The error of the mean over seeds agrees with their spread; with one rotation for all (negative control) not."""

    def z_score(activation, bias):
        runs = [make_run(seed=s, network__activation=activation, network__bias=bias) for s in range(400)]
        view = view_of(*runs, steps=10)
        off = TestError(n_points=2, n_scrambles=4)(view)[TRUE] - TestError(n_points=2048)(view)[TRUE]
        return abs(float(off.mean() / (off.std() / math.sqrt(len(runs)))))

    settings = [("relu", False), ("relu", True), ("softplus", True)]
    own = [z_score(*setting) for setting in settings]

    def unturned(seeds, q, f):
        return torch.eye(f).double().repeat(len(seeds), q, 1, 1)

    monkeypatch.setattr(integral, "rotations", unturned)
    assert max(own) < 3.5 and max(z_score(*setting) for setting in settings) > 7
