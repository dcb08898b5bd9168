"""The law of the Gram matrices: drawn directly they must follow the same law as those of drawn vectors."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import make_run
from scipy import stats

import featlearn.law
from featlearn.data import SignalNoise
from featlearn.geometry import Gram, gram_of_vectors
from featlearn.law import Numbers, Shape, draw
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.optim import SAM, SGD
from featlearn.runs import Record, Train
from featlearn.simulation import Block, simulate_block
from featlearn.trackers import Decomposition, Loss, TestError

DATA = SignalNoise(n_samples=5, dim=30, signal_norm=1.5, noise_std=0.8)
NETWORK = TwoLayerCNN(n_filters=2, init_std=0.3)


def shape_of(data, network):
    return Shape(data.n_samples, data.n_noises, 2 * network.n_filters, network.bias, data.orthogonal_noise)


def numbers_of(data, network, seeds):
    run = replace(make_run(), data=data, network=network)
    return Block.repeated(run, np.asarray(seeds, dtype=np.int64)).numbers("cpu")


def drawn(data, network, seeds):
    return draw(numbers_of(data, network, seeds), shape_of(data, network))


def draw_grams(data, network, seeds):
    """The geometry of many runs, one object each."""
    block = drawn(data, network, seeds)
    arrays = (block.gram.numpy(), block.align0.numpy(), block.init_gram.numpy())
    return [Gram(*parts) for parts in zip(*arrays, strict=True)]


def of_vectors(data, network, seeds):
    return [gram_of_vectors(data.draw_vectors(seed), network.draw_weights(seed, data.dim)) for seed in seeds]


# one run, whoever is beside it


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(vars(a).values(), vars(b).values(), strict=True))


def lane(block, place):
    return type(block)(*(x[place : place + 1] for x in vars(block).values()))


@pytest.mark.parametrize("n_samples, n_filters", [(2, 1), (3, 2), (5, 2), (7, 4), (8, 4), (16, 5), (20, 10), (33, 6)])
@pytest.mark.parametrize("bias, orthogonal", [(False, False), (True, True)])
def test_a_run_is_drawn_alike_alone_and_in_any_block(n_samples, n_filters, bias, orthogonal):
    """Bits, at odd sizes and beside other dimensions: loops and products round the ends of an array in other ways."""
    shape = Shape(n_samples, n_samples, 2 * n_filters, bias, orthogonal)

    def numbers(seeds):
        seeds = torch.tensor(seeds)
        x = seeds.double()
        return Numbers(seeds, 10 ** (3 + x % 9), 1 + x / 7, x % 3 / 10, x % 5, 0.1 + x)

    alone = {seed: draw(numbers([seed]), shape) for seed in (0, 5, 11)}
    for seeds in ([5, 0], [3, 1, 11, 5, 0], [*range(100, 127), 5, 0, 11], [0] * 130 + [11, 4, 5] + [7] * 150):
        block = draw(numbers(seeds), shape)
        for place, seed in enumerate(seeds):
            assert seed not in alone or same(lane(block, place), alone[seed]), (seeds, place)


def test_other_seeds_are_other_draws():
    block = drawn(replace(DATA, flip_prob=0.4), NETWORK, [0, 1, 2**40, 2**62])
    assert len({tuple(g.flatten().tolist()) for g in block.gram}) == 4
    assert len({tuple(y.tolist()) for y in block.labels}) == 4


def test_numbers_scale_and_do_not_change_the_draw():
    """Runs that differ in strength only share their random numbers: figures over a signal's norm are smooth."""
    weak, strong = (draw_grams(replace(DATA, signal_norm=s, noise_std=s), NETWORK, [4])[0] for s in (0.5, 1.0))
    assert np.allclose(4 * weak.data, strong.data, rtol=1e-14) and np.array_equal(weak.init_init, strong.init_init)


def test_a_bias_is_one_more_orthonormal_vector():
    """The same draw with and without bias, and with the bias appended by hand."""
    (plain,) = draw_grams(DATA, NETWORK, [8])
    (bias,) = draw_grams(DATA, replace(NETWORK, bias=True), [8])
    expected = plain.with_bias(bias.data_init[:, -1])
    assert all(np.allclose(a, b, rtol=1e-14) for a, b in zip(vars(bias).values(), vars(expected).values(), strict=True))
    many = np.array([g.data_init[:, -1] for g in draw_grams(DATA, replace(NETWORK, bias=True), range(1000))])
    assert stats.kstest(many.flatten() / NETWORK.init_std, "norm").pvalue > 1e-3


