"""Cost of recording the sharpness every ten steps, against the same sweeps without it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Literal

from featlearn.bench.measure import interleave
from featlearn.bench.networks import RULES, compute, network
from featlearn.bench.setting import Setting
from featlearn.runs import Record, RunConfig
from featlearn.simulation import lanes
from featlearn.trackers import Decomposition, Loss, Sharpness, TestError

EVERY = 10  # steps between two records
CASES: tuple[tuple[str, Literal["relu", "softplus"]], ...] = tuple((r, a) for a in ("relu", "softplus") for r in RULES)


def curvature(setting: Setting) -> list[dict[str, Any]]:
    """Return, for each rule, the relative time of a network that also records its largest eigenvalue.

    The references record, at the same steps, the default trackers, the training loss, or nothing.
    """
    return [
        _paired(network(rule, n_steps=setting.n_steps, n_tests=0), activation, setting) for rule, activation in CASES
    ]


def _paired(run: RunConfig, activation: Literal["relu", "softplus"], setting: Setting) -> dict[str, Any]:
    run = replace(run, network=replace(run.network, activation=activation))
    steps = tuple(range(EVERY, setting.n_steps + 1, EVERY))
    watched: dict[str, tuple[Any, ...]] = {
        "nothing": (),
        "loss": (Loss(),),
        "default": (Loss(), Decomposition(), TestError()),
    }
    calls = {}
    for name, trackers in watched.items():
        without = replace(run, record=Record(steps=steps, trackers=trackers)) if trackers else run
        with_it = replace(run, record=Record(steps=steps, trackers=(*trackers, Sharpness())))
        calls[name] = partial(compute, without, setting.device)
        calls[f"{name}, sharpness"] = partial(compute, with_it, setting.device)
    taken = interleave(calls, setting.repeats, setting.device)
    size = lanes(run, setting.device)
    return {
        "rule": "sam" if hasattr(run.optimizer, "rho") else "sgd",
        "activation": activation,
        "every": EVERY,
        **{f"over_{name}": taken[f"{name}, sharpness"].over(taken[name]) for name in watched},
        "seconds": taken["default, sharpness"].per(size).summary(),
        "default_seconds": taken["default"].per(size).summary(),
    }
