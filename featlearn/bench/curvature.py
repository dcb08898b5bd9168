"""What it costs to record the sharpness every ten steps, against the same sweep without it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Literal

from featlearn.bench.measure import interleave
from featlearn.bench.networks import RULES, compute, network
from featlearn.bench.setting import Setting
from featlearn.runs import Record, RunConfig
from featlearn.simulation import lanes
from featlearn.trackers import Loss, Sharpness

EVERY = 10  # steps between two records
CASES: tuple[tuple[str, Literal["relu", "softplus"]], ...] = tuple((r, a) for a in ("relu", "softplus") for r in RULES)


def curvature(setting: Setting) -> list[dict[str, Any]]:
    """Return, for each rule, the time of a network that records its largest eigenvalue over that of one that does not.

    Both beside no record at all (bare) and beside one of the training loss at the same steps.
    """
    return [
        _paired(network(rule, n_steps=setting.n_steps, n_tests=0), activation, setting) for rule, activation in CASES
    ]


def _paired(run: RunConfig, activation: Literal["relu", "softplus"], setting: Setting) -> dict[str, Any]:
    run = replace(run, network=replace(run.network, activation=activation))
    steps = tuple(range(EVERY, setting.n_steps + 1, EVERY))
    runs = {
        "bare": run,
        "loss": replace(run, record=Record(steps=steps, trackers=(Loss(),))),
        "sharpness": replace(run, record=Record(steps=steps, trackers=(Sharpness(),))),
    }
    calls = {name: partial(compute, recording, setting.device) for name, recording in runs.items()}
    taken = interleave(calls, setting.repeats, setting.device)
    return {
        "rule": "sam" if hasattr(run.optimizer, "rho") else "sgd",
        "activation": activation,
        "every": EVERY,
        "over_bare": taken["sharpness"].over(taken["bare"]),
        "over_loss": taken["sharpness"].over(taken["loss"]),
        "seconds": taken["sharpness"].per(lanes(run, setting.device)).summary(),
        "bare_seconds": taken["bare"].per(lanes(run, setting.device)).summary(),
    }
