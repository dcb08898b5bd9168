"""A store as an Arrow table, which Polars, DuckDB and others take over without a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from featlearn.lookup import missing
from featlearn.store.columns import values_array
from featlearn.store.frames import load


def load_arrow(
    store: str | Path,
    *,
    columns: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    all_sweeps: bool = False,
) -> pa.Table:
    """Return what ``load`` returns, with the same options, as an Arrow table; numbers and text are not copied for it.

    ``polars.from_arrow(runs)`` and ``duckdb.sql("select * from runs")`` take over a table ``runs`` as it is. A column
    whose values have several types is JSON.
    """
    frame = load(store, columns=columns, where=where, all_sweeps=all_sweeps)
    return pa.table({str(name): _array(frame[name]) for name in frame})


def _array(column: pd.Series[Any]) -> pa.Array:
    if column.dtype != object:
        return pa.array(column.to_numpy() if isinstance(column.dtype, np.dtype) else column.array)
    values = [
        value.tolist() if isinstance(value, np.ndarray) else None if missing(value) else value for value in column
    ]
    if all(value is None or isinstance(value, list) for value in values):
        return pa.array(values)
    return values_array(values)
