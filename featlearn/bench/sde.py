"""Cost of SDE paths: two parameters against loops by hand and torchsde, and the CNN in two dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from featlearn.bench.measure import Timing, interleave
from featlearn.bench.networks import network
from featlearn.bench.plain_sde import Equation, by_numpy, by_torchsde, torchsde_solver
from featlearn.bench.setting import Setting
from featlearn.data.none import NoData
from featlearn.models.quadratic import Quadratic
from featlearn.optim import SAM, SGD, USAM
from featlearn.runs import Record, RunConfig, Train
from featlearn.sde import Settings
from featlearn.simulation import lanes, simulate_seeds

SUBSTEPS, DIMS = 8, (10**3, 10**12)
ALONE = 4  # paths of the loop over paths
BATCH = 5  # samples of a mini-batch of the CNN
NOT_INSTALLED = "not installed"


def sde_paths(setting: Setting) -> list[dict[str, Any]]:
    """Return the time of a path and substep of every problem, and its ratios to the baselines that the problem has."""
    return [*(_against(rule, setting) for rule in ("usam", "sam")), *_cnn(setting)]


def equation_of(rule: str) -> Equation:
    """Return the equation of the problem with two parameters."""
    return Equation(rule=rule, eigenvalues=np.array([1.0, 3.0]), lr=0.1, rho=0.1, noise=0.3)


def path_of(equation: Equation, n_steps: int) -> RunConfig:
    """Return a run of the same problem."""
    kind = {"usam": USAM, "sam": SAM}[equation.rule]
    spectrum = tuple(equation.eigenvalues.tolist())
    return RunConfig(
        name="bench",
        seed=0,
        engine="weights",
        sampling="vectors",
        dtype="float64",
        data=NoData(),
        network=Quadratic(spectrum=spectrum, start=(1.0,) * len(spectrum)),
        optimizer=_sde(kind(rho=equation.rho, base=SGD(lr=equation.lr))),
        train=Train(n_steps=n_steps, batch_size=1, gradient_noise=equation.noise),
        record=Record(steps=(n_steps,), trackers=()),
    )


def cnn_path(dim: int, n_steps: int) -> RunConfig:
    """Return a run of the SDE of SAM on mini-batches of the benchmark's CNN."""
    run = network("sam", dim=dim, n_steps=n_steps, n_tests=0)
    train = Train(n_steps=n_steps, batch_size=BATCH, batch_sampling="without_replacement")
    return replace(run, optimizer=_sde(run.optimizer), train=train)


def _sde(rule: Any) -> Any:
    return Settings(dynamics="sde", substeps=SUBSTEPS).applied(rule)


def _against(rule: str, setting: Setting) -> dict[str, Any]:
    equation, n, steps = equation_of(rule), setting.paths, setting.n_steps
    starts, one = np.ones((n, 2)), np.ones(2)
    calls: dict[str, Callable[[int], Any]] = {
        "ours": _simulate(path_of(equation, steps), n),
        "numpy": lambda number: by_numpy(equation, starts, steps, SUBSTEPS, number),
        "loop": lambda number: [by_numpy(equation, one, steps, SUBSTEPS, seed) for seed in range(ALONE)],
    }
    if rule == "usam" and torchsde_solver():
        calls["torchsde"] = lambda number: by_torchsde(equation, starts, steps, SUBSTEPS, number)
    taken = interleave(calls, setting.repeats, setting.device)
    each = {name: t.per(steps * SUBSTEPS * (ALONE if name == "loop" else n)) for name, t in taken.items()}
    ratios: dict[str, Any] = {f"{name}_over_ours": t.over(each["ours"]) for name, t in each.items() if name != "ours"}
    if rule == "usam" and "torchsde" not in each:
        ratios["torchsde_over_ours"] = NOT_INSTALLED
    return _row(f"{rule}, 2 parameters", n, each["ours"]) | ratios


def _cnn(setting: Setting) -> list[dict[str, Any]]:
    """Return a row for each dimension, with the ratio to the first. In full blocks: others have empty lanes."""
    steps, full = setting.n_steps, lanes(cnn_path(DIMS[0], 1))
    n = max(setting.paths // 10 // full, 1) * full
    calls = {dim: _simulate(cnn_path(dim, steps), n) for dim in DIMS}
    taken = {dim: t.per(n * steps * SUBSTEPS) for dim, t in interleave(calls, setting.repeats, setting.device).items()}
    first = taken[DIMS[0]]
    return [_row(f"SAM, CNN, d = {dim:.0e}", n, t) | {"over_first": t.over(first)} for dim, t in taken.items()]


def _simulate(run: RunConfig, n: int) -> Callable[[int], Any]:
    return lambda number: simulate_seeds(run, np.arange(n) + number * n)


def _row(problem: str, n: int, timing: Timing) -> dict[str, Any]:
    return {"problem": problem, "paths": n, "seconds": timing.summary()}
