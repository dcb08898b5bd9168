import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import PROPERTY, advance, full_batches, make_run, problem_of, redrawn
from hypothesis import given
from hypothesis import strategies as st

import featlearn as fl
from featlearn.data import DATA, Spurious
from featlearn.data.model import FreshPatch
from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.geometry import draw_run, draw_vectors, patches_of
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.optim import SGD
from featlearn.simulation import simulate_block
from featlearn.streams.lanes import LaneDraws

DATASETS = st.builds(
    Spurious,
    n_samples=st.integers(2, 12),
    dim=st.integers(3, 30),
    n_patches=st.integers(3, 5),
    core_norm=st.floats(0.01, 100),
    spurious_norm=st.floats(0.01, 100),
    alignment=st.floats(0, 1),
    noise=st.sampled_from(["shared", "independent"]),
)


def training_of(data, seed=0):
    return data.draw(LaneDraws(torch.tensor([seed])))


def test_it_has_a_word_in_configs():
    assert DATA["spurious"] is Spurious


@given(DATASETS, st.integers(0, 2**32))
@PROPERTY
def test_every_sample_shows_the_core_by_its_label_and_the_spurious_signal_with_a_sign(data, seed):
    training, vectors = training_of(data, seed), draw_vectors(data, seed)
    x = patches_of(torch.tensor(vectors)[None], training)[0].numpy()[training.shown[0].numpy()]
    core, spurious = vectors[:2]
    assert np.array_equal(x[:, 0], training.true_labels[0].numpy()[:, None] * core)
    signs = np.sign(x[:, 1] @ spurious)
    assert np.array_equal(x[:, 1], signs[:, None] * spurious) and core @ spurious == 0
    for k in range(data.noises_per_sample):
        assert np.array_equal(x[:, 2 + k], vectors[2 + k * data.n_samples :][: data.n_samples])
    assert np.allclose([np.linalg.norm(core), np.linalg.norm(spurious)], [data.core_norm, data.spurious_norm])


def test_the_shares_of_minority_and_flips_are_those_given():
    n = 40_000
    training = training_of(Spurious(n_samples=n, dim=3, alignment=0.9, flip_prob=0.2))
    labels, shown = training.true_labels[0], training.shown[0]
    majority = (shown[:, 1] == 2 + (labels < 0).long()).double()
    flips = (training.labels[0] != labels).double()
    for share, p in ((majority, 0.9), (flips, 0.2), ((labels > 0).double(), 0.5), (majority * flips, 0.18)):
        assert abs(share.mean().item() - p) < 4 * math.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize(("alignment", "share"), [(1.0, 1.0), (0.0, 0.0)])
def test_all_samples_are_of_one_group_at_the_ends(alignment, share):
    training = training_of(Spurious(n_samples=500, dim=3, alignment=alignment))
    agree = training.shown[0, :, 1] == 2 + (training.true_labels[0] < 0).long()
    assert agree.double().mean() == share


def test_the_population_is_named_by_group():
    kinds = Spurious(alignment=0.9, noise_std=0.5, n_patches=4).population()
    assert [(k.name, k.label) for k in kinds] == [(g, y) for g in ("majority", "minority") for y in (1.0, -1.0)]
    assert [k.probability for k in kinds] == pytest.approx([0.45, 0.45, 0.05, 0.05])
    noise = FreshPatch(noise=0, std=0.5, times=2)
    assert kinds[1].patches == (FreshPatch(((0, -1.0),)), FreshPatch(((1, -1.0),)), noise)
    assert kinds[3].patches == (FreshPatch(((0, -1.0),)), FreshPatch(((1, 1.0),)), noise)


def trained(data, draw, steps=200):
    """Outputs and alignments with the signals after some steps from a given draw."""
    run = make_run(SGD(lr=0.1), data=data, network=TwoLayerCNN(n_filters=3, activation="cubic", init_std=0.3))
    engine = CPUGramEngine(problem_of(run, draw(run)))
    w, _ = advance(engine, run.optimizer, full_batches(engine, steps))
    seen = engine.observe(w)
    return seen.outputs[0], seen.signal_align[0]


def exchanged(run):
    """The draw with the first two coordinates of all noises and filters exchanged."""
    draw = draw_run(run.data, run.network, run.seed, keep=True)
    order = [1, 0, *range(2, run.data.dim)]
    own = draw_vectors(run.data, run.seed)
    own[2:] = own[2:, order]
    return redrawn(run, vectors=own, weights=draw.weights[0].numpy()[:, order])


def test_where_all_samples_agree_the_two_signals_play_one_role():
    """Symmetry: exchanging the norms exchanges the alignments. Control: not where some samples disagree."""
    apart = {}
    for alignment in (1.0, 0.6):
        data = Spurious(n_samples=8, dim=40, core_norm=0.6, spurious_norm=1.4, alignment=alignment, noise_std=0.3)
        other = replace(data, core_norm=1.4, spurious_norm=0.6)
        (f, align), (g, turned) = trained(data, redrawn), trained(other, exchanged)
        apart[alignment] = max(float((f - g).abs().max()), float((align - turned.flip(1)).abs().max()))
    assert apart[1.0] < 1e-12 and apart[0.6] > 1e-2


@pytest.mark.parametrize(("core_norm", "minority"), [(0.7, 1.0), (1.3, 0.0)])
def test_the_signal_that_escapes_first_decides_on_the_minority_at_the_plateau(core_norm, minority):
    """Theory: the boundary is at .97. Below it the train loss stays at the entropy of the minority's share."""
    data = {"model": "spurious", "n_samples": 200, "dim": 10**6, "core_norm": core_norm, "alignment": 0.95}
    config = {
        "name": "escape",
        "data": data | {"noise_std": 0.0005},
        "network": {"n_filters": 20, "activation": "cubic", "init_std": 0.02, "filters": "sum"},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "train": {"n_steps": 600},
        "record": {"every": 600, "trackers": ["loss", "test_error"]},
        "sweep": {"seed": {"range": [0, 8]}},
    }
    runs = list(fl.load_config(config).runs())
    for run, found in zip(runs, simulate_block(runs), strict=True):
        assert found.values["test_error.minority"][-1] == pytest.approx(minority, abs=1e-6)
        assert found.values["test_error.majority"][-1] == pytest.approx(0, abs=1e-6)
        training = training_of(run.data, run.seed)
        share = (training.shown[0, :, 1] != 2 + (training.true_labels[0] < 0).long()).double().mean().item()
        entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
        loss = found.values["train_loss"][-1]
        assert abs(loss - entropy) < 2e-3 if minority else loss < 0.02
