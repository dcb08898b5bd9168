"""Which patches micro-batches show, their problems, the filters of a label, and the vectors of patches: by hand."""

from dataclasses import replace

import pytest
import torch
from helpers import engine_of, make_run
from repeated_patch import RepeatedPatch
from three_classes import ThreeClasses

from featlearn.data import XOR, SignalNoise
from featlearn.geometry import draw_run

DATA = {
    "signal": SignalNoise(n_samples=6, dim=30, n_patches=3, signal_norm=2.0, noise="independent"),
    "xor": XOR(n_samples=6, dim=30, signal_norm=2.0),
    "one twice": RepeatedPatch(n_samples=6),
}
LANE = torch.arange(2)[:, None, None]


def problem_of(data, **changes):
    return engine_of(*(make_run(data=data, seed=seed, **changes) for seed in range(2))).problem


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("name", DATA)
def test_a_micro_batch_lists_the_patches_of_its_samples(name, size):
    """The common patches once where it has as many samples, in their own order; then the patches of each slot."""
    problem = problem_of(DATA[name])
    samples = torch.tensor([[4, 0, 5, 2], [1, 3, 0, 5]]).reshape(2, -1, size)
    patches, places = problem.patches_of(samples)
    shown = problem.shown[LANE, samples]
    assert torch.equal(patches.gather(2, places.flatten(2)).reshape(shown.shape), shown)
    own = [slot for slot in problem.slots if not slot.common]
    once = size >= problem.n_common
    expected = problem.n_common + size * len(own) if once else size * len(problem.slots)
    assert patches.shape == (2, 4 // size, expected)
    if once:
        assert torch.equal(patches[..., : problem.n_common], torch.arange(problem.n_common).expand(2, 4 // size, -1))


def test_the_problems_of_micro_batches():
    problem, samples = problem_of(DATA["signal"]), torch.tensor([[[4, 0], [5, 2]], [[1, 3], [0, 5]]])
    part, (patches, places) = problem.part(samples), problem.patches_of(samples)
    for lane in range(4):
        run, micro = divmod(lane, 2)
        listed = patches[run, micro]
        assert torch.equal(part.gram[lane], problem.gram[run][listed][:, listed])
        assert torch.equal(part.labels[lane], problem.labels[run, samples[run, micro]])
        assert torch.equal(part.shown[lane], places[run, micro])
    assert part.seeds.tolist() == [0, 0, 1, 1] and part.n_samples == 2
    assert not part.align0.any() and not part.init_gram.any()
    with pytest.raises(AssertionError, match="micro-batches are not observed"):
        part.composed  # noqa: B018


def test_own_filters_are_those_of_the_sign_or_of_the_class():
    signs = replace(problem_of(DATA["signal"], network__n_filters=1), labels=torch.tensor([[1.0, -1.0, 1.0]]).double())
    assert signs.own().tolist() == [[[True, False, True], [False, True, False]]]
    classes = problem_of(ThreeClasses(signal_norm=1.0), network__loss="softmax", network__n_filters=2)
    found = replace(classes, labels=torch.tensor([[2.0, 0.0]])).own()[0]
    assert found.T.tolist() == [[False] * 4 + [True] * 2, [True] * 2 + [False] * 4]
    assert (classes.n_outputs, classes.n_classes) == (3, 3)


@pytest.mark.parametrize("name", DATA)
def test_patches_are_the_mixing_of_their_vectors(name):
    run = make_run(data=DATA[name])
    draw, mixing = draw_run(run.data, run.network, 0, keep=True), engine_of(run).problem.composed.mixing
    assert torch.allclose(mixing @ draw.vectors, draw.patches, atol=1e-13)
    assert mixing.shape[2] == len(run.data.frame.signals) + run.data.frame.n_noises
