"""The law of the Gram matrices: drawn directly they follow the same law as those of drawn vectors."""

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from helpers import make_run
from scipy import stats

import featlearn.law
from featlearn.data import XOR, SignalNoise
from featlearn.geometry import draw_run, stacked
from featlearn.law import draw
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.optim import SAM, SGD
from featlearn.runs import Record, Train
from featlearn.simulation import simulate_block
from featlearn.trackers import Decomposition, Loss, TestError

DATA = SignalNoise(n_samples=5, dim=30, signal_norm=1.5, noise_std=0.8)
NETWORK = TwoLayerCNN(n_filters=2, init_std=0.3)


@dataclass(frozen=True)
class Gram:
    """Inner products of the signal and the noises, with the filters, and of these."""

    data: np.ndarray
    data_init: np.ndarray
    init_init: np.ndarray


def drawn(data, network, seeds):
    seeds = torch.as_tensor(np.asarray(seeds, dtype=np.int64))
    return draw([(data, network)], np.zeros(len(seeds), dtype=np.int64), seeds)


def grams(block):
    """The geometry of many runs, one object each; the patch -signal is left out."""
    geometry = block.geometry
    kept = [i for i in range(geometry.gram.shape[1]) if i != 1]
    arrays = geometry.gram[:, kept][:, :, kept], geometry.align0[:, :, kept], geometry.init_gram
    return [Gram(*parts) for parts in zip(*(x.numpy() for x in arrays), strict=True)]


def draw_grams(data, network, seeds):
    return grams(drawn(data, network, seeds))


def of_vectors(data, network, seeds):
    return [grams(draw_run(data, network, seed))[0] for seed in seeds]


# one run, whoever is beside it


def tensors(draw):
    """All tensors of a draw."""
    return [x for part in (draw.training, draw.geometry) for x in vars(part).values() if x is not None]


@pytest.mark.parametrize("n_samples, n_filters", [(2, 1), (3, 2), (5, 2), (7, 4), (8, 4), (16, 5), (20, 10), (33, 6)])
@pytest.mark.parametrize("bias, orthogonal", [(False, False), (True, True)])
@pytest.mark.parametrize("model", [SignalNoise, XOR])
def test_a_run_has_the_same_draw_alone_and_in_any_block(n_samples, n_filters, bias, orthogonal, model):
    """Bits, at odd sizes and beside other dimensions: loops and products round the ends of an array in other ways."""
    own = {"orthogonal_noise": orthogonal} if model is SignalNoise else {}

    def setting(seed):
        numbers = {"signal_norm": seed % 5.0, "noise_std": 1 + seed / 7, "flip_prob": seed % 3 / 10}
        data = model(n_samples=n_samples, dim=10 ** (3 + seed % 9), **numbers, **own)
        return data, TwoLayerCNN(n_filters=n_filters, bias=bias, init_std=0.1 + seed)

    def draws(seeds):
        return draw([setting(seed) for seed in seeds], np.arange(len(seeds)), torch.tensor(seeds))

    alone = {seed: tensors(draws([seed])) for seed in (0, 5, 11)}
    for seeds in ([5, 0], [3, 1, 11, 5, 0], [*range(100, 127), 5, 0, 11], [0] * 130 + [11, 4, 5] + [7] * 150):
        block = tensors(draws(seeds))
        for place, seed in enumerate(seeds):
            if seed in alone:
                assert all(torch.equal(x[place], y[0]) for x, y in zip(block, alone[seed], strict=True)), (seeds, place)


@dataclass(frozen=True, kw_only=True)
class Fading(SignalNoise):
    """A model of one's own whose draw uses the dimension."""

    def draw(self, draws):
        found = super().draw(draws)
        factor = torch.as_tensor(self.dim, dtype=torch.float64).reshape(-1, 1, 1) ** -0.25
        return replace(found, strengths=(factor * found.strengths).expand(len(found.labels), -1, -1))


