"""Columns of a store: numbers, booleans or text in Parquet's types, and any mixture of these as JSON.

A Parquet column has one type, but a setting may be a number in one run and a word in the next, and another sweep into
the same store may add a third type. Values of different types are written as JSON, in a field marked as such, and
read back as the original Python values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from featlearn.store.files import StoreError
from featlearn.types import LATER

MARK = {b"featlearn": b"json"}
EXACT = 2**53  # float64 represents integers up to here exactly


def settings_table(records: Sequence[dict[str, Any]]) -> pa.Table:
    """Return a table with one row per record; a missing value is null."""
    names = dict.fromkeys(name for record in records for name in record)
    return _table({name: _column([record.get(name) for record in records]) for name in names})


def values_array(values: Sequence[Any]) -> pa.Array:
    """Return values as an array, of JSON if they have several types."""
    return _column(values)[0]


def concat(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the rows of several tables; a missing column is null, and columns of different types become JSON.

    Raises StoreError for a column with single values in one table and lists in another.
    """
    tables = list(tables)
    if any(table.schema != tables[0].schema for table in tables):
        holders: dict[str, list[pa.Table]] = {}
        for table in tables:
            for name in table.column_names:
                holders.setdefault(name, []).append(table)
        mixed = [name for name, those in holders.items() if _is_mixed(name, those)]
        tables = [_with_json(table, mixed) for table in tables]
    return pa.concat_tables(tables, promote_options="permissive")


def is_marked(field: pa.Field) -> bool:
    """Whether the values of a field are JSON."""
    return bool(field.metadata and MARK.items() <= field.metadata.items())


def series(column: pa.ChunkedArray, field: pa.Field, nullable: bool = False) -> pd.Series[Any]:
    """Return a column of single values as a pandas series; a column of nulls becomes NaN.

    nullable: take the type of a column that has missing values, even if this one has none.
    """
    if nullable and not column.null_count and not pa.types.is_floating(column.type):
        longer = pa.chunked_array([*column.chunks, pa.nulls(1, column.type)], column.type)
        return series(longer, field).iloc[:-1]
    if is_marked(field):
        return pd.Series([None if text is None else json.loads(text) for text in column.to_pylist()], dtype=object)
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.large_string())  # what pandas keeps
    if pa.types.is_null(column.type):
        return pd.Series(np.full(len(column), np.nan))
    if pa.types.is_integer(column.type) and column.null_count and _large(column):
        return pd.Series(column.to_pylist(), dtype=object)  # float64 would round them
    found: pd.Series[Any] = column.to_pandas()
    return found


def completed(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the keys of types.LATER filled in where others have them: older rows lack these columns."""
    return runs.fillna({name: value for name, value in LATER.items() if name in runs and value is not None})


def elements(column: pa.ChunkedArray, field: pa.Field) -> np.ndarray:
    """Return all elements of a column of lists in one array."""
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    flat: np.ndarray = np.concatenate(parts)
    if not is_marked(field):
        return flat
    loaded = np.empty(len(flat), dtype=object)
    loaded[:] = [np.array(value) if isinstance(value, list) else value for value in map(json.loads, flat)]
    return loaded


def _table(columns: dict[str, tuple[pa.Array, bool]]) -> pa.Table:
    fields = [pa.field(name, array.type, metadata=MARK if json else None) for name, (array, json) in columns.items()]
    return pa.Table.from_arrays([array for array, _ in columns.values()], schema=pa.schema(fields))


def _column(values: Sequence[Any]) -> tuple[pa.Array, bool]:
    """Return values as an array, and whether they are stored as JSON."""
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    kinds = {_kind(value) for value in plain if value is not None}
    exact = all(abs(value) <= EXACT for value in plain if _kind(value) == "int") if kinds == {"int", "float"} else False
    if exact:
        return pa.array([None if value is None else float(value) for value in plain], pa.float64()), False
    if len(kinds) > 1 or kinds == {"other"}:
        return _json(plain), True
    return pa.array(plain), False


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -(2**63) <= value < 2**63 else "other"
    return "float" if isinstance(value, float) else "text" if isinstance(value, str) else "other"


def _json(values: Sequence[Any]) -> pa.Array:
    texts = [None if value is None else json.dumps(value, default=repr) for value in values]
    return pa.array(texts, pa.string())


def _is_mixed(name: str, tables: Sequence[pa.Table]) -> bool:
    """Whether the columns of one name have incompatible types."""
    every = [table.schema.field(name) for table in tables]
    fields = [field for field in every if not pa.types.is_null(field.type)]
    types = {_bare(field.type) for field in fields}
    if len({pa.types.is_list(field.type) for field in fields}) > 1:
        raise StoreError(f"the column {name} is a setting in some runs and a tracker's in others: read one sweep alone")
    if any(map(is_marked, every)):
        return not all(map(is_marked, every))
    if types == {"int64", "double"}:
        return any(pa.types.is_integer(table[name].type) and _large(table[name]) for table in tables)
    return len(types) > 1


def _bare(kind: pa.DataType) -> str:
    """Return the name of a type; the item field of a list is named differently in memory and in a file."""
    return f"list of {_bare(kind.value_type)}" if pa.types.is_list(kind) else str(kind)


def _large(column: pa.ChunkedArray) -> bool:
    """Whether integers are too large for floats."""
    ends = pc.min_max(column).as_py()
    return bool(max(abs(ends["min"] or 0), abs(ends["max"] or 0)) > EXACT)


def _with_json(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return a table with some of its columns as JSON."""
    for name in names:
        place = table.schema.get_field_index(name)
        if place >= 0 and not is_marked(table.schema.field(place)):
            values = table[name].to_pylist()
            lists = pa.types.is_list(table.schema.field(place).type)
            array = pa.array([row and _json(row) for row in values], pa.list_(pa.string())) if lists else _json(values)
            table = table.set_column(place, pa.field(name, array.type, metadata=MARK), array)
    return table
