"""The Gram matrices, and their law: drawn directly they must follow the same law as those of drawn vectors."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from helpers import make_run
from scipy import stats

import featlearn.geometry
from featlearn.data import SignalNoise
from featlearn.geometry import Gram, draw_gram, draw_run, gram_of_vectors, law_reason
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.optim import SAM, SGD
from featlearn.runs import Record, Train
from featlearn.simulation import simulate_block
from featlearn.trackers import Decomposition, Loss, TestError

DATA = SignalNoise(n_samples=5, dim=30, signal_norm=1.5, noise_std=0.8)
NETWORK = TwoLayerCNN(n_filters=2, init_std=0.3)

# by hand


def test_gram_of_vectors_by_hand():
    vectors, weights = np.array([[2.0, 0.0], [1.0, 3.0]]), np.array([[1.0, -1.0], [0.0, 5.0], [2.0, 1.0]])
    gram = gram_of_vectors(vectors, weights)
    assert gram.data.tolist() == [[4, 2], [2, 10]]
    assert gram.data_init.tolist() == [[2, -2], [0, 15], [4, 5]]
    assert gram.init_init.tolist() == [[2, -5, 1], [-5, 25, 5], [1, 5, 5]]


def test_bias_is_one_more_orthonormal_vector():
    rng = np.random.default_rng(0)
    vectors, weights, biases = rng.normal(size=(4, 6)), rng.normal(size=(3, 6)), rng.normal(size=3)
    padded = np.zeros((5, 7))
    padded[:4, :6], padded[4, 6] = vectors, 1
    expected = gram_of_vectors(padded, np.column_stack([weights, biases]))
    for name, array in vars(gram_of_vectors(vectors, weights).with_bias(biases)).items():
        assert np.allclose(array, getattr(expected, name), rtol=1e-14, atol=1e-14), name


@pytest.mark.parametrize("bias", [False, True])
def test_an_explicit_draw_is_its_vectors(bias):
    network = replace(NETWORK, bias=bias)
    draw = draw_run(DATA, network, 3, explicit=True, patches=True)
    assert np.array_equal(draw.vectors, DATA.draw_vectors(3))
    assert np.array_equal(draw.weights, network.draw_weights(3, 30))
    assert np.array_equal(draw.patches, DATA.patches(draw.vectors, DATA.draw_labels(3)))
    assert np.array_equal(draw.labels, DATA.draw_labels(3).labels)
    plain = gram_of_vectors(draw.vectors, draw.weights)
    expected = plain.with_bias(network.draw_biases(3, 30)) if bias else plain
    assert all(np.array_equal(a, b) for a, b in zip(vars(draw.gram).values(), vars(expected).values(), strict=True))
    assert (draw.biases is not None) == bias


@pytest.mark.parametrize("explicit", [False, True])
def test_vectors_are_kept_only_on_request(explicit):
    draw = draw_run(DATA, NETWORK, 3, explicit=explicit)
    assert draw.vectors is draw.weights is draw.patches is None
    kept = draw_run(DATA, NETWORK, 3, explicit=explicit, patches=True)
    assert (kept.vectors is not None) == explicit


def test_both_routes_share_labels_and_biases():
    network = replace(NETWORK, bias=True)
    a, b = (draw_run(replace(DATA, flip_prob=0.3), network, 4, explicit=explicit) for explicit in (True, False))
    assert np.array_equal(a.labels, b.labels) and np.array_equal(a.true_labels, b.true_labels)
    assert np.array_equal(a.biases, b.biases)
    assert a.gram.data.shape == b.gram.data.shape and not np.allclose(a.gram.data, b.gram.data)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_a_drawn_gram_matrix_is_one(orthogonal):
    """Symmetric, positive semidefinite, of full rank, and of rank one on the signal."""
    data = replace(DATA, orthogonal_noise=orthogonal)
    for seed in range(20):
        gram = draw_gram(data, NETWORK, seed)
        joint = np.block([[gram.data, gram.data_init.T], [gram.data_init, gram.init_init]])
        assert np.allclose(joint, joint.T, rtol=1e-14)
        assert np.linalg.eigvalsh(joint).min() > 1e-3
        assert gram.data[0, 0] == data.strength**2
        assert gram.data[0, 1:].any() == (not orthogonal)


# the law, by its moments


def moments(gram, data, std):
    """Statistics of one draw, all of mean zero; x, y, z noises, u, v filters, scaled to standard Gaussian vectors."""
    d, s = data.dim, data.strength
    e = 0 if data.orthogonal_noise else 1  # whether the noise has a coordinate along the signal
    noise, cross = gram.data[1:, 1:] / data.noise_std**2, gram.data_init[:, 1:] / (data.noise_std * std)
    first, first_w = gram.data[0, 1:] / (s * data.noise_std), gram.data_init[:, 0] / (s * std)
    filters = gram.init_init / std**2
    k = d - 1 + e  # degrees of freedom of the noise
    last = noise[-1, -1]
    return {
        "|x|^2": noise[0, 0] - k,
        "|z|^2": last - k,
        "var |z|^2": (last - k) ** 2 - 2 * k,
        "|u|^2": filters[0, 0] - d,
        "|v|^2": filters[-1, -1] - d,
        "var |v|^2": (filters[-1, -1] - d) ** 2 - 2 * d,
        "<x,y>": noise[0, 1],
        "<x,y>^2": noise[0, 1] ** 2 - k,
        "<y,z>^2": noise[-2, -1] ** 2 - k,
        "<x,u>^2": cross[0, 0] ** 2 - k,
        "<z,v>^2": cross[-1, -1] ** 2 - k,
        "<u,v>^2": filters[0, -1] ** 2 - d,
        "<x,y><y,z><z,x>": noise[0, 1] * noise[1, -1] * noise[-1, 0] - k,
        "<x,u><u,v><v,x>": cross[0, 0] * filters[0, -1] * cross[-1, 0] - k,
        "<z,v>^2 |v|^2": cross[-1, -1] ** 2 * filters[-1, -1] - k * (d + 2),
        "<e,x>": first[0],
        "<e,x>^2": first[0] ** 2 - e,
        "<e,z>^2 |z|^2": first[-1] ** 2 * last - e * (k + 2),
        "<e,v>^2": first_w[-1] ** 2 - 1,
        "<e,v>^2 |v|^2": first_w[-1] ** 2 * filters[-1, -1] - (d + 2),
        "<e,x><e,v><x,v>": first[0] * first_w[-1] * cross[-1, 0] - e,
        "<e,x><e,y><x,y>": first[0] * first[1] * noise[0, 1] - e,
    }


def worst_z(draw, data, count=3000):
    """The largest distance of a statistic's mean from theory, in standard errors over the seeds 0 ... count."""
    rows = [moments(draw(data, NETWORK, seed), data, NETWORK.init_std) for seed in range(count)]
    scores = {}
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        spread = values.std(ddof=1) / math.sqrt(count)
        scores[name] = abs(values.mean()) / spread if spread > 0 else float(values.any()) * math.inf
    worst = max(scores, key=lambda name: np.nan_to_num(scores[name]))
    return np.nan_to_num(scores[worst]), worst


