"""Curves: a value at the last step over one axis of a sweep; means over seeds, intervals, one line per optimizer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from featlearn.plots.caption import loss_range, moment, seeds, settings
from featlearn.plots.mesh import geometric, log_ticks, require_numbers, scale_values, shifted
from featlearn.plots.multiples import as_list, told_apart
from featlearn.plots.panels import SheetOptions, finish, legend_inside, new_word, panels, refuse_sheet
from featlearn.plots.style import DASHES, MARKERS, fresh, label, marker, on_dark, paper, title
from featlearn.tables.columns import (
    COUNTED,
    by_optimizer,
    cell_columns,
    last_rows,
    listed,
    mixed_columns,
    of_optimizer,
    places,
    select,
)
from featlearn.tables.dtypes import refuse_names
from featlearn.tables.intervals import half_width, limits
from featlearn.tables.labels import Label

COLUMNS = ("mean", "se", "n", "low", "high", "lost")
Floats = NDArray[np.float64]
LEVELS = ((0, (4, 2)), *DASHES[2:])  # dashes of level lines
DODGE = 2.0  # points between the bars of two lines at one x


@dataclass(frozen=True)
class Line:
    """One optimizer's points over x: x (NaN for a level), mean, se, n, low, high, lost (runs that enter no mean)."""

    optimizer: Label
    points: pd.DataFrame

    def draw(self, ax: Axes, colour: str, aside: float) -> None:
        """Draw a line through the means with bars `aside` points from them; a level where there is no x."""
        x, mean, *_, low, high, _ = (self.points[c].to_numpy(dtype=float) for c in self.points)
        style: dict[str, Any] = {"color": colour, "label": new_word(ax, title(self.optimizer))}
        for at in np.flatnonzero(np.isnan(x)):
            ax.axhline(mean[at], ls=LEVELS[MARKERS.index(marker(colour)) % len(LEVELS)], **style)
            ax.axhspan(low[at], high[at], color=colour, alpha=0.15, lw=0)
            style["label"] = "_nolegend_"
        known = ~np.isnan(x)
        if known.any():
            line = np.where(np.isfinite(mean), mean, np.nan)
            ax.plot(x[known], line[known], marker=marker(colour), ms=3.5, **style)
            _bars(ax, x, mean, low, high, colour, aside)
            _signs(ax, x, mean, colour)


def _bars(ax: Axes, x: Floats, mean: Floats, low: Floats, high: Floats, colour: str, aside: float) -> None:
    """Draw the intervals of points, shifted so that those at one place do not overlap."""
    known = np.isfinite([x, mean, low, high]).all(axis=0)
    x, mean, low, high = x[known], mean[known], low[known], high[known]
    ends = np.clip([mean - low, high - mean], 0, None)
    ax.errorbar(x, mean, ends, fmt="none", color=colour, elinewidth=0.8, capsize=2, transform=shifted(ax, aside, 0))
    ax.update_datalim(np.column_stack([np.tile(x, 2), [*low, *high]]))  # matplotlib ignores shifted artists


def _signs(ax: Axes, x: Floats, mean: Floats, colour: str) -> None:
    """Put a sign at the edge of the axes for every infinite mean."""
    for infinity, edge in ((np.inf, 1.0), (-np.inf, 0.0)):
        for place in x[mean == infinity]:
            style: dict[str, Any] = {"marker": r"$\infty$", "ms": 6, "color": colour, "clip_on": False}
            ax.plot(place, edge, transform=ax.get_xaxis_transform(), **style)


def curve(
    table: pd.DataFrame,
    x: str | None = None,
    value: str = "test_error",
    *,
    by: str | Sequence[str] | None = None,
    optimizer: str | Collection[str] | None = None,
    log_y: bool | None = None,
    ax: Axes | None = None,
    **sheet: Unpack[SheetOptions],
) -> Axes:
    """Draw the mean of `value` at the last step over x, with 95% t intervals over seeds; return the Axes.

    An optimizer that has no x, as SGD has no radius, is a level line. The values of a column `by`, such as
    `network.loss`, get lines of their own. x is what varies if one column does. `log_y` puts
    the value on a logarithm. The last step is the last that the table holds. On an `ax` that holds curves, these take
    other colours. For `sheet` see `phase_diagram`. Raises ValueError if there are more, or if cells would be mixed:
    select them first.
    """
    by = as_list(by)
    runs, x = _runs(table, x, value, by)
    lines = _lines(runs, x, value, optimizer, by)
    if ax is None:
        return _figure(of_optimizer(runs, optimizer, (x,), by), lines, x, value, log_y, sheet).axes[0]
    refuse_sheet(sheet)
    with paper(on_dark(ax)):
        _draw(lines, ax, x, value, log_y)
        legend_inside(ax)
    return ax


def curve_figure(
    rows: pd.DataFrame,
    *,
    x: str | None = None,
    value: str = "test_error",
    by: str | Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    optimizer: str | Collection[str] | None = None,
    log_y: bool | None = None,
    **sheet: Unpack[SheetOptions],
) -> tuple[Figure, pd.DataFrame]:
    """Draw a mean over one axis of a sweep, one line per optimizer. Bars are 95% intervals over seeds.

    Return the figure of `curve` and its points.

    x: column of the horizontal axis; the one that varies if not given.
    value: column of the vertical axis.
    by: column whose values get lines of their own.
    where: keep the runs with this value of a column, or with one of these values.
    optimizer: draw this optimizer only.
    log_y: whether the vertical axis is logarithmic.
    """
    by = as_list(by)
    runs, x = _runs(select(rows, where or {}), x, value, by)
    lines = _lines(runs, x, value, optimizer, by)
    points = pd.concat([line.points.assign(**told_apart(line.optimizer, by)) for line in lines], ignore_index=True)
    figure = _figure(of_optimizer(runs, optimizer, (x,), by), lines, x, value, log_y, sheet)
    return figure, points[["optimizer", *by, x, *COLUMNS]]


