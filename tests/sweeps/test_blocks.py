"""Blocks and shards: every run is in exactly one."""

from dataclasses import replace

import pytest
from fakes import FakeConfig
from helpers import RULES, make_run

from featlearn.sweeps.blocks import LITTLE, Plan, Shard, blocks, share


def test_blocks_are_full_and_of_one_shape(monkeypatch):
    monkeypatch.setattr("featlearn.sweeps.blocks.lanes", lambda run, device: 3)
    runs = [make_run(RULES[rule], seed=seed) for seed in range(4) for rule in ("sgd", "sam")]
    cut = [[(run.seed, type(run.optimizer).__name__) for run in block] for block in blocks(runs, "cpu")]
    assert cut[0] == [(0, "SGD"), (1, "SGD"), (2, "SGD")]
    assert [len(block) for block in cut] == [3, 3, 1, 1]
    assert len({run for block in cut for run in block}) == 8


@pytest.mark.parametrize(("n_runs", "jobs", "size"), [(10_000, 2, 5000), (20_000, 2, 5000), (9000, 1, 4500)])
def test_jobs_get_blocks_of_equal_size(n_runs, jobs, size):
    assert share(n_runs, jobs) == size
    assert share(5, jobs) == share(0, jobs) == LITTLE


def test_a_block_has_at_most_its_share():
    runs = [make_run(seed=seed) for seed in range(5)]
    assert [len(block) for block in blocks(runs, "cpu", 2)] == [2, 2, 1]


def test_every_shard_is_disjoint_and_all_are_everything():
    runs = list(FakeConfig(tuple(range(11))).runs())
    masks = [Plan.of(runs, Shard.parse(f"{i}/4"), ()).mine for i in range(1, 5)]
    assert (sum(mask.astype(int) for mask in masks) == 1).all()


@pytest.mark.parametrize("text", ["1", "1/", "/2", "0/2", "3/2", "-1/2", "1.0/2", "1/2/3", "1/" + "9" * 30, "\u0661/2"])
def test_a_shard_is_i_of_n(text):
    assert Shard.parse("2/5") == Shard(2, 5)
    with pytest.raises(ValueError, match="shard must be i/n with 1 <= i <= n"):
        Shard.parse(text)


def test_a_plan_computes_each_run_once_and_none_that_is_finished():
    runs = list(FakeConfig((3, 3, 4, 5)).runs())
    plan = Plan.of(runs, Shard(), [runs[2].run_id])
    assert plan.run_ids.tolist() == [run.run_id for run in runs]
    assert (plan.mine.tolist(), plan.todo.tolist()) == ([True, False, True, True], [True, False, False, True])
    assert [[run.seed for run in block] for block in plan.blocks(runs, "cpu")] == [[3, 5]]


def test_a_plan_keeps_how_numbers_were_given_null_where_a_run_has_no_such_number():
    base = make_run()
    runs = [replace(base, seed=0), replace(base, seed=1, theory=(("optimizer.rho", 2.0),)), replace(base, seed=2)]
    assert Plan.of(runs, Shard(), ()).given["optimizer.rho.theory"] == [None, 2.0, None]
