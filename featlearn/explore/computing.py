"""What the page shows, computed by the package's engine: the dynamics of a few seeds, and parts of a phase diagram.

Every function takes configs as ``featlearn sweep`` does and runs in any process; its numbers are those of a sweep.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from featlearn.config import ConfigWarning, SweepConfig, load_config
from featlearn.explore.limits import limited, refuse_large
from featlearn.runs import RunConfig, Trajectory
from featlearn.simulation import simulate_block
from featlearn.sweeps.blocks import blocks

QUANTITIES = ("test_error", "train_loss", "signal_coef_mean", "noise_coef_pos_mean")  # of a cell, those that there are
FEW = 32  # runs of a block of dynamics
Config = Mapping[str, Any]


def dynamics(config: Config) -> dict[str, Any]:
    """Return the recorded steps of every run of a config, and its columns: lists of numbers, null for none."""
    loaded, notes = _loaded(json.dumps(config))
    runs = list(loaded.runs())
    found = _simulated(runs, full=False)
    return {"runs": [_as_lists(trajectory) for trajectory in found], "notes": notes}


def phase(config: Config, part: int, parts: int) -> dict[str, list[Any]]:
    """Return the last row of one of ``parts`` shares of the runs of a config, and where they stand in its order."""
    runs = _runs(json.dumps(config))
    place = {id(run): number for number, run in enumerate(runs)}
    found = _simulated(runs, part, parts)
    rows = [_last(trajectory) for trajectory in found]
    return {"places": [place[id(trajectory.run)] for trajectory in found], "rows": rows}


def shape(config: Config) -> dict[str, Any]:
    """Return the values of the axes of a panel, by key, and the warnings of its config."""
    loaded, notes = _loaded(json.dumps(config))
    values = {axis.keys[0]: [point[0] for point in axis.values] for axis in loaded.axes if axis.keys != ("seed",)}
    return {"axes": values, "notes": notes}


def figure(config: Config, kind: str, options: Mapping[str, Any], suffix: str) -> bytes:
    """Return a figure of the runs of a config as the package draws it, as a file; its table for .csv."""
    import matplotlib as mpl

    mpl.use("agg")
    import pandas as pd
    from matplotlib.pyplot import close

    from featlearn.plots import KINDS, save

    loaded, _ = _loaded(json.dumps(config))
    found = _simulated(list(loaded.runs()), full=kind == "phase")
    rows = pd.concat([t.to_frame() for t in found]) if KINDS[kind].over_steps else _table(found)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes of the figure, which its caption has too
        drawn, table = KINDS[kind](rows, options)
        path, beside = save(drawn, table, Path(folder) / f"figure{'.png' if suffix == '.csv' else suffix}")
        close(drawn)
        return (beside if suffix == ".csv" else path).read_bytes()


def warm() -> None:
    """Compile or load the loops of a usual setting."""
    sections = {"data": {"signal_norm": 1.0}, "train": {"n_steps": 2}, "name": "warm"}
    for rule in ({"name": "sgd", "lr": 0.1}, {"name": "sam", "lr": 0.1, "rho": 0.1}):
        dynamics({**sections, "optimizer": rule})


def _table(found: list[Trajectory]) -> Any:
    """Return one row per run, at its last step."""
    import pandas as pd

    heads = [{"run_id": t.run.run_id, "status": t.status, "stopped_step": t.stopped_step} for t in found]
    ends = [{"step": t.steps[-1], **{name: column[-1] for name, column in t.values.items()}} for t in found]
    return pd.DataFrame([{**head, **t.run.columns(), **end} for head, t, end in zip(heads, found, ends, strict=True)])


@lru_cache(maxsize=16)
def _loaded(text: str) -> tuple[SweepConfig, list[str]]:
    """Read and check a config, given as JSON; return also its warnings."""
    with _collected() as notes:
        loaded = load_config(json.loads(text))
    refuse_large(loaded.base_run())
    return loaded, notes


@lru_cache(maxsize=16)
def _runs(text: str) -> list[RunConfig]:
    loaded, _ = _loaded(text)
    runs = list(loaded.runs())
    for run in {id(run.setting): run.setting for run in runs}.values():
        refuse_large(run)
    return runs


@contextmanager
def _collected() -> Iterator[list[str]]:
    """Collect the warnings of a config, without their places."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConfigWarning)
        yield notes
        notes += dict.fromkeys(str(w.message).lstrip(": ") for w in said if issubclass(w.category, ConfigWarning))


def _simulated(runs: list[RunConfig], part: int = 0, parts: int = 1, *, full: bool = True) -> list[Trajectory]:
    """Simulate a share of the blocks of these runs."""
    made = list(blocks(runs, "cpu", most=2**20 if full else FEW))
    with limited():
        return [trajectory for block in made[part::parts] for trajectory in simulate_block(block, full=full)]


def _as_lists(trajectory: Trajectory) -> dict[str, Any]:
    columns = {name: _numbers(values) for name, values in trajectory.values.items() if values.ndim == 1}
    return {"status": trajectory.status, "message": trajectory.message, "steps": trajectory.steps.tolist()} | columns


def _last(trajectory: Trajectory) -> dict[str, Any]:
    """Return the last values of a run, null for one that diverged."""
    ended = trajectory.status != "diverged"
    return {name: _numbers(trajectory.values[name][-1:])[0] if ended else None for name in _shown(trajectory.values)}


def _shown(names: Mapping[str, Any]) -> list[str]:
    """Return the quantities among columns; of a data model with several signals each has its column."""
    return [name for name in names if name.partition(".")[0] in QUANTITIES]


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
