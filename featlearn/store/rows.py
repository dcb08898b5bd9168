"""Trajectories as rows: the config under its dotted keys, how the run ended, and the trackers' columns as lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from featlearn.store.columns import settings_table

if TYPE_CHECKING:
    from featlearn.runs import RunConfig, Trajectory


def rows(trajectories: Sequence[Trajectory]) -> pa.Table:
    """Return one row per run; all runs have the same trackers."""
    ends = [{"status": t.status, "message": t.message, "stopped_step": t.stopped_step} for t in trajectories]
    table = _settings([t.run for t in trajectories], ends)
    lists = {"step": _list_array([np.asarray(t.steps, np.int64) for t in trajectories])}
    lists |= {name: _tracked([t.values[name] for t in trajectories]) for name in trajectories[0].values}
    for name, array in lists.items():
        table = table.append_column(name, array)
    return table


def failed_rows(runs: Sequence[RunConfig], message: str) -> pa.Table:
    """Return the rows of failed runs: the message, and no steps."""
    return _settings(runs, [{"status": "failed", "message": message}] * len(runs))


def _settings(runs: Sequence[RunConfig], ends: Sequence[dict[str, Any]]) -> pa.Table:
    """Return the columns of single values. Those of runs that differ in their seeds alone are made once."""
    settings = {id(run.setting): run.setting for run in runs}
    place = {key: i for i, key in enumerate(settings)}
    shared = settings_table([setting.columns() for setting in settings.values()])
    table = shared.take(pa.array([place[id(run.setting)] for run in runs]))
    seeds = pa.array([run.seed for run in runs], pa.int64())
    table = table.set_column(table.schema.get_field_index("seed"), "seed", seeds)
    own = settings_table([{"run_id": run.run_id, **end} for run, end in zip(runs, ends, strict=True)])
    for i, name in enumerate(own.column_names):
        table = table.add_column(i, own.schema.field(name), own[name])
    return table


def _tracked(arrays: Sequence[np.ndarray]) -> pa.ListArray:
    """Return list<double> from arrays [r], list<list<double>> from arrays [r, length]."""
    return _list_array([np.asarray(array, np.float64) for array in arrays])


def _list_array(arrays: Sequence[np.ndarray]) -> pa.ListArray:
    """Return an Arrow list array with one element per array; further axes become nested lists."""
    joined = np.concatenate(arrays)
    values = pa.array(joined) if joined.ndim == 1 else _list_array(list(joined))
    offsets = np.cumsum([0, *[len(array) for array in arrays]])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
