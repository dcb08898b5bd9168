"""Coefficients against a least-squares projection onto the data, and against the accumulated update formulas."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import PlainNetwork, advance, drawn_batches, engine_of, explicit, make_run, view_of
from leaky import Leaky
from three_classes import ThreeClasses

from featlearn.data import XOR
from featlearn.geometry import draw_run
from featlearn.optim import SAM, SGD
from featlearn.trackers import Decomposition

SGD_RULE = SGD(lr=0.1)
SAM_RULE = SAM(rho=0.1, base=SGD_RULE)
SETTINGS = {
    "plain": {},
    "P = 4, flips": {"data__n_patches": 4, "data__flip_prob": 0.3},
    "independent": {"data__n_patches": 3, "data__noise": "independent", "data__flip_prob": 0.3},
    "orthogonal": {"data__orthogonal_noise": True},
    "bias": {"network__bias": True},
}


def spanning(plain):
    """The signal, the noises and, where there is a bias, the vector along its coordinate, [K, D]."""
    missing = plain.start.shape[1] - plain.vectors.shape[1]
    vectors = np.pad(plain.vectors, ((0, missing), (0, missing)))
    vectors[len(plain.vectors) :, plain.vectors.shape[1] :] = 1.0
    return vectors


EVERY = pytest.mark.parametrize("setting", SETTINGS)


def lists(view):
    """signal_coef [f] and noise_coef [f, n_noises] of the first run."""
    columns = Decomposition(per_filter=True, per_sample=True)(view)
    signal = columns["signal_coef"][0].numpy()
    return signal, columns["noise_coef"][0].numpy().reshape(len(signal), -1)


@EVERY
@pytest.mark.parametrize("rule", [SGD_RULE, SAM_RULE, SGD(lr=0.05, momentum=0.9)])
@pytest.mark.parametrize("engine", ["gram", "weights"])
def test_projection_onto_the_data(setting, rule, engine):
    """W - W0 = sum_k c_k v_k, solved in d dimensions; gamma = j c_0 |mu|^2, rho_i = noise_count c_i |xi_i|^2."""
    run = make_run(rule, engine=engine, **SETTINGS[setting])
    plain, built = PlainNetwork(run), engine_of(run)
    steps = 15
    w, _ = advance(built, rule, drawn_batches(run, steps)[0])
    moved = explicit(w, plain) - plain.start
    c, _, rank, _ = np.linalg.lstsq(spanning(plain).T, moved.T, rcond=None)
    assert rank == len(spanning(plain))
    n_noises = run.data.frame.n_noises
    square = np.square(spanning(plain)).sum(1)
    signal, noise = lists(view_of(run, steps=steps))
    assert np.allclose(signal, plain.signs * c[0] * square[0], rtol=1e-9, atol=1e-11)
    expected = run.data.noise_count * (c[1 : 1 + n_noises] * square[1 : 1 + n_noises, None]).T
    assert np.allclose(noise, expected, rtol=1e-9, atol=1e-10)
    assert np.abs(signal).max() > 0.005 and np.abs(noise).max() > 0.1


@EVERY
@pytest.mark.parametrize("rule", [SGD_RULE, SAM_RULE])
@pytest.mark.parametrize("batch_size", [8, 3])
def test_accumulated_updates(setting, rule, batch_size):
    """The papers' recursion for gamma and rho, feature_learning.md section 3, over 12 steps."""
    run = make_run(rule, train__batch_size=batch_size, **SETTINGS[setting])
    plain = PlainNetwork(run)
    m, n, count = plain.m, 8, run.data.noise_count
    y, yhat, w = plain.labels, plain.true_labels, plain.start
    offset = np.zeros_like(w[0])
    offset[60:] = 1  # the bias coordinate, where there is one
    batches, samples = drawn_batches(run, 12)
    gamma, rho = np.zeros(2 * m), np.zeros((2 * m, run.data.frame.n_noises))
    mu, *noise = spanning(plain)
    for chosen in samples:
        g = plain.gradient(w, chosen)
        there = w + rule.rho * g / np.linalg.norm(g) if rule is SAM_RULE else w
        for row, j in enumerate(plain.signs):
            for i in chosen:
                rate = 0.1 * plain.loss_slope(there, i) / (len(chosen) * m)
                on = plain.slope(there[row] @ (yhat[i] * mu + offset))
                gamma[row] -= rate * y[i] * yhat[i] * on * (mu @ mu)
                for k in range(i, run.data.frame.n_noises, n):
                    on = plain.slope(there[row] @ (noise[k] + offset))
                    rho[row, k] -= rate * j * y[i] * count**2 * on * (noise[k] @ noise[k])
        w = w - 0.1 * plain.gradient(there, chosen)
    built = engine_of(run)
    end, _ = advance(built, rule, batches)
    signal, noises = lists(replace(view_of(run), **vars(built.observe(end))))
    assert np.allclose(signal, gamma, rtol=1e-10, atol=1e-12)
    assert np.allclose(noises, rho, rtol=1e-10, atol=1e-12)


