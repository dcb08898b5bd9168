"""The loss of a rule: whole or on a mini-batch, on another one, under flipped labels."""

import pytest
import torch
from helpers import engine_of, make_run

from featlearn.engines.batches import batch_weights, shuffled
from featlearn.engines.loss import Loss

RUNS = [make_run(seed=seed, data__flip_prob=0.2) for seed in range(3)]


@pytest.fixture(scope="module")
def engine():
    return engine_of(*RUNS)


def on(engine, samples, step=0):
    return Loss(engine, batch_weights(samples, engine.labels), samples, step)


def test_the_gradient_of_a_mini_batch_is_the_mean_of_its_samples(engine):
    samples, w = torch.tensor([[2, 5, 7]] * 3), engine.initial()
    loss, alone = on(engine, samples), [on(engine, samples[:, [i]]).gradient(w) for i in range(3)]
    mean = (1 / 3) * (alone[0] + alone[1] + alone[2])
    assert loss.size == 3 and torch.equal(loss.order, samples)
    assert all(torch.allclose(a, b, atol=1e-14) for a, b in zip(loss.gradient(w).leaves, mean.leaves, strict=True))
    assert torch.equal(loss.inner(w, w), engine.inner(w, w))


def test_the_whole_set_has_every_sample_in_a_new_order_at_each_step(engine):
    full = on(engine, torch.tensor([[1, 4]] * 3), step=6).full
    assert full.size == 8 and torch.equal(full.batch, torch.full((3, 8), 1 / 8).double())
    assert full.other is full
    assert torch.equal(full.order.sort(1).values, torch.arange(8).expand(3, 8))
    assert torch.equal(full.order, shuffled(engine.seeds, 8, 6)) and not torch.equal(
        full.order, shuffled(engine.seeds, 8, 7)
    )


def test_another_mini_batch_is_drawn_by_seed_and_step(engine):
    samples = torch.tensor([[0, 1, 2]] * 3)
    other, again, later = (on(engine, samples, step).other for step in (4, 4, 5))
    assert torch.equal(other.samples, again.samples) and not torch.equal(other.samples, later.samples)
    assert len({tuple(row) for row in other.samples.tolist()}) > 1
    assert other.size == 3 and torch.equal(other.batch, batch_weights(other.samples, engine.labels))
    assert all(len(set(row)) == 3 for row in other.samples.tolist())


def test_flipped_labels_replace_those_of_the_loss(engine):
    loss, w = on(engine, torch.tensor([[0, 1, 2]] * 3)), engine.initial()
    assert torch.equal(loss.flipped(1.0).labels, -engine.labels)
    assert torch.equal(loss.flipped(1.0).flipped(1.0).labels, engine.labels)
    each = loss.flipped(torch.tensor([0.0, 1.0, 0.0]).double()).labels
    assert torch.equal(each, engine.labels * torch.tensor([1.0, -1.0, 1.0]).double()[:, None])
    assert torch.equal(loss.flipped(0.0).gradient(w).leaves[1], loss.gradient(w).leaves[1])
    assert not torch.equal(loss.flipped(1.0).gradient(w).leaves[1], loss.gradient(w).leaves[1])
