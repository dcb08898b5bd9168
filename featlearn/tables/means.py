"""Means over seeds in cells of any number of axes, with their intervals and the runs that they leave out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from featlearn.tables.columns import counted, places, refuse_twins, require
from featlearn.tables.dtypes import plain, refuse_names
from featlearn.tables.intervals import half_width, moments

MEANS = ("mean", "se", "n", "low", "high", "diverged", "failed")


def cell_means(summary: pd.DataFrame, cells: Sequence[str], value: str, level: float = 0.95) -> pd.DataFrame:
    """Average a value over seeds, one row per cell that holds a run: cells, mean, se, n, low, high, diverged, failed.

    `cells` are the columns that tell cells apart, any number of them; a run without a value in one has no place. n is
    the number of runs in the mean, low and high end the Student t interval over them (NaN for n < 2). Raises
    ValueError if two runs of one seed share a cell.
    """
    require(summary, ["status", "seed", value, *cells])
    refuse_names(cells, MEANS)
    runs = places(plain(summary).dropna(subset=[*cells]), cells)
    refuse_twins(runs, [*cells, "seed"])
    by = [runs[column] for column in cells]
    ends = pd.DataFrame({end: (runs["status"] == end).groupby(by).sum() for end in ("diverged", "failed")})
    table = ends.join(moments(counted(runs), cells, value))
    table["n"] = table["n"].fillna(0).astype(int)
    half = half_width(table["se"], table["n"], level)
    table = table.assign(low=table["mean"] - half, high=table["mean"] + half)
    return table.reset_index()[[*cells, *MEANS]]
