"""The same runs on a GPU: equal to the CPU within rounding.

Without a GPU they run on the mock device (see mock_device.py): it tests everything but the arithmetic of a real one.
"""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import GRAM_RULES, QUICK_TRACKERS, RECORDED, ROUTES, RULES, make_run, programs_of, same_bits
from mock_device import mock_device

from featlearn import loop, simulation
from featlearn.bench.networks import network
from featlearn.engines.gpu.engine import GPUGramEngine
from featlearn.engines.protocol import Loss
from featlearn.engines.span.engine import GramEngine
from featlearn.loop import GraphStepper, ReplayStepper, Stepper
from featlearn.optim import SAM, SGD
from featlearn.runs import Record, Train
from featlearn.simulation import Block, build_engine, simulate_block, simulate_seeds
from featlearn.streams.lanes import chi_squares, normals, permutations, uniforms
from featlearn.trackers import TestError
from featlearn.trackers.points import rotations

REAL = torch.cuda.is_available()
pytest.importorskip("triton")
pytestmark = [pytest.mark.cuda, pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")]
real = pytest.mark.skipif(not REAL, reason="no CUDA device")
COLUMNS = ("train_loss", "grad_norm", "signal_coef_mean", "noise_coef_pos_mean", "test_error")


@pytest.fixture(autouse=True)
def device():
    """A GPU, or the mock device."""
    with nullcontext() if REAL else mock_device():
        yield


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks that fit any GPU, and several of them in a test."""
    monkeypatch.setitem(simulation.LANES["cuda"], "gram", 256 if REAL else 8)


@pytest.fixture
def steppers(monkeypatch):
    """The engine and the stepper of every block."""
    used = []
    for kind in (GraphStepper, ReplayStepper):

        def watched(engine, *rest, kind=kind):
            used.append((engine, kind(engine, *rest)))
            return used[-1][1]

        monkeypatch.setattr(loop, kind.__name__, watched)
    return used


@pytest.mark.skipif(REAL, reason="a real device refuses them")
def test_the_mock_device_refuses_the_calls_that_a_device_refuses():
    """Negative control: otherwise running on it would prove nothing."""
    here, there = torch.ones(3), torch.ones(3, device="cuda")
    assert there.is_cuda and not there.cpu().is_cuda and (2 * there)[1:].is_cuda and there.sum().item() == 3
    for mixed in (lambda: here + there, lambda: torch.stack([here, there])):
        with pytest.raises(RuntimeError, match="same device"):
            mixed()
    with pytest.raises(AssertionError, match="same device"):
        torch.func.vmap(lambda x, y: x + y)(here, there)
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()


# draws


def test_random_bits_are_the_same_and_derived_numbers_within_rounding():
    seeds = torch.tensor([0, 1, 2**40 + 3, 2**63 - 1])
    degrees = (1 + 10 ** torch.arange(16.0, dtype=torch.float64)).expand(4, 16)
    for draw, exact in ((uniforms, True), (permutations, True), (normals, False)):
        cpu, cuda = draw(seeds, "x", 101), draw(seeds.cuda(), "x", 101).cpu()
        assert torch.equal(cpu, cuda) if exact else torch.allclose(cpu, cuda, rtol=1e-13, atol=1e-15)
    cpu, cuda = chi_squares(seeds, "x", degrees), chi_squares(seeds.cuda(), "x", degrees.cuda()).cpu()
    assert torch.allclose(cpu, cuda, rtol=1e-12, atol=0)
    assert torch.allclose(rotations(seeds, 2, 6), rotations(seeds.cuda(), 2, 6).cpu(), rtol=0, atol=1e-11)


@pytest.mark.parametrize("changes", [{}, {"network__bias": True, "data__orthogonal_noise": True, "data__dim": 10**12}])
def test_draws_from_the_law_agree_with_the_cpu(changes):
    run = make_run(sampling="gram", data__flip_prob=0.2, **changes)
    cpu, cuda = (build_engine([replace(run, seed=s) for s in range(40)], device).problem for device in ("cpu", "cuda"))
    for name in ("labels", "shown"):
        assert torch.equal(getattr(cpu, name), getattr(cuda, name).cpu())
    for name in ("gram", "align0", "init_gram"):
        here, there = getattr(cpu, name), getattr(cuda, name).cpu()
        assert torch.allclose(here, there, rtol=1e-11, atol=1e-12 * here.abs().max().item()), name


# training


ROADS = [(*route, "vectors") for route in ROUTES if REAL or "weights" in route]
ROADS += [(rule, "gram", "gram") for rule in GRAM_RULES]


@pytest.mark.parametrize(("rule", "engine", "sampling"), ROADS)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-10), ("float32", 2e-3)][: 1 + REAL])
def test_cuda_agrees_with_the_cpu(rule, dtype, tolerance, engine, sampling, small_blocks, steppers, monkeypatch):
    changes = {"engine": engine, "sampling": sampling, "network__bias": True, "data__flip_prob": 0.2}
    run = make_run(RULES[rule], dtype=dtype, train__batch_size=3, **changes)
    if not REAL:  # where time is short
        run = replace(run, record=Record(steps=(0, 10, 20), trackers=(*QUICK_TRACKERS, TestError(n_points=8))))
        monkeypatch.setitem(simulation.LANES["cuda"], "gram", 2)
    (cpu,), (cuda,) = simulate_block([run]), simulate_block([run], device="cuda")
    if engine == "gram" and rule in RECORDED:
        assert any(programs_of(steppers[-1][1]))  # in one launch
    assert cpu.status == cuda.status
    for name in COLUMNS:
        np.testing.assert_allclose(cuda.values[name], cpu.values[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("activation, bias", [("relu", False), ("softplus", True)])
def test_test_errors_agree_with_the_cpu(activation, bias, small_blocks):
    run = make_run(RULES["sam"], sampling="gram", network__activation=activation, network__bias=bias)
    run = replace(run, record=Record(steps=(0, 20), trackers=(TestError(),)))
    cpu, cuda = (simulate_seeds(run, range(300 if REAL else 4), device=device) for device in ("cpu", "cuda"))
    assert np.allclose(cpu["test_error"], cuda["test_error"], rtol=1e-9, atol=1e-9)


# steps in one launch, and captured steps


SOME = RECORDED if REAL else ["sam momentum, decay", "ema_sam window", "looksam window", "sampa"]


def crowd(rule):
    """Runs that fit, diverge and do neither, at different steps."""
    small = {"network__activation": "relu3", "network__init_std": 0.1, "sampling": "gram"}
    n_steps = 150 if REAL else 40
    train = Train(n_steps=n_steps, batch_size=3, stop_at_train_loss=0.4)
    record = Record(steps=(0, 8, 30, n_steps), trackers=QUICK_TRACKERS)
    noises = (1.0, 3e5, 0.5, 1.0, 0.01, 1.5)
    return [
        make_run(rule, seed=s, data__noise_std=noise, train=train, record=record, **small)
        for s, noise in enumerate(noises)
    ]


def eagerly(runs, monkeypatch):
    """Simulate step by step, with plain torch."""
    with monkeypatch.context() as patch:
        patch.setattr(simulation, "_gram_engine", GramEngine)
        patch.setattr(loop, "GraphStepper", Stepper)
        patch.setattr(loop, "SYNC_EVERY", 1)
        return simulate_block(runs, device="cuda")


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-9), ("float32", 1e-3)][: 1 + REAL])
def test_one_launch_takes_the_eager_steps(name, dtype, tolerance, small_blocks, steppers, monkeypatch):
    runs = [replace(run, dtype=dtype) for run in crowd(RULES[name])]
    launched = simulate_block(runs, device="cuda")
    (_, stepper) = steppers[-1]
    assert isinstance(stepper, ReplayStepper) and programs_of(stepper).count(None) <= 1
    assert isinstance(steppers[-1][0], GPUGramEngine)
    eager = eagerly(runs, monkeypatch)
    assert len({trajectory.status for trajectory in eager}) > 1
    for a, b in zip(launched, eager, strict=True):
        assert a.status == b.status and abs(a.stopped_step - b.stopped_step) <= (dtype == "float32")
        for column in ("train_loss", "signal_coef_mean", "noise_coef_pos_mean"):
            here, there = a.values[column][:3], b.values[column][:3]
            np.testing.assert_allclose(here, there, rtol=tolerance, atol=tolerance, err_msg=column)


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("dtype", ["float64", "float32"][: 1 + REAL])
def test_captured_steps_are_the_eager_ones(name, dtype, small_blocks, steppers, monkeypatch):
    """Bit for bit, while runs fit and diverge, in mini-batches; the path of networks too large for one launch."""
    runs = [replace(run, dtype=dtype) for run in crowd(RULES[name])]
    with monkeypatch.context() as patch:
        patch.setattr(simulation, "_gram_engine", GramEngine)
        captured = simulate_block(runs, device="cuda")
    assert [type(stepper) for _, stepper in steppers] == [GraphStepper]
    eager = eagerly(runs, monkeypatch)
    assert len({trajectory.status for trajectory in eager}) > 1
    assert all(same_bits(a, b) for a, b in zip(captured, eager, strict=True))


@real
def test_steps_do_not_wait_for_the_device():
    """Torch raises where the host would wait within a step."""
    engine = build_engine([make_run(sampling="gram", seed=s) for s in range(8)], "cuda")
    rule = Block.of([make_run(SAM(rho=0.1, base=SGD(lr=0.1, momentum=0.9)))] * 8).rule(engine.labels)
    stepper = Stepper(engine, rule, 0.5)
    batch = torch.full_like(engine.labels, 1 / 8)
    state = stepper.start(Loss(engine, batch))
    state = stepper.step(state, batch, 0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        stepper.step(state, batch, 1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


# neighbours


@pytest.mark.parametrize("dtype", ["float64", "float32"][: 1 + REAL])
def test_regrouping_changes_no_bit_on_the_device(dtype, small_blocks):
    runs = [replace(run, dtype=dtype) for run in crowd(RULES["sam"])]
    runs = runs if REAL else [runs[0], runs[1], runs[4]]  # the interpreter takes long
    alone = [simulate_block([run], device="cuda")[0] for run in runs]
    rng = np.random.default_rng(0)
    n = len(runs)
    for order in ([*range(n)][::-1], [2, 0], rng.integers(0, n, 200 if REAL else 3).tolist()):
        together = simulate_block([runs[i] for i in order], device="cuda")
        assert all(same_bits(a, alone[i]) for a, i in zip(together, order, strict=True)), order


@real
def test_a_full_block_fits_and_is_its_runs(monkeypatch):
    """The default size of a block, in the precision that takes most memory."""
    run = network(n_tests=1, n_steps=3)
    full = simulate_seeds(run, range(simulation.lanes(run, "cuda")), device="cuda")
    some = simulate_seeds(run, range(100), device="cpu")
    assert np.allclose(full["test_error"][:100], some["test_error"], rtol=1e-8, atol=1e-8)