LAWS = {"dim 30": DATA, "dim 10": replace(DATA, dim=10), "dim 2000": replace(DATA, dim=2000)}
LAWS |= {f"{name}, orthogonal": replace(data, orthogonal_noise=True) for name, data in LAWS.items()}


@pytest.mark.parametrize("law", LAWS)
def test_moments_of_the_drawn_law(law):
    assert worst_z(draw_gram, LAWS[law])[0] < 4.5


def test_the_moments_are_those_of_vectors():
    """The theory above is checked on the other route too, or both could be wrong alike."""
    for name in ("dim 10", "dim 30, orthogonal"):
        assert worst_z(of_vectors, LAWS[name])[0] < 4.5


def of_vectors(data, network, seed):
    return gram_of_vectors(data.draw_vectors(seed), network.draw_weights(seed, data.dim))


class WrongDegrees:
    """A generator whose chi-square has d degrees everywhere, in place of d - 1 - i."""

    def __init__(self, rng):
        self.standard_normal, self._rng = rng.standard_normal, rng

    def chisquare(self, degrees):
        return self._rng.chisquare(np.full_like(degrees, degrees[0] + 1))


class OneDegreeMore(WrongDegrees):
    """A generator whose chi-square forgets that the first coordinate was drawn apart."""

    def chisquare(self, degrees):
        return self._rng.chisquare(degrees + 1)