@EVERY
def test_summaries_are_of_the_lists(setting):
    run = make_run(SAM_RULE, **SETTINGS[setting])
    plain, view = PlainNetwork(run), view_of(run, steps=10)
    signal, noise = lists(view)
    columns = {name: column.item() for name, column in Decomposition()(view).items()}
    own, other = [], []
    for row, j in enumerate(plain.signs):
        for k in range(run.data.frame.n_noises):
            (own if j == plain.labels[k % 8] else other).append(noise[row, k])
    expected = {
        "signal_coef_max": max(signal),
        "signal_coef_mean": np.mean(signal),
        "noise_coef_pos_max": max(own),
        "noise_coef_pos_mean": np.mean(own),
        "noise_coef_neg_min": min(other),
        "noise_coef_neg_mean": np.mean(other),
    }
    assert columns == pytest.approx(expected, rel=1e-12)
    assert min(own) >= 0 >= max(other)  # under plain descent rho has the sign of j y


def test_a_projection_is_not_the_coefficient():
    """Negative control for "accumulate, do not project": with free noise <w - w0, mu> is something else."""
    run = make_run(SGD_RULE)
    plain, engine = PlainNetwork(run), engine_of(run)
    w, _ = advance(engine, run.optimizer, drawn_batches(run, 15)[0])
    projected = plain.signs * ((explicit(w, plain) - plain.start) @ spanning(plain)[0])
    assert np.abs(projected - lists(view_of(run, steps=15))[0]).max() > 0.05
    run = make_run(SGD_RULE, data__orthogonal_noise=True)
    plain, engine = PlainNetwork(run), engine_of(run)
    w, _ = advance(engine, run.optimizer, drawn_batches(run, 15)[0])
    projected = plain.signs * ((explicit(w, plain) - plain.start) @ spanning(plain)[0])
    assert np.abs(projected - lists(view_of(run, steps=15))[0]).max() < 1e-10


def test_list_columns_come_on_request():
    view = view_of(*[make_run(data__n_patches=3, data__noise="independent", seed=seed) for seed in range(2)])
    assert not {"signal_coef", "noise_coef"} & set(Decomposition()(view))
    assert "noise_coef" not in Decomposition(per_filter=True)(view)
    columns = Decomposition(per_filter=True, per_sample=True)(view)
    assert columns["signal_coef"].shape == (2, 6) and columns["noise_coef"].shape == (2, 6 * 16)


@pytest.mark.parametrize("label", [1, -1])
def test_a_training_set_of_one_class(label):
    view = view_of(make_run(), steps=5)
    problem = replace(view.problem, labels=torch.full_like(view.problem.labels, label))
    columns = Decomposition()(replace(view, problem=problem))
    assert all(column.isfinite().all() for column in columns.values())


def test_without_signal_there_is_no_signal_coefficient():
    columns = Decomposition()(view_of(make_run(data__signal_norm=0.0), steps=5))
    assert columns["signal_coef_max"].item() == columns["signal_coef_mean"].item() == 0
    assert columns["noise_coef_pos_max"].item() > 0


# several signals, several classes

