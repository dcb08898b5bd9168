"""The mini-batches of a run for each way of drawing them, in training too: alone, in a block, in every engine."""

from functools import reduce
from itertools import islice
from operator import add

import numpy as np
import pytest
import torch
from helpers import QUICK_TRACKERS, RULES, engine_of, landscape_engine, make_landscape_run, make_run, same_bits

from featlearn.data.gaussian import Gaussian
from featlearn.engines.batches import batch_weights
from featlearn.engines.loss import Loss
from featlearn.loop import MiniBatches
from featlearn.models.teacher_student import TeacherStudent
from featlearn.optim import MSAM, SGD
from featlearn.runs import Train
from featlearn.simulation import simulate, simulate_block
from featlearn.streams.lanes import uniforms

FRESH = ("without_replacement", "with_replacement")
SEEDS = torch.tensor([7, 2**40])
OLD = [[[2, 4], [2, 4]], [[3, 1], [3, 0]], [[0], [1]], [[0, 2], [3, 0]], [[1, 3], [4, 2]], [[4], [1]]]


def batches(sampling, size=2, n=5, seeds=SEEDS):
    return MiniBatches(seeds, size, torch.zeros(len(seeds), n, dtype=torch.float64), sampling)


def test_epochs_are_those_of_earlier_versions():
    assert [samples.tolist() for samples in islice(batches("epochs").indices(), 6)] == OLD
    assert Train(n_steps=1, batch_size=1).batch_sampling == "epochs"
    losses = [*islice(MiniBatches(SEEDS, 3, torch.zeros(2, 8)).losses(None), 9)]
    for t, loss in enumerate(losses):
        epoch, place = divmod(t, 3)
        expected = uniforms(SEEDS, "batches", 8, epoch).argsort(1)[:, 3 * place : 3 * place + 3]
        assert torch.equal(loss.samples, expected) and loss.step == t
        assert torch.equal(loss.batch, torch.zeros(2, 8).scatter_(1, expected, 1 / expected.shape[1]))


@pytest.mark.parametrize("sampling", FRESH)
def test_every_step_has_a_fresh_batch_of_the_whole_size(sampling):
    steps = [samples.tolist() for samples in islice(batches(sampling).indices(), 40)]
    assert {len(row) for step in steps for row in step} == {2}
    assert len({str(step) for step in steps}) > 30
    assert steps == [samples.tolist() for samples in islice(batches(sampling).indices(), 40)]
    alone = islice(batches(sampling, seeds=SEEDS[1:]).indices(), 40)
    assert [step[1:] for step in steps] == [samples.tolist() for samples in alone]
    for samples, loss in islice(zip(batches(sampling).indices(), batches(sampling).losses(None), strict=False), 10):
        assert torch.equal(samples, loss.samples) and torch.equal(loss.batch, batch_weights(samples, loss.batch))


@pytest.mark.parametrize("sampling", ["epochs", "without_replacement"])
def test_a_batch_of_all_samples_is_the_whole_set(sampling):
    losses = [*islice(batches(sampling, size=5).losses(engine_of(make_run())), 3)]
    assert all(loss.samples is None and loss.batch is losses[0].batch for loss in losses)
    assert torch.equal(losses[0].batch, torch.full((2, 5), 0.2, dtype=torch.float64))
    assert [*islice(batches(sampling, size=5).indices(), 2)][1].tolist() == [
        uniforms(SEEDS, "batches", 5, 1).argsort(1)[lane].tolist() for lane in range(2)
    ]


def test_with_replacement_it_is_a_bootstrap_sample():
    losses = [*islice(batches("with_replacement", size=5).losses(None), 20)]
    assert max(loss.batch.max().item() for loss in losses) >= 0.4
    assert all(torch.allclose(loss.batch.sum(1), torch.ones(2).double(), rtol=0, atol=1e-15) for loss in losses)