def test_labels_are_even_and_flipped_with_their_probability():
    block = drawn(replace(DATA, n_samples=50, flip_prob=0.2, dim=100), NETWORK, range(400))
    assert set(block.labels.unique().tolist()) == {-1.0, 1.0}
    assert abs(block.true_labels.mean().item()) < 4 / math.sqrt(20_000)
    flipped = (block.labels != block.true_labels).double()
    assert abs(flipped.mean().item() - 0.2) < 4 * 0.4 / math.sqrt(20_000)
    assert abs((flipped * block.true_labels).mean().item()) < 4 * 0.45 / math.sqrt(20_000)
    clean = drawn(DATA, NETWORK, range(50))
    assert torch.equal(clean.labels, clean.true_labels)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_a_drawn_gram_matrix_is_one(orthogonal):
    """Symmetric, positive semidefinite, of full rank, and of rank one on the signal."""
    data = replace(DATA, orthogonal_noise=orthogonal)
    for gram in draw_grams(data, NETWORK, range(20)):
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
    rows = [moments(gram, data, NETWORK.init_std) for gram in draw(data, NETWORK, range(count))]
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
    assert worst_z(draw_grams, LAWS[law])[0] < 4.5


def test_the_moments_are_those_of_vectors():
    """The theory above is checked on the other route too, or both could be wrong alike."""
    for name in ("dim 10", "dim 30, orthogonal"):
        assert worst_z(of_vectors, LAWS[name])[0] < 4.5


def equal_degrees(degrees):
    """d degrees everywhere, in place of d - 1 - i."""
    return degrees[:, :1].expand_as(degrees) + 1


def one_degree_more(degrees):
    """It forgets that the first coordinate was drawn apart."""
    return degrees + 1


def patched(change, monkeypatch):
    real = featlearn.law.chi_squares
    monkeypatch.setattr(featlearn.law, "chi_squares", lambda seeds, name, degrees: real(seeds, name, change(degrees)))


def without_first_coordinate(data, network, seeds):
    for gram in draw_grams(data, network, seeds):
        along = gram.data[0, 1:] / data.strength
        noise = gram.data.copy()
        noise[1:, 1:] -= np.outer(along, along)
        yield Gram(noise, gram.data_init, gram.init_init)


def without_signal_in_cross(data, network, seeds):
    for gram in draw_grams(data, network, seeds):
        cross = gram.data_init.copy()
        cross[:, 1:] -= np.outer(cross[:, 0], gram.data[0, 1:]) / data.strength**2
        yield Gram(gram.data, cross, gram.init_init)


@pytest.mark.parametrize("wrong", [without_first_coordinate, without_signal_in_cross])
def test_a_wrong_law_fails_the_same_test(wrong):
    """Negative controls, at the small dimension where the mistake is easy to make and hard to see at a large one."""
    assert worst_z(wrong, LAWS["dim 30"])[0] > 6


@pytest.mark.parametrize("wrong", [equal_degrees, one_degree_more])
def test_wrong_degrees_fail_the_same_test(wrong, monkeypatch):
    patched(wrong, monkeypatch)
    assert worst_z(draw_grams, LAWS["dim 30"])[0] > 6


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
    law, vectors = ([entries(g) for g in draw(data, NETWORK, range(2000))] for draw in (draw_grams, of_vectors))
    assert worst_p(law, vectors)[0] > 1e-3


@pytest.mark.parametrize("wrong", [without_first_coordinate, without_signal_in_cross])
def test_a_wrong_law_has_other_entries(wrong):
    law, vectors = ([entries(g) for g in draw(SMALLEST, NETWORK, range(2000))] for draw in (wrong, of_vectors))
    assert worst_p(law, vectors)[0] < 1e-6


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
    """Final columns of N_RUNS small runs."""
    run = make_run(optimizer or SGD(lr=0.3), **changes)
    run = replace(
        run,
        sampling=sampling,
        data=replace(run.data, n_samples=6, signal_norm=1.0),
        network=replace(run.network, n_filters=2, init_std=0.1),
        train=Train(n_steps=40, batch_size=6),
        record=Record(steps=(40,), trackers=(Loss(), Decomposition(), TestError(n_points=16))),
    )
    rows = []
    for start in range(0, N_RUNS, 128):
        block = [replace(run, seed=start + i) for i in range(128)]
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
    vectors = ends("vectors", data__dim=11)
    assert worst_p(ends("gram", data__dim=11), vectors)[0] > 1e-3
    patched(equal_degrees, monkeypatch)
    assert worst_p(ends("gram", data__dim=11), vectors)[0] < 1e-6


# dimension as a number


@pytest.mark.parametrize("dim", [10**6, 10**12, 10**15])
def test_any_dimension(dim):
    """Scaled by sigma^2 d noises are orthonormal up to 1/sqrt(d), and what is left of that is standard Gaussian."""
    data, network = replace(DATA, dim=dim), replace(NETWORK, init_std=None)
    n, scores = 5, []
    for gram in draw_grams(data, network, range(300)):
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
        for first in range(0, 1280, 64):
            start = time.perf_counter()
            drawn(data, NETWORK, range(first, first + 64))
            times.append(time.perf_counter() - start)
        return min(times)

    cost(100)
    assert cost(10**15) < 2 * cost(100)
