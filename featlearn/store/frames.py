"""A store as DataFrames: every recorded step, or the last step of every run."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from featlearn.lookup import require_names, selected
from featlearn.store.columns import completed, concat, elements, is_marked, series
from featlearn.store.contents import read_part
from featlearn.store.files import StoreWarning, damage_text
from featlearn.store.folder import Store
from featlearn.store.given import as_given
from featlearn.store.listing import steady
from featlearn.store.snapshot import Snapshot
from featlearn.types import HEAD, SECTIONS

ROW = pa.schema(  # columns of every row, whatever its config and trackers; null if the run failed
    [
        ("run_id", pa.string()),
        ("status", pa.string()),
        ("message", pa.string()),
        ("traceback", pa.string()),
        ("stopped_step", pa.int64()),
        ("step", pa.list_(pa.int64())),
    ]
)
NEEDED = ("run_id", "status", "step")  # for the order of rows and the lengths of their lists


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
    their number, and another names files that are damaged. A store without plans is read as a whole.

    Raises StoreError if this version can read no store there, and ValueError for an unknown column or a condition that
    no row meets.
    """
    runs = _Runs.of(store, all_sweeps, _names(columns), _conditions(where))
    for note in runs.notes():
        warnings.warn(note, StoreWarning, stacklevel=2)
    lengths = runs.lengths[runs.current]
    start = runs.ends[runs.current] - lengths
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = runs.frame(np.repeat(runs.current, lengths), np.repeat(start, lengths) + within)
    return rows.drop(columns=["message", "traceback"]) if columns is None else rows


def summary(
    store: str | Path,
    *,
    columns: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    all_sweeps: bool = False,
) -> pd.DataFrame:
    """Return one row per run, at its last recorded step, in the order of the sweep.

    Runs, columns and options are those of ``load``; ``message`` describes how the run ended, and, if any run failed,
    ``traceback`` where. The numbers of a failed run are NaN.
    """
    runs = _Runs.of(store, all_sweeps, _names(columns), _conditions(where))
    for note in runs.notes():
        warnings.warn(note, StoreWarning, stacklevel=2)
    recorded = runs.lengths[runs.current] > 0
    frame = runs.frame(runs.current, np.where(recorded, runs.ends[runs.current] - 1, -1))
    return frame.drop(columns="traceback") if columns is None and frame["traceback"].isna().all() else frame


