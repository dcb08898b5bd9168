"""mSAM against its equation on explicit weights, one micro-batch after the other; its limits; how a batch is cut."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from equations import HEAVY, PLAIN, descend, error, in_drawn_order, run_of, trained, unit
from helpers import (
    PlainNetwork,
    engine_of,
    explicit,
    full_batches,
    loss_on,
    make_landscape_run,
    mini_batches,
    with_steps,
)

from featlearn.data.gaussian import Gaussian
from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.engines.loss import Loss, batch_weights
from featlearn.engines.span.engine import GramEngine
from featlearn.models.teacher_student import TeacherStudent
from featlearn.optim import MSAM, SAM

ENGINES = pytest.mark.parametrize("engine", ["gram", "weights"])


def by_equation(rule, plain, size, *, whole=False):
    """The mean over micro-batches of gradients, each at its own point (``whole``: taken on the whole batch)."""

    def gradient(t, w, chosen, buffer):
        shards = [chosen[i : i + size] for i in range(0, len(chosen), size)]
        there = [w + rule.rho * unit(plain.gradient(w, shard)) for shard in shards]
        taken = [plain.gradient(at, chosen if whole else shard) for at, shard in zip(there, shards, strict=True)]
        return sum(len(shard) / len(chosen) * g for g, shard in zip(taken, shards, strict=True))

    return gradient


SPLITS = [(8, {"n_shards": 2}), (8, {"micro_batch_size": 1}), (4, {"micro_batch_size": 2}), (6, {"n_shards": 2})]


@pytest.mark.parametrize(("batch_size", "split"), SPLITS)
@pytest.mark.parametrize("base", [PLAIN, HEAVY], ids=["plain", "heavy"])
@ENGINES
def test_each_micro_batch_is_perturbed_and_evaluated_on_itself(batch_size, split, base, engine):
    rule = MSAM(rho=0.2, **split, base=base)
    run = run_of(rule, engine=engine, batch_size=batch_size, data__noise="independent")
    built, losses, orders = in_drawn_order(run, 10)
    plain, ours = PlainNetwork(run), trained(rule, built, losses)
    size = split.get("micro_batch_size")

    def theirs(**how):
        def gradient(t, w, chosen, buffer):
            return by_equation(rule, plain, size or len(chosen) // 2, **how)(t, w, chosen, buffer)

        return descend(base, plain.start, orders, gradient)

    assert np.abs(explicit(ours, plain) - theirs()).max() < 1e-12
    assert np.abs(explicit(ours, plain) - theirs(whole=True)).max() > 1e-4  # a trap of published code
    sorted_orders = [sorted(order) for order in orders]
    if size != 1:  # the order in which samples were drawn decides who shares a micro-batch
        other = descend(base, plain.start, sorted_orders, by_equation(rule, plain, size or batch_size // 2))
        assert np.abs(explicit(ours, plain) - other).max() > 1e-4


@pytest.mark.parametrize("kind", [GramEngine, CPUGramEngine])
@pytest.mark.parametrize("split", [{"n_shards": 2}, {"n_shards": 4}, {"micro_batch_size": 1}], ids=str)
def test_both_gram_engines_agree_with_explicit_weights(kind, split):
    rule = MSAM(rho=0.2, **split, base=HEAVY)
    run = run_of(rule, engine="weights", batch_size=4, data__noise="independent")
    explicit_engine, losses, _ = in_drawn_order(run, 40)
    gram = kind(explicit_engine.problem)
    a = explicit_engine.align(trained(rule, explicit_engine, losses))
    b = gram.align(trained(rule, gram, [replace(loss, engine=gram) for loss in losses]))
    assert torch.allclose(a, b, rtol=0, atol=1e-11)


@ENGINES
def test_one_micro_batch_is_sam(engine):
    rule = MSAM(rho=0.2, n_shards=1, base=HEAVY)

    def sam(plain):
        return lambda t, w, chosen, buffer: plain.gradient(w + 0.2 * unit(plain.gradient(w, chosen)), chosen)

    assert error(rule, sam, engine=engine) < 1e-12
    assert error(replace(rule, n_shards=None, micro_batch_size=1), sam, engine=engine) > 1e-3


@pytest.mark.parametrize(
    ("batch_size", "split"), [(12, {"micro_batch_size": 1}), (12, {"n_shards": 3}), (6, {"n_shards": 2})]
)
def test_on_a_landscape_each_micro_batch_is_perturbed_and_evaluated_on_itself(batch_size, split):
    rule, students = MSAM(rho=0.2, **split, base=PLAIN), Gaussian(n_samples=12, dim=4)
    runs = [make_landscape_run(TeacherStudent(n_hidden=3), rule, students, seed=seed) for seed in (3, 4)]
    runs = [with_steps(run, 8, batch_size=batch_size) for run in runs]
    engine = engine_of(*runs)
    losses = list(islice(mini_batches(engine.labels, *runs).losses(engine), 8))
    size, w = batch_size // split.get("n_shards", batch_size), engine.initial()
    for loss in losses:
        shards = [replace(loss, batch=batch_weights(part, loss.batch)) for part in loss.order.split(size, 1)]
        points = [w + 0.2 * shard.unit(shard.gradient(w)) for shard in shards]
        for shard, point in zip(shards, points, strict=True):
            w = w - 0.1 / len(shards) * shard.gradient(point)
    found, sam = (trained(r, engine, losses) for r in (rule, SAM(rho=0.2, base=PLAIN)))
    assert max(float((a - b).abs().max()) for a, b in zip(found.leaves, w.leaves, strict=True)) < 1e-12
    assert max(float((a - b).abs().max()) for a, b in zip(found.leaves, sam.leaves, strict=True)) > 1e-4


@ENGINES
@pytest.mark.parametrize("split", [{"n_shards": 1}, {"micro_batch_size": 4}], ids=str)
def test_one_micro_batch_is_sam_bit_for_bit(engine, split):
    run = run_of(MSAM(rho=0.2, **split, base=HEAVY), engine=engine, batch_size=4)
    built, losses, _ = in_drawn_order(run, 12)
    ours, sam = (trained(rule, built, losses) for rule in (run.optimizer, SAM(rho=0.2, base=HEAVY)))
    assert all(torch.equal(a, b) for a, b in zip(ours.leaves, sam.leaves, strict=True))
    other = trained(MSAM(rho=0.2, n_shards=2, base=HEAVY), built, losses)
    assert not any(torch.equal(a, b) for a, b in zip(other.leaves[1:], sam.leaves[1:], strict=True))


@pytest.mark.parametrize("batch_size", [4, 8])
def test_runs_of_a_block_are_cut_each_in_its_own_order(batch_size):
    rule = MSAM(rho=0.2, n_shards=2, base=PLAIN)
    runs = [run_of(rule, batch_size=batch_size, seed=seed) for seed in range(3)]
    engine = engine_of(*runs)
    together = trained(rule, engine, islice(mini_batches(engine.labels, *runs).losses(engine), 6))
    for lane, run in enumerate(runs):
        built, losses, _ = in_drawn_order(run, 6)
        assert torch.allclose(together.leaves[1][lane], trained(rule, built, losses).leaves[1][0], rtol=0, atol=1e-13)


def test_the_full_batch_is_cut_anew_at_each_step_as_by_mini_batches_of_all():
    run = run_of(MSAM(rho=0.2, n_shards=3, base=PLAIN), data__n_samples=12, batch_size=12)
    engine, losses, orders = in_drawn_order(run, 5)
    assert orders == [batch[0].tolist() for batch in islice(mini_batches(engine.labels, run).indices(), 5)]
    assert all(loss.samples is None for loss in losses)
    partitions = [frozenset(frozenset(order[i : i + 4]) for i in (0, 4, 8)) for order in orders]
    assert len(set(partitions)) == 5 and all(sorted(order) == list(range(12)) for order in orders)


@ENGINES
def test_given_labels_are_cut_too(engine):
    rule = MSAM(rho=0.2, n_shards=4, base=PLAIN)
    built = engine_of(run_of(rule, engine=engine))
    loss = Loss(built, full_batches(built, 1)[0])
    w = built.initial()
    flipped = rule.gradient(replace(loss, labels=-built.labels), w, rule.init(w), 0)[0]
    minus = run_of(rule, engine=engine)
    plain = PlainNetwork(minus)
    plain.labels = -plain.labels
    expected = by_equation(rule, plain, 2)(0, plain.start, loss.order[0].tolist(), None)
    assert np.abs(explicit(flipped, plain) - expected).max() < 1e-12


@ENGINES
def test_trackers_see_the_mean_of_the_points(engine):
    rule = MSAM(rho=0.2, micro_batch_size=2, base=PLAIN)
    run = run_of(rule, engine=engine)
    built, plain = engine_of(run), PlainNetwork(run)
    w = built.initial()
    loss = loss_on(built, full_batches(built, 1)[0])
    point = rule.probe(loss, w, rule.init(w), 0)
    shards = [part.tolist() for part in loss.order[0].split(2)]
    mean = sum(unit(plain.gradient(plain.start, shard)) for shard in shards) / 4
    assert np.abs(explicit(point, plain) - plain.start - 0.2 * mean).max() < 1e-12


@pytest.mark.parametrize(
    ("n_shards", "reason"), [(3, "does not divide a batch of 8"), (9, "is more than a batch of 8")]
)
def test_a_batch_that_cannot_be_split_is_refused(n_shards, reason):
    rule = MSAM(rho=0.1, n_shards=n_shards, base=PLAIN)
    built = engine_of(run_of(rule))
    with pytest.raises(ValueError, match=f"n_shards = {n_shards} {reason} samples"):
        rule.step(loss_on(built, full_batches(built, 1)[0]), built.initial(), rule.init(built.initial()), 0)


@pytest.mark.parametrize("split", [{}, {"n_shards": 1, "micro_batch_size": 1}])
def test_the_split_is_given_once(split):
    with pytest.raises(ValueError, match="exactly one of n_shards and micro_batch_size"):
        MSAM(rho=0.1, base=PLAIN, **split)


def test_samples_of_one_gradient_direction_make_it_sam_again():
    """Limit: with every sample the same, its own gradient is the batch's."""
    rule = MSAM(rho=0.2, micro_batch_size=1, base=PLAIN)
    built = engine_of(run_of(rule, engine="weights", data__flip_prob=0.0))
    built._patches = built._patches[:, :1].expand_as(built._patches)
    built.labels = built.labels[:, :1].expand_as(built.labels)
    built.problem = replace(built.problem, labels=built.labels)
    loss, w = loss_on(built, full_batches(built, 1)[0]), built.initial()
    ours = rule.gradient(loss, w, rule.init(w), 0)[0]
    sam = SAM(rho=0.2, base=PLAIN).gradient(loss, w, rule.init(w), 0)[0]
    assert all(torch.allclose(a, b, rtol=0, atol=1e-14) for a, b in zip(ours.leaves, sam.leaves, strict=True))
