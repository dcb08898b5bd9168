"""Curves: a value at the last step over one axis of a sweep, means over seeds with intervals, a line an optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featlearn.plots.caption import loss_range, seeds
from featlearn.plots.mesh import geometric, log_ticks, require_numbers
from featlearn.plots.panels import finish, legend_inside, panels
from featlearn.plots.style import PALETTE, label, paper, title
from featlearn.tables.columns import (
    COUNTED,
    by_optimizer,
    cell_columns,
    counted,
    last_rows,
    listed,
    mixed_columns,
    of_optimizer,
    places,
    select,
)
from featlearn.tables.intervals import half_width, moments

MARKERS = "osD^vPX<>"


def curve(
    table: pd.DataFrame,
    x: str | None = None,
    value: str = "test_error",
    *,
    optimizer: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean of `value` at the last step over x, with 95% t intervals over seeds; return the Axes.

    An optimizer that has no x, as SGD has no radius, is a level line. x is what varies if one column does.
    Raises ValueError if there are more, or if cells would be mixed: select them first.
    """
    runs, x = _runs(table, x, value)
    points = _points(runs, x, value, optimizer)
    if ax is None:
        return _figure(of_optimizer(runs, optimizer, (x,)), points, x, value).axes[0]
    with paper():
        _draw(points, ax, x, value)
        legend_inside(ax)
    return ax


def curve_figure(
    rows: pd.DataFrame,
    *,
    x: str | None = None,
    value: str = "test_error",
    where: Mapping[str, Any] | None = None,
    optimizer: str | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Draw `curve` on its own; return the figure and its points. `where` keeps the rows with these values."""
    runs, x = _runs(select(rows, where or {}), x, value)
    points = _points(runs, x, value, optimizer)
    return _figure(of_optimizer(runs, optimizer, (x,)), points, x, value), points


def _runs(table: pd.DataFrame, x: str | None, value: str) -> tuple[pd.DataFrame, str]:
    """Return one row a run, and the axis: the one number that varies within an optimizer if none is given."""
    runs = last_rows(table)
    if x is None:
        within = runs.groupby("optimizer.name")
        free = [c for c in cell_columns(runs) if pd.api.types.is_numeric_dtype(runs[c])]
        numbers = [c for c in free if within[c].nunique().max() > 1]  # what only tells optimizers apart is no axis
        if len(numbers) != 1:
            found = f"these vary: {', '.join(numbers)}" if numbers else "nothing varies but optimizers and seeds"
            raise ValueError(f"say which column is x; {found}")
        (x,) = numbers
    require_numbers(runs, [x, value])
    return runs, x


def _points(runs: pd.DataFrame, x: str, value: str, optimizer: str | None) -> pd.DataFrame:
    """Return one row an optimizer and place: optimizer, x, mean, se, n, low, high, lost (runs that enter no mean)."""
    points = pd.concat(
        {name: _line(part, x, value) for name, part in by_optimizer(runs, optimizer, ignore=(x,)).items()},
        names=["optimizer"],
    ).reset_index()
    if not points["n"].any():
        raise ValueError(f"no finished run whose {value} could be drawn: every run diverged or failed")
    if points[x].isna().all():
        raise ValueError(f"no run has a {x}")
    return points[["optimizer", x, "mean", "se", "n", "low", "high", "lost"]]


def _line(runs: pd.DataFrame, x: str, value: str) -> pd.DataFrame:
    """Average the runs of one optimizer at every place; NaN is the place of one that has no x."""
    _refuse_cells(runs, x)
    runs = places(runs, [x])
    runs = runs.assign(place=runs[x].astype(float).fillna(np.inf))
    lost = (~runs["status"].isin(COUNTED)).groupby(runs["place"]).sum().rename("lost")
    line = moments(counted(runs), ["place"], value).reindex(lost.index).join(lost)
    half = half_width(line["se"], line["n"], 0.95)
    line = line.assign(low=line["mean"] - half, high=line["mean"] + half, n=line["n"].fillna(0).astype(int))
    return line.rename_axis(x).rename(index={np.inf: np.nan})


def _refuse_cells(runs: pd.DataFrame, x: str) -> None:
    """Raise ValueError if the runs of one line differ in more than x and the seed."""
    if free := mixed_columns(runs, [x]):
        takes = "; ".join(f"{c} takes {listed(runs[c])}" for c in free)
        raise ValueError(f"several cells would be mixed over {x}: {takes}. Choose one, by `where`")


def _figure(runs: pd.DataFrame, points: pd.DataFrame, x: str, value: str) -> Figure:
    with paper():
        figure, (ax,) = panels(1, in_a_row=1)
        _draw(points, ax, x, value)
        several, lost = points["n"].max() > 1, int(points["lost"].sum())
        notes = [
            "Means over seeds at the last step"
            + (", bars: 95% t intervals." if several else "; one seed has no interval."),
            f"A level line has no {label(x)}." if points[x].isna().any() else "",
            f"Diverged or failed runs ({lost}) are left out." if lost else "",
            loss_range(runs) if value != "train_loss" else "",
        ]
        finish(ax, notes)
    return figure


def _draw(points: pd.DataFrame, ax: Axes, x: str, value: str) -> None:
    """Draw a line with bars for every optimizer, level with a band for one that has no x."""
    log = geometric(points[x].dropna())
    aside = _aside(points, x, log)
    for colour, marker, (name, line) in zip(cycle(PALETTE), cycle(MARKERS), points.groupby("optimizer", sort=False)):
        words, level = title(str(name)), line[line[x].isna()]
        if level.empty:
            half = (line["high"] - line["mean"]).fillna(0)
            style: dict[str, Any] = {"marker": marker, "ms": 3.5, "capsize": 2, "elinewidth": 0.8}
            ax.errorbar(aside[line.index], line["mean"], half, color=colour, label=words, **style)
        for _, point in level.iterrows():
            ax.axhline(point["mean"], color=colour, ls=(0, (4, 2)), label=words)
            ax.axhspan(point["low"], point["high"], color=colour, alpha=0.15, lw=0)
    ax.set(xlabel=label(x), ylabel=label(value), xscale="log" if log else "linear")
    if log:
        log_ticks(ax.xaxis)
    ax.set_title(seeds(points["n"]), loc="right", fontsize=8)


def _aside(points: pd.DataFrame, x: str, log: bool) -> pd.Series[float]:
    """Return x with the lines a little apart, so that bars at one place do not hide each other."""
    at = np.log(points[x]) if log else points[x]
    number = pd.Series(pd.factorize(points["optimizer"].where(at.notna()))[0], points.index).clip(lower=0)
    moved = at + 0.012 * (at.max() - at.min()) * (number - number.max() / 2)
    return pd.Series(np.exp(moved) if log else moved, points.index)
