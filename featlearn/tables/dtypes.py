"""Columns of plain numbers and text, whatever the dtypes of a caller's table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from featlearn.lookup import missing
from featlearn.tables.continuous import rule_where_missing

NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "boolean")


def plain(df: pd.DataFrame) -> pd.DataFrame:
    """Return the table with numpy's numbers and pandas' strings in place of every other representation.

    Nullable and Arrow columns, categories, and objects that hold numbers become numbers, missing is NaN; lists and
    arrays in a cell become tuples, which can be compared and grouped. An index that has the name of a column loses
    it. Missing dynamics are `rule`. A table without any of these is returned unchanged.
    """
    if {*df.index.names} & {*df.columns}:
        df = df.rename_axis([None] * df.index.nlevels)
    df = rule_where_missing(df)
    changed = {name: _plain(df[name]) for name in df.columns if not _is_plain(df[name].dtype)}
    if changed:
        df = df.copy(deep=False)
        for name, column in changed.items():
            df[name] = column
    return df


def refuse_names(columns: Iterable[str], own: Iterable[str]) -> None:
    """Raise ValueError if one of a caller's columns has the name of one that the table adds."""
    for column in columns:
        if column in own:
            raise ValueError(f"the table adds a column {column!r} of its own: rename yours first")


def _is_plain(dtype: Any) -> bool:
    if isinstance(dtype, np.dtype):
        return dtype.kind != "O"
    return bool(isinstance(dtype, pd.StringDtype) and dtype.na_value is np.nan)


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column with the dtype that pandas infers from its values."""
    if column.dtype == object and not column.map(lambda v: isinstance(v, list | dict | np.ndarray)).any():
        values = column
    else:
        values = pd.Series([_cell(v) for v in column], index=column.index, name=column.name)
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) in NUMBERS:
        return values.map(lambda v: np.nan if missing(v) else float(v)).astype(float)
    return values


def _cell(value: Any) -> Any:
    """Return the value of a cell in hashable form, None for a missing one."""
    if isinstance(value, list | np.ndarray):
        return tuple(_cell(v) for v in value)
    if isinstance(value, dict):
        return tuple((key, _cell(v)) for key, v in value.items())
    return None if missing(value) else value
