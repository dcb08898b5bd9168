"""A run has the same bits for any settings of the caller, and restores them."""

import threading
import warnings
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch
from helpers import RULES, make_landscape_run, make_run, same_bits, with_steps
from threadpoolctl import threadpool_info, threadpool_limits

from featlearn import environment
from featlearn.data.gaussian import Gaussian
from featlearn.environment import FRESH, fresh_environment
from featlearn.export import export
from featlearn.models.teacher_student import TeacherStudent
from featlearn.optim import MSAM, TorchOptim
from featlearn.simulation import simulate, simulate_seeds
from featlearn.trackers import TRACKERS


@contextmanager
def changed(change, now, afterwards):
    change(now)
    try:
        yield
    finally:
        change(afterwards)


@contextmanager
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


SET = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "anomaly detection": torch.autograd.detect_anomaly,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default device": lambda: changed(torch.set_default_device, "meta", None),
    "device of a block": lambda: torch.device("meta"),
    "default dtype": lambda: changed(torch.set_default_dtype, torch.float64, torch.float32),
    "default dtype, half": lambda: changed(torch.set_default_dtype, torch.float16, torch.float32),
    "deterministic": lambda: changed(torch.use_deterministic_algorithms, True, False),
    "matmul precision": lambda: changed(torch.set_float32_matmul_precision, "medium", "highest"),
    "precision of a backend": lambda: changed(
        lambda word: setattr(torch.backends.mkldnn.matmul, "fp32_precision", word), "bf16", "ieee"
    ),
    "denormals": lambda: changed(torch.set_flush_denormal, True, False),
    "numpy raises": lambda: np.errstate(all="raise"),
    "warnings raise": warnings_are_errors,
}
DIVERGES = make_run(RULES["sgd"], network__init_std=1e3, data__noise_std=1e80, record=make_run().record)
RUNS = {
    "gram": make_run(RULES["sam"]),
    "weights, single": make_run(RULES["sam around adamw"], dtype="float32", network__activation="softplus"),
    "diverges": DIVERGES,
    "landscape": make_landscape_run(
        TeacherStudent(n_hidden=3),
        MSAM(rho=0.1, n_shards=3, base=TorchOptim(lr=0.01, cls="torch.optim.Adam", options={"amsgrad": True})),
        Gaussian(n_samples=12, dim=3),
        n_steps=5,
        trackers=(TRACKERS["loss"](), TRACKERS["sharpness"](top=2), TRACKERS["hessian_trace"]()),
    ),
}


@pytest.fixture(autouse=True)
def _as_it_is_for_users(monkeypatch):
    monkeypatch.setattr(environment, "SOFTENED", {"error": "default"})


@pytest.fixture(scope="module")
def undisturbed_runs():
    return {name: simulate(run) for name, run in RUNS.items()}


def settings():
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
    process = [get() for get, *_ in FRESH]
    return (*modes, *process, torch.get_default_device(), np.geterr(), list(warnings.filters), 5e-324 * len("1") == 0)


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
@pytest.mark.parametrize("word", SET)
def test_bits_do_not_depend_on_the_callers_settings(word, undisturbed_runs):
    with SET[word]():
        before = settings()
        found = {name: simulate(run) for name, run in RUNS.items()}
        assert settings() == before
    assert all(same_bits(found[name], there) for name, there in undisturbed_runs.items())


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_nor_do_exports_and_many_seeds(tmp_path):
    run = with_steps(make_run(RULES["sam"], data__dim=20), 4, batch_size=4)
    here, seeds = export(run, tmp_path / "here.npz"), simulate_seeds(run, range(3))
    with ExitStack() as stack:
        for context in SET.values():
            stack.enter_context(context())
        there, others = export(run, tmp_path / "there.npz"), simulate_seeds(run, range(3))
    for one, other in ((here, there), (seeds, others)):
        assert one.keys() == other.keys()
        assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_a_rule_that_warns_ends_no_run_but_is_heard():
    class Warns:
        def __call__(self, view):
            warnings.warn("a word of caution", UserWarning, stacklevel=1)
            return {"one": torch.ones(len(view.batch))}

    run = make_run(record=make_run().record.__class__(steps=(0, 20), trackers=(Warns(),)))
    with warnings_are_errors(), pytest.MonkeyPatch.context() as patch:
        heard = []
        patch.setattr(warnings, "showwarning", lambda message, *rest, **how: heard.append(str(message)))
        assert simulate(run).status == "ok"
    assert heard[:1] == ["a word of caution"]


def test_the_last_of_several_threads_restores_the_process():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with fresh_environment():
            inside.set()
            leave.wait(10)

    with changed(torch.set_default_dtype, torch.float64, torch.float32):
        thread = threading.Thread(target=other)
        with fresh_environment():
            thread.start()
            assert inside.wait(10)
        assert torch.get_default_dtype() == torch.float32
        leave.set()
        thread.join()
        assert torch.get_default_dtype() == torch.float64


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_all_compute_with_one_thread_and_leave_as_many_as_there_were():
    """A thread that starts while others compute shares their settings, which the first to finish must not restore."""
    environment._blas.cache_clear()  # other tests may have loaded further libraries since
    inside, leave, seen = threading.Event(), threading.Event(), []

    def other():
        with fresh_environment():
            inside.set()
            leave.wait(10)
            seen.extend([torch.get_num_threads(), *blas_threads()])
        seen.append(torch.get_num_threads())

    with threadpool_limits(2), changed(torch.set_num_threads, 2, torch.get_num_threads()):
        before, thread = blas_threads(), threading.Thread(target=other)
        with fresh_environment():
            thread.start()
            assert inside.wait(10)
            with fresh_environment():
                pass
            assert {torch.get_num_threads(), *blas_threads()} == {1}
        leave.set()
        thread.join()
        assert {*seen[:-1]} == {1} and seen[-1] == torch.get_num_threads() == 2
        assert blas_threads() == before and 2 in before
        fresh = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        fresh.start(), fresh.join()
        assert seen[-1] == 2