RULE = SAM(rho=0.1, base=SGD(lr=0.1))


def coefficients(run, steps=12):
    """The filters' growth W - W0 along every vector, [f, K], solved in d dimensions, and the squares of these, [K]."""
    run = replace(run, engine="weights")
    view, draw = view_of(run, steps=steps), draw_run(run.data, run.network, run.seed, keep=True)
    vectors, moved = draw.vectors[0].numpy(), (view.w.leaves[0][0] - draw.weights[0]).numpy()
    return np.linalg.lstsq(vectors.T, moved.T, rcond=None)[0].T, np.square(vectors).sum(1)


@pytest.mark.parametrize("loss", ["logistic", "softmax"])
def test_signals_of_both_signs_by_name(loss):
    """XOR: absolute values, of each axis separately."""
    run = make_run(RULE, data=XOR(n_samples=8, dim=60, signal_norm=2.0, angle=70.0), network__loss=loss)
    c, square = coefficients(run)
    columns = Decomposition(per_filter=True)(view_of(run, steps=12))
    expected = np.abs(c[:, :2] * square[:2]).T
    assert np.allclose(columns["signal_coef"][0].numpy().reshape(2, 6), expected, rtol=1e-9, atol=1e-11)
    for name, values in (("", expected), (".u", expected[0]), (".v", expected[1])):
        assert columns[f"signal_coef_max{name}"].item() == pytest.approx(values.max(), rel=1e-9)
        assert columns[f"signal_coef_mean{name}"].item() == pytest.approx(values.mean(), rel=1e-9)
    assert expected.min() > 0 and (c[:, :2] < 0).any()


def test_two_classes_are_the_two_signs():
    logistic, softmax = (
        Decomposition(per_filter=True, per_sample=True)(view_of(make_run(RULE, network__loss=loss), steps=12))
        for loss in ("logistic", "softmax")
    )
    assert logistic.keys() == softmax.keys()
    assert all(torch.allclose(logistic[name], softmax[name], rtol=1e-11, atol=1e-12) for name in logistic)


def test_filters_of_a_class_grow_along_its_signal():
    data = ThreeClasses(n_samples=9, dim=60, signal_norm=3.0, n_patches=3)
    run = make_run(RULE, data=data, network__loss="softmax", train__batch_size=9)
    c, square = coefficients(run)
    view = view_of(run, steps=12)
    columns = Decomposition(per_filter=True, per_sample=True)(view)
    signal = c[:, :3] * square[:3]
    assert np.allclose(columns["signal_coef"][0].numpy().reshape(3, 9), signal.T, rtol=1e-9, atol=1e-11)
    noise = 2 * c[:, 3:] * square[3:]
    assert np.allclose(columns["noise_coef"][0].numpy().reshape(9, 9), noise, rtol=1e-9, atol=1e-11)
    labels = view.problem.labels[0].numpy()
    own = np.repeat(np.arange(3), 3)[:, None] == labels[None]
    assert columns["noise_coef_pos_max"].item() == pytest.approx(noise[own].max(), rel=1e-9)
    assert columns["noise_coef_neg_mean"].item() == pytest.approx(noise[~own].mean(), rel=1e-9)
    assert noise[own].min() > -1e-12 and noise[~own].max() < 1e-12
    for place in set(labels.astype(int).tolist()):
        mine = np.repeat(np.arange(3), 3) == place
        assert signal[mine, place].min() > -1e-12 and signal[~mine, place].max() < 1e-12


def test_a_patch_of_signal_and_noise_has_both_coefficients():
    run = make_run(RULE, data=Leaky(n_samples=8, dim=60))
    c, square = coefficients(run)
    columns = Decomposition(per_filter=True, per_sample=True)(view_of(run, steps=12))
    signs = np.repeat([1.0, -1.0], 3)
    assert np.allclose(columns["signal_coef"][0].numpy(), signs * c[:, 0] * square[0], rtol=1e-9, atol=1e-11)
    assert np.allclose(columns["noise_coef"][0].numpy().reshape(6, 8), c[:, 1:] * square[1:], rtol=1e-9, atol=1e-11)
