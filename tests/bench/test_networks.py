"""The timed networks train equally in every dimension, and record the requested test errors."""

from dataclasses import replace

import pytest

from featlearn import simulation
from featlearn.bench.networks import block, network
from featlearn.trackers import Loss, TestError


@pytest.mark.parametrize("dtype, n_tests", [("float64", 10), ("float32", 0)])
def test_networks_record_the_requested_test_errors(dtype, n_tests):
    run = network(n_tests=n_tests, dtype=dtype)
    assert run.record.steps == (tuple(range(10, 101, 10)) if n_tests else (100,))
    assert len({one.run_id for one in block(run, 0) + block(run, 1)}) == 2 * simulation.lanes(run)


def test_the_same_training_happens_in_every_dimension():
    ends = []
    for dim in (10**4, 10**12):
        run = network(dim=dim, n_tests=1)
        runs = [replace(run, seed=s, record=replace(run.record, trackers=(Loss(), TestError()))) for s in range(100)]
        done = simulation.simulate_block(runs)
        ends.append([sum(t.values[key][-1] for t in done) / 100 for key in ("train_loss", "test_error")])
    assert ends[0] == pytest.approx(ends[1], rel=0.02, abs=0.06)
    assert ends[1][0] < 0.68 and 0.05 < ends[1][1] < 0.15