def test_another_batch_is_drawn_in_the_same_way():
    engine = engine_of(*[make_run(seed=seed) for seed in range(50)])
    for sampling, distinct in (("with_replacement", {1, 2, 3, 4, 5}), ("without_replacement", {5}), ("epochs", {5})):
        loss = next(MiniBatches(engine.seeds, 5, engine.labels, sampling).losses(engine))
        other = loss.other
        assert {len(set(row)) for row in other.samples.tolist()} <= distinct
        assert torch.equal(other.batch, batch_weights(other.samples, engine.labels)) and other.size == 5
        assert (other.batch.max() > 0.2) == (sampling == "with_replacement")


@pytest.mark.parametrize("sampling", FRESH)
@pytest.mark.parametrize(("name", "size"), [("sam", 8), ("msam", 4), ("component_sam other_batch", 4)])
def test_a_run_is_the_same_alone_and_in_a_block_and_in_both_engines(name, size, sampling):
    settings = {"train__batch_size": size, "train__batch_sampling": sampling, "record__trackers": QUICK_TRACKERS}
    runs = [make_run(RULES[name], seed=seed, **settings) for seed in range(2)]
    together = simulate_block(runs)
    assert all(same_bits(simulate(run), found) for run, found in zip(runs, together, strict=True))
    explicit = simulate(make_run(RULES[name], seed=1, engine="weights", **settings)).values
    for column in ("train_loss", "signal_coef_max", "noise_coef_pos_max"):
        assert np.allclose(explicit[column], together[1].values[column], rtol=0, atol=1e-12)
    epochs = simulate(make_run(RULES[name], seed=1, **{**settings, "train__batch_sampling": "epochs"}))
    same = (size, sampling) == (8, "without_replacement")
    assert (epochs.values["train_loss"].tobytes() == together[1].values["train_loss"].tobytes()) == same


@pytest.mark.parametrize("count", [1, 2, 3])
def test_micro_batches_of_a_landscape_count_duplicates_twice(count):
    """The mean over the micro-batches of gradient_b(w + rho g_b/|g_b|), each gradient a mean over drawn samples."""
    engine = landscape_engine(TeacherStudent(n_hidden=3), Gaussian(n_samples=4, dim=5), 0)
    samples = torch.tensor([[2, 2, 0, 3, 3, 3]])
    loss = Loss(engine, batch_weights(samples, engine.labels), samples, replacement=True)
    w, rule = engine.initial(), MSAM(rho=0.5, n_shards=count, base=SGD(lr=0.1))

    def gradient(at, shard):
        each = [engine.gradient(at, torch.eye(4, dtype=torch.float64)[[i]]) for i in shard]
        return (count / 6) * reduce(add, each)

    def mean(shards):
        parts = [gradient(w + 0.5 * loss.unit(gradient(w, shard)), shard) for shard in shards]
        return (1 / count) * reduce(add, parts)

    found, _ = rule.gradient(loss, w, rule.init(w), 0)
    shards = [row.tolist() for row in samples[0].chunk(count)]
    once = [[*dict.fromkeys(shard)] for shard in shards]  # a weight is not added, but overwritten
    for parts, right in ((shards, True), (once, False)):
        pairs = zip(found.leaves, mean(parts).leaves, strict=True)
        assert all(torch.allclose(a, b, rtol=0, atol=1e-14) for a, b in pairs) == right


@pytest.mark.parametrize("sampling", FRESH)
def test_a_landscape_trains_on_them(sampling):
    data = Gaussian(n_samples=9, dim=4)
    rule = MSAM(rho=0.1, n_shards=2, base=SGD(lr=0.1))
    settings = {"train__batch_size": 6, "train__batch_sampling": sampling}
    runs = [make_landscape_run(TeacherStudent(n_hidden=3), rule, data, seed=seed, **settings) for seed in range(3)]
    together = simulate_block(runs)
    assert all(same_bits(simulate(run), found) for run, found in zip(runs, together, strict=True))
