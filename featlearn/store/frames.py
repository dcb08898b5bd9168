"""A store as DataFrames: every recorded step, or the last one of every run."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from featlearn.store.columns import elements, series
from featlearn.store.files import StoreWarning
from featlearn.store.folder import Plan, Store, joined
from featlearn.store.given import as_given
from featlearn.types import HEAD


def load(store: str | Path, *, all_sweeps: bool = False) -> pd.DataFrame:
    """Return one row per run and recorded step of the store's latest sweep, in its order.

    Columns: run_id, step, status, stopped_step, the config under its dotted keys, what the trackers wrote. A run that
    failed has no step and no row. StoreError if there is no store that this version reads.

    all_sweeps: also the runs of earlier sweeps that the latest does not ask for. Where any are left out, a StoreWarning
    says how many. A store that knows of no sweep is read whole.
    """
    runs = _Runs(store, all_sweeps)
    lengths = runs.lengths[runs.current]
    start = runs.ends[runs.current] - lengths
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return runs.frame(np.repeat(runs.current, lengths), np.repeat(start, lengths) + within).drop(columns="message")


def summary(store: str | Path, *, all_sweeps: bool = False) -> pd.DataFrame:
    """Return one row per run, at its last recorded step, in the order of the sweep.

    The runs and columns of ``load``, and the message that says how the run ended. A run that failed has no numbers
    (NaN).
    """
    runs = _Runs(store, all_sweeps)
    recorded = runs.lengths[runs.current] > 0
    return runs.frame(runs.current, np.where(recorded, runs.ends[runs.current] - 1, -1))


class _Runs:
    """The rows of a store; its list columns laid end to end, that of row i up to ``ends[i]``, ``lengths[i]`` long."""

    def __init__(self, path: str | Path, all_sweeps: bool) -> None:
        store = Store.open(path)
        plans = store.plans()
        if plans and not all_sweeps:
            plans = plans[-1:]
            table = joined(_parts_of(plans[0], store))
        else:
            table = store.read()
        self.table, self.plans = table.drop_columns("committed"), plans
        self.current = np.array(store.current(self.table, plans), dtype=np.int64)
        self.lists = [field.name for field in self.table.schema if pa.types.is_list(field.type)]
        self.lengths = pc.list_value_length(self.table["step"]).fill_null(0).to_numpy().astype(np.int64)
        self.ends = np.cumsum(self.lengths)

    def frame(self, rows: np.ndarray, elements: np.ndarray) -> pd.DataFrame:
        """Return the scalar columns at ``rows`` beside the list columns at ``elements``, -1 standing for none."""
        scalars = {f.name: f for f in self.table.schema if f.name not in self.lists}
        columns = {name: series(self.table[name], field) for name, field in scalars.items()}
        left = as_given(pd.DataFrame(columns), self.plans).take(rows).reset_index(drop=True)
        take = partial(pd.api.extensions.take, indices=elements, allow_fill=True)  # a missing element makes it float
        right = pd.DataFrame({name: take(self._flat(name)) for name in self.lists}, copy=False)
        whole: pd.DataFrame = pd.concat([left, right], axis=1)
        order: list[str] = sorted([*left, *self.lists], key=_place)
        return whole[order]

    def _flat(self, name: str) -> np.ndarray:
        """Return all elements of a list column in one array, NaN for the rows that lack it."""
        column = self.table[name]
        flat, present = elements(column, self.table.schema.field(name)), column.is_valid().to_numpy()
        if present[self.lengths > 0].all():
            return flat
        full = np.full(self.ends[-1], np.nan, dtype=flat.dtype if flat.dtype == object else np.float64)
        full[np.repeat(present, self.lengths)] = flat
        return full


def _parts_of(plan: Plan, store: Store) -> list[pa.Table]:
    """Return the rows of one sweep, as if no others were there; warn of these if they hold results."""
    planned, others, parts = set(plan.run_ids), set[str](), []
    for part in store.parts():
        ids, statuses = part["run_id"].to_pylist(), part["status"].to_pylist()
        mask = [run_id in planned for run_id in ids]
        if any(mask):  # a part of other sweeps brings no columns along
            parts.append(part if all(mask) else part.filter(pa.array(mask)))
        others |= {ids[row] for row in range(len(ids)) if not mask[row] and statuses[row] != "failed"}
    if others:
        runs = f"{len(others)} run{'s' * (len(others) > 1)}"
        why = f"{runs} that the latest sweep into {store.path} does not ask for"
        message = f"left out {why}; all_sweeps=True (plot: --all-sweeps) reads all"
        warnings.warn(message, StoreWarning, stacklevel=4)  # the line that calls load or summary
    return parts


def _place(name: str) -> tuple[int, str]:
    """Sort columns: those of HEAD, the config's dotted keys by section, then what the trackers wrote."""
    return (HEAD.index(name), "") if name in HEAD else (len(HEAD) + ("." not in name), name)