def test_a_draw_that_uses_the_dimension_is_that_of_the_run_beside_other_dimensions():
    settings = [(Fading(n_samples=4, dim=dim, signal_norm=2.0), NETWORK) for dim in (100, 10**6, 10**12)]
    block = tensors(draw(settings, np.arange(3), torch.tensor([1, 2, 3])))
    for place, setting in enumerate(settings):
        alone = tensors(draw([setting], np.zeros(1, dtype=np.int64), torch.tensor([place + 1])))
        assert all(torch.equal(x[place], y[0]) for x, y in zip(block, alone, strict=True))


def test_other_seeds_are_other_draws():
    block = drawn(replace(DATA, flip_prob=0.4), NETWORK, [0, 1, 2**40, 2**62])
    assert len({tuple(g.flatten().tolist()) for g in block.geometry.gram}) == 4
    assert len({tuple(y.tolist()) for y in block.training.labels}) == 4


def test_numbers_scale_and_do_not_change_the_draw():
    """Runs that differ in strength only share their random numbers: figures over a signal's norm are smooth."""
    weak, strong = (draw_grams(replace(DATA, signal_norm=s, noise_std=s), NETWORK, [4])[0] for s in (0.5, 1.0))
    assert np.allclose(4 * weak.data, strong.data, rtol=1e-14) and np.array_equal(weak.init_init, strong.init_init)


def test_a_bias_is_one_more_coordinate_of_every_patch():
    """The same draw with and without bias: patches have the coordinate 1 there, filters their bias."""
    plain, bias = (drawn(DATA, replace(NETWORK, bias=b), [8]).geometry for b in (False, True))
    b = bias.biases
    assert plain.biases is None
    assert torch.equal(bias.gram, plain.gram + 1)
    assert torch.allclose(bias.align0, plain.align0 + b[..., None], rtol=1e-14)
    assert torch.allclose(bias.init_gram, plain.init_gram + b[:, :, None] * b[:, None], rtol=1e-14)
    assert torch.equal(bias.signal_gram, plain.signal_gram) and torch.equal(bias.squares, plain.squares)
    many = drawn(DATA, replace(NETWORK, bias=True), range(1000)).geometry.biases.numpy()
    assert stats.kstest(many.flatten() / NETWORK.init_std, "norm").pvalue > 1e-3


def test_labels_are_even_and_flipped_with_their_probability():
    block = drawn(replace(DATA, n_samples=50, flip_prob=0.2, dim=100), NETWORK, range(400)).training
    assert set(block.labels.unique().tolist()) == {-1.0, 1.0}
    assert abs(block.true_labels.mean().item()) < 4 / math.sqrt(20_000)
    flipped = (block.labels != block.true_labels).double()
    assert abs(flipped.mean().item() - 0.2) < 4 * 0.4 / math.sqrt(20_000)
    assert abs((flipped * block.true_labels).mean().item()) < 4 * 0.45 / math.sqrt(20_000)
    clean = drawn(DATA, NETWORK, range(50)).training
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