def _conditions(where: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the conditions; empty for None."""
    if where is not None and not isinstance(where, Mapping):
        raise TypeError(f"where is a mapping of columns to values, such as {{'data.dim': 1000}}; found {where!r}")
    return where or {}


def _names(columns: Sequence[str] | None) -> list[str] | None:
    """Return the requested columns without duplicates; None for all."""
    return None if columns is None else [*dict.fromkeys([columns] if isinstance(columns, str) else columns)]


class _Runs:
    """The rows of a store that are asked for, and that meet the conditions on columns of single values.

    table: these rows as stored, in any order. scalars: its columns with one value per run. The list of row i ends at
    ``ends[i]`` and has length ``lengths[i]``. current: the order of the rows. ``frame`` applies the conditions on list
    columns.
    """

    def __init__(
        self, store: Store, runs: Snapshot, all_sweeps: bool, names: list[str] | None, where: Mapping[str, Any]
    ) -> None:
        self.store, self.runs, self.names = store, runs, names
        self.plans = runs.plans if all_sweeps else runs.plans[-1:]
        rows, self.others = runs.current(self.plans)
        if all_sweeps or not self.plans:
            rows, self.others = np.concatenate([rows, self.others]), self.others[:0]
        self.parts = [part for part, _ in runs.split(rows)]  # parts of other sweeps must not add columns
        fields = {field for schema in {part.schema for part in self.parts} for field in schema}
        lists = {field.name for field in fields if pa.types.is_list(field.type)}
        if len(rows):
            known = [
                *ROW.names,
                *(field.name for field in fields),
                *(name for plan in self.plans for name in plan.given),
            ]
            _refuse_unknown(runs, known, [*(names or ()), *where])
            rows = self._that_meet({name: value for name, value in where.items() if name not in lists}, rows)
        self.where = {name: value for name, value in where.items() if name in lists}
        self.current = np.searchsorted(np.sort(rows), rows)
        self.table = self._read(rows, None if names is None else {*NEEDED, *names, *where})
        self.lists = [field.name for field in self.table.schema if pa.types.is_list(field.type)]
        self.scalars = self._single_values(self.table, bool(where))
        self.lengths = pc.list_value_length(self.table["step"]).fill_null(0).to_numpy().astype(np.int64)
        self.ends = np.cumsum(self.lengths)

    @classmethod
    def of(cls, path: str | Path, all_sweeps: bool, names: list[str] | None, where: Mapping[str, Any]) -> _Runs:
        """Read a store."""
        store = Store.open(path)
        return steady(lambda known: cls(store, Snapshot.of(store.path, where, known=known), all_sweeps, names, where))

    def notes(self) -> Iterator[str]:
        """Yield what is left out."""
        yield from self.store.notes()
        if self.runs.damaged:
            yield damage_text(self.runs.damaged)
        if n := int((~self.runs.failed[self.others]).sum()):
            why = f"{n} run{'s' * (n > 1)} that the latest sweep into {self.store.path} does not contain"
            yield f"left out {why}; all_sweeps=True (plot: --all-sweeps) reads all"

    def _that_meet(self, where: Mapping[str, Any], rows: np.ndarray) -> np.ndarray:
        """Return those of some rows that meet the conditions, in their order."""
        if not where:
            return rows
        known = concat(part.table.take(pa.array(at)) for part, at in self.runs.split(rows))
        values = self._single_values(known, True).take(np.searchsorted(np.sort(rows), rows))
        return rows[selected(values, where)]

    def _read(self, rows: np.ndarray, columns: Collection[str] | None) -> pa.Table:
        """Return some rows as stored. Parts without any of them are not read, and have their say in types alone."""
        pieces = self.runs.split(rows)
        read = [
            read_part(part.entry, lambda _: columns, rows=at, dictionaries=_texts(part.schema)).table
            for part, at in pieces
        ]
        there = {part.entry for part, _ in pieces}
        others = [_with_dictionaries(part.schema).empty_table() for part in self.parts if part.entry not in there]
        tables = [ROW.empty_table(), *others]
        return concat([*(_chosen(table, columns) for table in tables), *read])

    def _single_values(self, table: pa.Table, partly: bool) -> pd.DataFrame:
        """Return the columns with one value per run. partly: other rows may have missing values, which affect types."""
        names = [field.name for field in table.schema if not pa.types.is_list(field.type)]
        nullable = set[str]()
        for part in self.parts if partly else ():
            nullable |= part.nullable | {*names}.difference(part.schema.names)
        values = {name: series(table[name], table.schema.field(name), name in nullable) for name in names}
        return as_given(completed(pd.DataFrame(values, copy=False)), table["run_id"].combine_chunks(), self.plans)

    def frame(self, rows: np.ndarray, elements: np.ndarray) -> pd.DataFrame:
        """Return the scalar columns at ``rows`` joined with the list columns at ``elements``, -1 for missing.

        Only rows that meet the conditions on list columns are kept.
        """
        whole_table = np.array_equal(rows, np.arange(len(self.scalars)))
        left = self.scalars if whole_table else self.scalars.take(rows).reset_index(drop=True)
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


def _chosen(table: pa.Table, columns: Collection[str] | None) -> pa.Table:
    return table if columns is None else table.select([name for name in table.column_names if name in columns])


def _texts(schema: pa.Schema) -> list[str]:
    """Return the settings that are text."""
    texts = (field for field in schema if pa.types.is_string(field.type) and not is_marked(field))
    return [field.name for field in texts if field.name not in ROW.names]


def _with_dictionaries(schema: pa.Schema) -> pa.Schema:
    """Return the schema of a part that is read with dictionaries."""
    for name in _texts(schema):
        schema = schema.set(schema.get_field_index(name), pa.field(name, pa.dictionary(pa.int32(), pa.string())))
    return schema


def _refuse_unknown(runs: Snapshot, read: list[str], asked: list[str]) -> None:
    """Raise ValueError for a requested column that no part read has."""
    if not set(asked) <= set(read):
        require_names(dict.fromkeys([*read, *(name for part in runs.parts for name in part.schema.names)]), asked)
        missing = next(name for name in asked if name not in read)
        raise ValueError(f"no column {missing!r} in the latest sweep; earlier ones have it: all_sweeps=True reads them")


def _place(name: str) -> tuple[int, str]:
    """Sort columns: those of HEAD, the config's dotted keys by section, then what the trackers wrote."""
    written = name.partition(".")[0] not in SECTIONS  # by a tracker, such as test_error.<kind>
    return (HEAD.index(name), "") if name in HEAD else (len(HEAD) + written, name)