def _runs(table: pd.DataFrame, x: str | None, value: str, by: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Return one row per run, and the axis: the one number that varies within an optimizer if none is given."""
    runs = last_rows(table)
    require_numbers(runs, [value])
    if x is None:
        within = runs.groupby("optimizer.name")
        free = [c for c in cell_columns(runs) if pd.api.types.is_numeric_dtype(runs[c])]
        numbers = [
            c for c in free if within[c].nunique().max() > 1 and c not in by
        ]  # what varies between optimizers alone is no axis
        if len(numbers) != 1:
            found = f"these vary: {', '.join(numbers)}" if numbers else "nothing varies but optimizers and seeds"
            raise ValueError(f"choose the column x; {found}")
        (x,) = numbers
    require_numbers(runs, [x])
    return runs, x


def _lines(
    runs: pd.DataFrame, x: str, value: str, optimizer: str | Collection[str] | None, by: Sequence[str]
) -> list[Line]:
    """Compute one line per optimizer."""
    refuse_names([x], ["optimizer", *COLUMNS])
    parts = by_optimizer(runs, optimizer, (x,), by).items()
    lines = [Line(name, _averaged(part, x, value)) for name, part in parts]
    if not any(line.points["n"].any() for line in lines):
        raise ValueError(f"no finished run whose {value} could be drawn: every run diverged or failed")
    if all(line.points[x].isna().all() for line in lines):
        raise ValueError(f"no run has a {x}")
    return lines


def _averaged(runs: pd.DataFrame, x: str, value: str) -> pd.DataFrame:
    """Average the runs of one optimizer at every place; NaN is the place of one that has no x."""
    _refuse_cells(runs, x)
    runs = places(runs, [x])
    place, enters = runs[x].astype(float).fillna(np.inf), runs["status"].isin(COUNTED)
    lost = (~enters).groupby(place).sum()
    values = runs.loc[enters, value].groupby(place[enters])
    line = pd.DataFrame({"mean": values.mean(), "se": values.sem(), "n": values.count()}).reindex(lost.index)
    line = line.assign(n=line["n"].fillna(0).astype(int), lost=lost)
    half, (least, most) = half_width(line["se"], line["n"], 0.95), limits(value)
    line = line.assign(low=(line["mean"] - half).clip(lower=least), high=(line["mean"] + half).clip(upper=most))
    return line.rename_axis(x).rename(index={np.inf: np.nan}).reset_index()[[x, *COLUMNS]]


def _refuse_cells(runs: pd.DataFrame, x: str) -> None:
    """Raise ValueError if the runs of one line differ in more than x and the seed."""
    if free := mixed_columns(runs, [x]):
        takes = "; ".join(f"{c} takes {listed(runs[c])}" for c in free)
        raise ValueError(
            f"several cells would be mixed over {x}: {takes}. Choose one, by `where`, or give each a line, by `by`"
        )


def _figure(
    runs: pd.DataFrame, lines: list[Line], x: str, value: str, log_y: bool | None, sheet: SheetOptions
) -> Figure:
    with paper(sheet.get("dark")):
        figure, axes = panels(1, sheet)
        _draw(lines, axes[0], x, value, log_y)
        finish(axes, _notes(runs, pd.concat([line.points for line in lines]), x, value, log_y), sheet)
    return figure


def _notes(runs: pd.DataFrame, points: pd.DataFrame, x: str, value: str, log_y: bool | None) -> list[str]:
    """Return what a point and its interval are, and which runs and points are missing."""
    several, lost, infinite = points["n"].max() > 1, int(points["lost"].sum()), int(np.isinf(points["mean"]).sum())
    below, blank = int((points["mean"] <= 0).sum()) if log_y else 0, int(points["mean"].isna().sum())
    cut = limits(value)[1] == 1 and bool(points[["low", "high"]].isin(limits(value)).any(axis=None))
    bars = "bars, side by side: 95% t intervals" + ", cut at 0 and 1" * cut
    return [
        f"Means over seeds {moment(runs)}" + (f"; {bars}." if several else "; one seed has no interval."),
        f"A level line has no {label(x)}." if points[x].isna().any() else "",
        f"Diverged or failed runs ({lost}) are left out." if lost else "",
        f"Points without a value ({blank}) are not drawn." if blank else "",
        rf"$\infty$: infinite means ({infinite})." if infinite else "",
        f"Means at or below zero ({below}) have no place on a logarithm." if below else "",
        loss_range(runs) if value != "train_loss" else "",
        settings(runs, (x,)),
    ]


def _draw(lines: list[Line], ax: Axes, x: str, value: str, log_y: bool | None) -> None:
    """Draw a line with bars for every optimizer, level with a band for one that has no x."""
    points = pd.concat([line.points for line in lines])
    log = geometric(points[x].dropna())
    middle = (len(lines) - 1) / 2
    for i, (line, colour) in enumerate(zip(lines, cycle(fresh(ax)))):
        line.draw(ax, colour, DODGE * (i - middle))
    ax.set(xlabel=label(x), ylabel=label(value), xscale="log" if log else "linear")
    scale_values(ax, points["mean"], log_y)
    ax.autoscale_view()
    if log:
        log_ticks(ax.xaxis)
    ax.set_title(seeds(points["n"]), loc="right", fontsize=8)