def entries(block):
    """Statistics of many draws, [b] each: entries of every matrix, and what depends on all of them."""
    g = block.geometry
    cross = torch.cat([g.align0, g.signal_align0], 2)
    joint = torch.cat([torch.cat([g.gram, g.align0.mT], 2), torch.cat([g.align0, g.init_gram], 2)], 1)
    values = torch.linalg.eigvalsh(joint)[:, -g.squares.shape[1] :]
    columns = {
        "cross": cross,
        "G": g.gram,
        "W0W0'": g.init_gram,
        "signals": g.signal_gram,
        "squares": g.squares[:, None],
    }
    found = {"largest eigenvalue": values[:, -1], "sum of squares": joint.square().sum((1, 2))}
    if g.weighted is not None:
        columns |= {f"weighted {name}": x for name, x in vars(g.weighted).items()}
        own = [i for i in range(g.gram.shape[1]) if i >= g.gram.shape[1] - g.squares.shape[1] + g.signal_gram.shape[2]]
        noises = torch.cat([g.gram[:, own][:, :, own], g.align0[..., own].mT], 2)
        of_noises = torch.cat([noises, torch.cat([g.align0[..., own], g.init_gram], 2)], 1)
        found["log determinant"] = torch.linalg.slogdet(of_noises)[1]
    for name, x in columns.items():
        last = x.shape[1] - 1, x.shape[2] - 1
        for i, j in {(0, 0), last, (0, last[1]), (last[0], 0), (last[0] // 2, last[1] // 2)}:
            found[f"{name}[{i},{j}]"] = x[:, i, j]
    return {name: x.numpy() for name, x in found.items()}


def worst_p(one, other):
    """The smallest two-sample Kolmogorov-Smirnov p-value over the columns of two dicts."""
    p = {name: stats.ks_2samp(one[name], other[name]).pvalue for name in one if np.ptp(one[name]) > 1e-9}
    return min(p.values()), min(p, key=p.get)


SMALLEST = replace(DATA, dim=10)  # d - 1 = 9 = 5 noises + 4 filters: the last row has one coordinate left
XORS = XOR(n_samples=5, dim=30, signal_norm=1.5, noise_std=0.8, angle=60.0)
COMPARED = {
    "smallest": SMALLEST,
    "dim 30": DATA,
    "orthogonal": replace(DATA, orthogonal_noise=True),
    "xor": XORS,
    "xor, smallest": replace(XORS, dim=11),
    "xor, on one axis": replace(XORS, angle=1e-9),
    "two scales": replace(DATA, noise_spectrum=((0.5, 0.6), (2.0, 0.4))),
    "spiked, orthogonal": replace(DATA, orthogonal_noise=True, noise_spectrum=((9.0, 1.0), (4.0, 3.0), (0.5, None))),
    "xor, power law": replace(XORS, noise_spectrum=((1.0, None), (0.25, 0.5), (0.0, 2.0))),
}
N_DRAWS = 2000


def law_of(data):
    return drawn(data, NETWORK, range(N_DRAWS))


def vectors_of(data):
    return stacked([draw_run(data, NETWORK, seed) for seed in range(N_DRAWS)])


@pytest.mark.parametrize("name", COMPARED)
def test_entries_follow_the_law_of_drawn_vectors(name):
    assert worst_p(entries(law_of(COMPARED[name])), entries(vectors_of(COMPARED[name])))[0] > 1e-3


@pytest.mark.parametrize("wrong", [equal_degrees, one_degree_more])
@pytest.mark.parametrize("data", [SMALLEST, replace(XORS, dim=11)])
def test_a_wrong_law_has_other_entries(wrong, data, monkeypatch):
    vectors = entries(vectors_of(data))
    patched(wrong, monkeypatch)
    assert worst_p(entries(law_of(data)), vectors)[0] < 1e-6


class Tilted(XOR):
    """XOR whose noise is not projected off the axes."""

    @property
    def frame(self):
        return replace(super().frame, orthogonal=False)


def test_noise_that_is_not_projected_has_other_entries():
    """Negative control."""
    tilted = Tilted(**vars(XORS))
    assert worst_p(entries(law_of(tilted)), entries(vectors_of(XORS)))[0] < 1e-6


TRAINED = {
    "small d": {"data__dim": 25},
    "large d": {"data__dim": 1500},
    "orthogonal": {"data__dim": 25, "data__orthogonal_noise": True},
    "bias": {"data__dim": 60, "network__bias": True},
    "independent": {"data__dim": 60, "data__n_patches": 3, "data__noise": "independent"},
    "flips": {"data__dim": 60, "data__flip_prob": 0.2},
    "xor": {"data": XOR(dim=60, signal_norm=1.0)},
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
    return {name: np.array([row[name] for row in rows]) for name in (*names, "noise_coef_neg_mean", "test_error_true")}


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
