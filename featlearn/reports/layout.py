"""The layout of a sweep: its axes, its optimizers, and tables as arrays over both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featlearn.plots.mesh import geometric
from featlearn.tables.columns import SIGNALS, by_optimizer, cell_columns, places
from featlearn.tables.dtypes import plain
from featlearn.tables.labels import Label

OPTIMIZER = "optimizer"  # the column of labels
MOST_LABELS = 6  # with more optimizers, a setting of theirs is an axis
MOST_CELLS = 200_000


@dataclass(frozen=True)
class Axis:
    """A swept column and its values in order. numeric: whether these are numbers; log: whether they are geometric."""

    key: str
    values: tuple[Any, ...]
    numeric: bool
    log: bool


@dataclass(frozen=True)
class Layout:
    """Axes and optimizers of a sweep. runs: one row per run, with the column of labels; values that differ by rounding
    alone are one.
    """

    axes: tuple[Axis, ...]
    optimizers: tuple[Label, ...]
    runs: pd.DataFrame

    @property
    def keys(self) -> list[str]:
        """Return the columns of the axes."""
        return [axis.key for axis in self.axes]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return how many values every axis has."""
        return tuple(len(axis.values) for axis in self.axes)

    def groups(self) -> list[tuple[list[str], list[Label]]]:
        """Return optimizers by the axes that they have: SGD has no place on an axis of radii."""
        found: dict[tuple[str, ...], list[Label]] = {}
        for optimizer in self.optimizers:
            own = self.runs[self.runs[OPTIMIZER] == optimizer]
            found.setdefault(tuple(key for key in self.keys if own[key].notna().any()), []).append(optimizer)
        return [([*keys], optimizers) for keys, optimizers in found.items()]

    def dense(self, table: pd.DataFrame, keys: Sequence[str], column: str) -> NDArray[np.float64]:
        """Return a column of a table of cells on some axes as an array over all of them; NaN where there is no cell.

        An optimizer has the same value everywhere on an axis that it does not have.
        """
        there = [axis for axis in self.axes if axis.key in keys]
        array = np.full([len(axis.values) for axis in there], np.nan)
        index = tuple(table[axis.key].map({v: i for i, v in enumerate(axis.values)}).to_numpy() for axis in there)
        array[index] = table[column].to_numpy(dtype=float) if there else float(table[column].iloc[0])
        shape = [len(axis.values) if axis in there else 1 for axis in self.axes]
        return np.broadcast_to(array.reshape(shape), self.sizes)


def layout(runs: pd.DataFrame) -> Layout:
    """Find the axes and optimizers of a sweep, from one row per run. Raises ValueError if there are too many cells."""
    columns = axis_columns(runs)
    runs = places(plain(runs), columns)
    parts = by_optimizer(runs, ignore=columns)
    runs = pd.concat([part.assign(**{OPTIMIZER: str(label)}) for label, part in parts.items()])
    axes = tuple(_axis(runs[column], column) for column in columns)
    if (cells := int(np.prod([len(axis.values) for axis in axes]))) > MOST_CELLS:
        raise ValueError(f"a report shows up to {MOST_CELLS:,} cells, and {', '.join(columns)} span {cells:,}")
    return Layout(axes, tuple(parts), runs)


def axis_columns(runs: pd.DataFrame) -> list[str]:
    """Return the columns that are axes: the signal first, then the dimension, then those of most values.

    A column that another one decides is none. Settings of optimizers tell these apart, unless there are many.
    """
    runs = plain(runs)
    cells = [column for column in cell_columns(runs) if column != "optimizer.name"]
    numbers = [c for c in cells if _numeric(runs[c])]
    sizes = {c: len(runs[c].drop_duplicates()) for c in cells}
    order = sorted(cells, key=lambda c: (c not in SIGNALS, c != "data.dim", c not in numbers, -sizes[c]))
    columns = list[str]()
    for column in (c for c in order if not c.startswith("optimizer.")):
        if not any(runs.groupby(known)[column].nunique().max() == 1 for known in columns):
            columns.append(column)
    for column in (c for c in order if c.startswith("optimizer.") and c in numbers):
        if len(by_optimizer(runs, ignore=columns)) <= MOST_LABELS:
            break
        columns.append(column)
    return columns


def _numeric(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _axis(column: pd.Series[Any], key: str) -> Axis:
    known = column.dropna()
    if not _numeric(column):
        return Axis(key, tuple(dict.fromkeys(known.tolist())), False, False)
    values = np.unique(known.to_numpy(dtype=float))
    return Axis(key, tuple(values.tolist()), True, geometric(values))
