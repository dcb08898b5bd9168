"""The hot path, piece by piece, on a full block of SAM runs (n = 20, m = 10): needs pytest-benchmark.

Not collected by the suite; run it with ``pytest tests/benchmarks/hot_path.py --benchmark-only``.
"""

import pytest

from featlearn.bench.networks import block, compute, network
from featlearn.environment import fresh_environment
from featlearn.loop import MiniBatches, NextStep, Stepper
from featlearn.optim import stack
from featlearn.simulation import build_engine, simulate_block

pytest.importorskip("pytest_benchmark")


@pytest.fixture(scope="module", params=["float64", "float32"])
def run(request):
    return network(dtype=request.param)


@pytest.fixture(scope="module")
def ready(run):
    """Engine, rule, state after a few steps, and the loss to step on."""
    runs = block(run, 0)
    with fresh_environment():
        engine = build_engine(runs, "cpu")
        rule = stack([one.optimizer for one in runs], engine.labels.new_tensor)
        full = MiniBatches(engine.problem.seeds, run.train.batch_size, engine.problem.labels).losses(engine)
        stepper = Stepper(engine, rule, None)
        state = stepper.run(stepper.start(next(full)), full, 0, 5)
        yield engine, rule, state, state.loss(engine, 5)


def test_draws(benchmark, run):
    runs = block(run, 0)
    with fresh_environment():
        benchmark(build_engine, runs, "cpu")


def test_gradient(benchmark, ready):
    _, _, state, loss = ready
    benchmark(loss.gradient, state.w)


def test_inner_product(benchmark, ready):
    engine, _, state, loss = ready
    benchmark(engine.inner, loss.gradient(state.w), loss.gradient(state.w))


def test_step(benchmark, ready):
    _, rule, state, loss = ready
    benchmark(rule.step, loss, state.w, state.memory, 5)


def test_observation(benchmark, ready):
    engine, rule, state, _ = ready
    coming = NextStep.of(rule, state.loss(engine, 5), state.w, state.memory, 5)
    benchmark(coming.view, engine, state.w, 5)


def test_test_error(benchmark, run, ready):
    engine, rule, state, _ = ready
    view = NextStep.of(rule, state.loss(engine, 5), state.w, state.memory, 5).view(engine, state.w, 5)
    benchmark(run.record.trackers[0], view)


@pytest.mark.parametrize("rule", ["sgd", "sam"])
def test_whole_block(benchmark, rule):
    benchmark(compute, network(rule), "cpu", 0)


def test_whole_block_with_bias_and_mini_batches(benchmark):
    from dataclasses import replace

    run = network()
    run = replace(run, network=replace(run.network, bias=True), train=replace(run.train, batch_size=5))
    benchmark(simulate_block, block(run, 0))
