"""A store as DataFrames: every recorded step, or the last step of every run."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from featlearn.lookup import require_names, selected
from featlearn.store.columns import completed, elements, series
from featlearn.store.files import StoreWarning
from featlearn.store.folder import Plan, Store, joined
from featlearn.store.given import as_given
from featlearn.types import HEAD, SECTIONS

NEEDED = ("run_id", "status", "step")  # to find the current rows and the lengths of their lists


def load(
    store: str | Path,
    *,
    columns: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    all_sweeps: bool = False,
) -> pd.DataFrame:
    """Return one row per run and recorded step of the store's latest sweep, in its order.

    Columns: run_id, step, status, stopped_step, the config under its dotted keys, the trackers' columns. A failed run
    has no row.

    columns: only these, in this order; of the files only these and the columns of ``where`` are read.
    where: keep the rows that have, in each of these columns, the given value or one of a list; None matches a missing
    value, and numbers match to nine digits, or as messages write them.
    all_sweeps: include runs of earlier sweeps that are not in the latest. If any are left out, a StoreWarning gives
    their number. A store without plans is read as a whole.

    Raises StoreError if this version can read no store there, and ValueError for an unknown column or a condition that
    no row meets.
    """
    runs = _Runs(store, all_sweeps, _names(columns), _conditions(where))
    lengths = runs.lengths[runs.current]
    start = runs.ends[runs.current] - lengths
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = runs.frame(np.repeat(runs.current, lengths), np.repeat(start, lengths) + within)
    return rows.drop(columns="message") if columns is None else rows


def summary(
    store: str | Path,
    *,
    columns: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    all_sweeps: bool = False,
) -> pd.DataFrame:
    """Return one row per run, at its last recorded step, in the order of the sweep.

    Runs, columns and options are those of ``load``; ``message`` describes how the run ended. The numbers of a failed
    run are NaN.
    """
    runs = _Runs(store, all_sweeps, _names(columns), _conditions(where))
    recorded = runs.lengths[runs.current] > 0
    return runs.frame(runs.current, np.where(recorded, runs.ends[runs.current] - 1, -1))


def _conditions(where: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the conditions; empty for None."""
    if where is not None and not isinstance(where, Mapping):
        raise TypeError(f"where is a mapping of columns to values, such as {{'data.dim': 1000}}; found {where!r}")
    return where or {}


def _names(columns: Sequence[str] | None) -> list[str] | None:
    """Return the requested columns without duplicates; None for all."""
    return None if columns is None else [*dict.fromkeys([columns] if isinstance(columns, str) else columns)]


class _Runs:
    """The rows of a store: the columns ``scalars`` with one value per run, and the list columns flattened.

    The list of row i ends at ``ends[i]`` and has length ``lengths[i]``. ``current`` are the current rows that meet the
    conditions on scalar columns; ``frame`` applies the conditions on list columns.
    """

    def __init__(self, path: str | Path, all_sweeps: bool, names: list[str] | None, where: Mapping[str, Any]) -> None:
        store = Store.open(path)
        plans = store.plans()
        wanted = None if names is None else {*NEEDED, *names, *where}
        if plans and not all_sweeps:
            plans = plans[-1:]
            table = joined(_parts_of(plans[0], store, wanted), wanted)
        else:
            table = store.read(wanted)
        self.names = names
        self.table = table.drop_columns("committed")
        self.current = np.array(store.current(self.table, plans), dtype=np.int64)
        self.lists = [field.name for field in self.table.schema if pa.types.is_list(field.type)]
        fields = [field for field in self.table.schema if field.name not in self.lists]
        scalars = pd.DataFrame({field.name: series(self.table[field.name], field) for field in fields})
        self.scalars = as_given(completed(scalars), plans)
        if self.table.num_rows:
            _refuse_unknown(store, [*self.scalars, *self.lists], [*(names or ()), *where])
        self.lengths = pc.list_value_length(self.table["step"]).fill_null(0).to_numpy().astype(np.int64)
        self.ends = np.cumsum(self.lengths)
        self.where = {name: value for name, value in where.items() if name in self.lists}
        others = {name: value for name, value in where.items() if name not in self.lists}
        if others and self.table.num_rows:
            self.current = self.current[selected(self.scalars.take(self.current), others)]

    def frame(self, rows: np.ndarray, elements: np.ndarray) -> pd.DataFrame:
        """Return the scalar columns at ``rows`` joined with the list columns at ``elements``, -1 for missing.

        Only rows that meet the conditions on list columns are kept.
        """
        left = self.scalars.take(rows).reset_index(drop=True)
        take = partial(pd.api.extensions.take, indices=elements, allow_fill=True)  # a missing element makes it float
        right = pd.DataFrame({name: take(self._flat(name)) for name in self.lists}, copy=False)
        whole: pd.DataFrame = pd.concat([left, right], axis=1)
        if self.where:
            whole = whole[selected(whole, self.where)].reset_index(drop=True)
        order = sorted(map(str, whole), key=_place) if self.names is None else self.names
        return whole[[name for name in order if name in whole]]

    def _flat(self, name: str) -> np.ndarray:
        """Return all elements of a list column in one array, NaN for rows without it."""
        column = self.table[name]
        flat, present = elements(column, self.table.schema.field(name)), column.is_valid().to_numpy()
        if present[self.lengths > 0].all():
            return flat
        full = np.full(self.ends[-1], np.nan, dtype=flat.dtype if flat.dtype == object else np.float64)
        full[np.repeat(present, self.lengths)] = flat
        return full


def _parts_of(plan: Plan, store: Store, columns: Collection[str] | None) -> list[pa.Table]:
    """Return the rows of one sweep only; warn if others have results."""
    planned, others, parts = set(plan.run_ids), set[str](), []
    for part in store.parts(columns):
        ids, statuses = part["run_id"].to_pylist(), part["status"].to_pylist()
        mask = [run_id in planned for run_id in ids]
        if any(mask):  # parts of other sweeps must not add columns
            parts.append(part if all(mask) else part.filter(pa.array(mask)))
        others |= {ids[row] for row in range(len(ids)) if not mask[row] and statuses[row] != "failed"}
    if others:
        runs = f"{len(others)} run{'s' * (len(others) > 1)}"
        why = f"{runs} that the latest sweep into {store.path} does not contain"
        message = f"left out {why}; all_sweeps=True (plot: --all-sweeps) reads all"
        warnings.warn(message, StoreWarning, stacklevel=4)  # the line that calls load or summary
    return parts


def _refuse_unknown(store: Store, read: list[str], asked: list[str]) -> None:
    """Raise ValueError for a requested column that no part read has."""
    if not set(asked) <= set(read):
        require_names(dict.fromkeys([*read, *store.column_names()]), asked)
        missing = next(name for name in asked if name not in read)
        raise ValueError(f"no column {missing!r} in the latest sweep; earlier ones have it: all_sweeps=True reads them")


def _place(name: str) -> tuple[int, str]:
    """Sort columns: those of HEAD, the config's dotted keys by section, then what the trackers wrote."""
    written = name.partition(".")[0] not in SECTIONS  # by a tracker, such as test_error.<kind>
    return (HEAD.index(name), "") if name in HEAD else (len(HEAD) + written, name)
