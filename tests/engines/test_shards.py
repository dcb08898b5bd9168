"""Micro-batches of explicit parameters by hand; those of the engines are in test_patches.py and cpu/test_shards.py."""

import pytest
import torch
from helpers import engine_of, make_run

from featlearn.engines.loss import Loss
from featlearn.engines.shards import Shards, averaged, cut, repeated, whole
from featlearn.engines.vector import Vector

W = Vector((torch.tensor([[1.0, 2.0], [3.0, 4.0]]),))


def test_every_micro_batch_has_the_point_and_the_mean_is_over_those_of_a_run():
    assert repeated(W, 3).leaves[0].tolist() == [[1, 2]] * 3 + [[3, 4]] * 3
    directions = Vector((torch.tensor([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0], [7.0, 9.0]]),))
    assert averaged(directions, 2).leaves[0].tolist() == [[2, 1], [6, 7]]


@pytest.mark.parametrize(("x", "expected"), [(2.0, [[3, 6], [9, 12]]), (torch.tensor([2.0, 0.0]), [[3, 6], [3, 4]])])
def test_a_number_a_run_is_that_of_its_micro_batches(x, expected):
    shards = Shards(None, 2, lambda w: repeated(w, 2), lambda u: averaged(u, 2))
    assert shards.average(lambda loss, w, x: w + x * w, W, x).leaves[0].tolist() == expected


def test_a_batch_is_cut_in_the_order_in_which_it_was_drawn():
    engine = engine_of(make_run())
    samples = torch.tensor([[5, 0, 3, 6]])
    assert cut(Loss(engine, engine.labels, samples), 2).tolist() == [[[5, 0], [3, 6]]]
    loss = Loss(engine, engine.labels, step=3)
    assert cut(loss, 4).flatten().tolist() == loss.order.flatten().tolist() != list(range(8))


def test_the_only_micro_batch_is_the_batch():
    loss = object()
    shards = whole(loss)
    assert (shards.loss, shards.count) == (loss, 1) and shards.split(W) is shards.mean(W) is W