def without_first_coordinate(data, network, seed):
    gram = draw_gram(data, network, seed)
    along = gram.data[0, 1:] / data.strength
    noise = gram.data.copy()
    noise[1:, 1:] -= np.outer(along, along)
    return Gram(noise, gram.data_init, gram.init_init)


def without_signal_in_cross(data, network, seed):
    gram = draw_gram(data, network, seed)
    cross = gram.data_init.copy()
    cross[:, 1:] -= np.outer(cross[:, 0], gram.data[0, 1:]) / data.strength**2
    return Gram(gram.data, cross, gram.init_init)


@pytest.mark.parametrize("wrong", [without_first_coordinate, without_signal_in_cross, WrongDegrees, OneDegreeMore])
def test_a_wrong_law_fails_the_same_test(wrong, monkeypatch):
    """Negative controls, at the small dimension where the mistake is easy to make and hard to see at a large one."""
    draw = wrong
    if isinstance(wrong, type):
        stream = featlearn.geometry.stream
        monkeypatch.setattr(featlearn.geometry, "stream", lambda seed, name: wrong(stream(seed, name)))
        draw = draw_gram
    assert worst_z(draw, LAWS["dim 30"])[0] > 6


# the law, by comparison with drawn vectors


def entries(gram):
    joint = np.block([[gram.data, gram.data_init.T], [gram.data_init, gram.init_init]])
    values = np.linalg.eigvalsh(joint)
    return {
        "G[0,1]": gram.data[0, 1],
        "G[1,1]": gram.data[1, 1],
        "G[5,5]": gram.data[5, 5],
        "G[2,4]": gram.data[2, 4],
        "A0[1,0]": gram.data_init[1, 0],
        "A0[3,5]": gram.data_init[3, 5],
        "W0W0'[0,3]": gram.init_init[0, 3],
        "W0W0'[3,3]": gram.init_init[3, 3],
        "largest eigenvalue": values[-1],
        "smallest eigenvalue": values[0],
        "sum of squares": np.square(joint).sum(),
    }


def worst_p(one, other):
    """The smallest two-sample Kolmogorov-Smirnov p-value over the columns of two lists of dicts."""
    p = {name: stats.ks_2samp([r[name] for r in one], [r[name] for r in other]).pvalue for name in one[0]}
    return min(p.values()), min(p, key=p.get)


SMALLEST = replace(DATA, dim=10)  # d - 1 = 9 = 5 noises + 4 filters: the last row has one coordinate left


@pytest.mark.parametrize("data", [SMALLEST, DATA, replace(DATA, orthogonal_noise=True)])
def test_entries_follow_the_law_of_drawn_vectors(data):
    drawn = [entries(draw_gram(data, NETWORK, seed)) for seed in range(2000)]
    vectors = [entries(of_vectors(data, NETWORK, seed)) for seed in range(2000)]
    assert worst_p(drawn, vectors)[0] > 1e-3


@pytest.mark.parametrize("wrong", [without_first_coordinate, without_signal_in_cross])
def test_a_wrong_law_has_other_entries(wrong):
    drawn = [entries(wrong(SMALLEST, NETWORK, seed)) for seed in range(2000)]
    vectors = [entries(of_vectors(SMALLEST, NETWORK, seed)) for seed in range(2000)]
    assert worst_p(drawn, vectors)[0] < 1e-6


TRAINED = {
    "small d": {"data__dim": 25},
    "large d": {"data__dim": 1500},
    "orthogonal": {"data__dim": 25, "data__orthogonal_noise": True},
    "bias": {"data__dim": 60, "network__bias": True},
    "independent": {"data__dim": 60, "data__n_patches": 3, "data__noise": "independent"},
    "flips": {"data__dim": 60, "data__flip_prob": 0.2},
}
N_RUNS = 384


def ends(sampling, optimizer=None, **changes):
    """Final columns of N_RUNS small runs, seeds apart for the two routes: they share labels otherwise."""
    run = make_run(optimizer or SGD(lr=0.3), **changes)
    run = replace(
        run,
        sampling=sampling,
        data=replace(run.data, n_samples=6, signal_norm=1.0),
        network=replace(run.network, n_filters=2, init_std=0.1),
        train=Train(n_steps=40, batch_size=6),
        record=Record(steps=(40,), trackers=(Loss(), Decomposition(), TestError(n_points=16))),
    )
    first = 0 if sampling == "gram" else 10**6
    rows = []
    for start in range(0, N_RUNS, 128):
        block = [replace(run, seed=first + start + i) for i in range(128)]
        rows += [{name: v[-1] for name, v in t.values.items()} for t in simulate_block(block)]
    names = ("train_loss", "grad_norm", "signal_coef_mean", "signal_coef_max", "noise_coef_pos_mean")
    return [{name: row[name] for name in (*names, "noise_coef_neg_mean", "test_error_true")} for row in rows]


@pytest.mark.parametrize("setting", TRAINED)
def test_training_ends_with_the_same_law(setting):
    changes = TRAINED[setting]
    rule = SAM(rho=0.1, base=SGD(lr=0.3)) if setting in ("small d", "bias") else None
    assert worst_p(ends("gram", rule, **changes), ends("vectors", rule, **changes))[0] > 1e-3


def test_training_notices_a_wrong_law():
    """Negative control: orthogonal noise drawn for one route only, at a dimension where it matters."""
    orthogonal = ends("gram", data__dim=25, data__orthogonal_noise=True)
    assert worst_p(orthogonal, ends("vectors", data__dim=25))[0] < 1e-6


def test_training_notices_wrong_degrees_of_freedom(monkeypatch):
    stream = featlearn.geometry.stream
    vectors = ends("vectors", data__dim=11)
    assert worst_p(ends("gram", data__dim=11), vectors)[0] > 1e-3
    monkeypatch.setattr(featlearn.geometry, "stream", lambda seed, name: WrongDegrees(stream(seed, name)))
    assert worst_p(ends("gram", data__dim=11), vectors)[0] < 1e-6


# dimension as a number


@pytest.mark.parametrize("dim", [10**6, 10**12, 10**15])
def test_any_dimension(dim):
    """Scaled by sigma^2 d noises are orthonormal up to 1/sqrt(d), and what is left of that is standard Gaussian."""
    data, network = replace(DATA, dim=dim), replace(NETWORK, init_std=None)
    n, scores = 5, []
    for seed in range(300):
        gram = draw_gram(data, network, seed)
        noise = gram.data[1:, 1:] / (data.noise_std**2 * dim)
        scores.append((noise - np.eye(n))[np.triu_indices(n, 1)] * math.sqrt(dim))
        norms = (noise.diagonal() - 1) * math.sqrt(dim / 2)
        assert np.abs(norms).max() < 6
        assert np.isfinite(gram.init_init).all() and np.allclose(gram.init_init.diagonal(), 1 / 3, rtol=20 / dim**0.5)
    assert stats.kstest(np.concatenate(scores), "norm").pvalue > 1e-3


@pytest.mark.parametrize("dim", [10**12, 10**15])
def test_training_in_any_dimension(dim):
    std, rho = 0.5 / math.sqrt(dim), 0.1 / math.sqrt(dim)
    rule = SAM(rho=rho, base=SGD(lr=8 / dim))
    run = make_run(rule, data__dim=dim, data__signal_norm=dim**0.25, network__init_std=std)
    trajectory = simulate_block([replace(run, sampling="gram", train=Train(n_steps=100, batch_size=8))])[0]
    assert trajectory.status == "ok"
    assert all(np.isfinite(values).all() for values in trajectory.values.values())
    assert trajectory.values["train_loss"][-1] < 0.5 < trajectory.values["train_loss"][0]


def test_cost_does_not_depend_on_the_dimension():
    def cost(dim):
        data, times = replace(DATA, dim=dim), []
        for seed in range(60):
            start = time.perf_counter()
            draw_gram(data, NETWORK, seed)
            times.append(time.perf_counter() - start)
        return min(times)

    cost(100)
    assert cost(10**15) < 2 * cost(100)


def test_the_law_is_refused_where_it_does_not_hold():
    """It needs d - 1 >= n_noises + 2m, and a Gaussian init."""
    assert law_reason(SMALLEST, NETWORK) is None
    reason = law_reason(replace(SMALLEST, dim=9), NETWORK)
    assert "dim - 1 = 8 is less than the 9" in reason
    assert "uniform" in law_reason(DATA, replace(NETWORK, init="uniform"))
    independent = replace(DATA, n_patches=6, noise="independent")  # 25 noises + 4 filters = 29 = d - 1
    assert law_reason(independent, NETWORK) is None
    assert law_reason(replace(independent, n_patches=7), NETWORK) is not None
