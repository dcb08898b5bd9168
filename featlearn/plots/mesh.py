"""Cells on true axes: a matrix drawn where its numbers are, on a logarithm where those are geometric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray

from featlearn.plots.style import GREY, INK, LIGHT, label
from featlearn.tables.columns import require


def geometric(values: ArrayLike) -> bool:
    """Say whether values step by ratios rather than by differences; two values do from a ratio of 10."""
    v = np.unique(np.asarray(values, dtype=float))
    if len(v) < 2 or v[0] <= 0:
        return False
    if len(v) == 2:
        return bool(v[1] / v[0] >= 10)
    ratios, steps = np.diff(np.log(v)), np.diff(v)
    return bool(np.ptp(ratios) / ratios.mean() < np.ptp(steps) / steps.mean())


def edges(centres: ArrayLike, *, log: bool) -> NDArray[np.float64]:
    """Return the k + 1 edges of cells around k increasing centres: halfway between, in log space if `log`.

    The outer cells are symmetric about their centres, but do not reach below zero from positive ones; a lone cell
    is as wide as a tenth of its value, or 1 at zero.
    """
    c = np.asarray(centres, dtype=float)
    if log:
        return np.exp(edges(np.log(c), log=False))
    if len(c) == 1:
        half = abs(c[0]) / 20 or 0.5
        return np.array([c[0] - half, c[0] + half])
    middle = (c[1:] + c[:-1]) / 2
    first = 2 * c[0] - middle[0]
    return np.concatenate([[max(first, 0.0) if c[0] > 0 else first], middle, [2 * c[-1] - middle[-1]]])


def draw_cells(grid: pd.DataFrame, ax: Axes, *, cmap: Colormap, norm: Normalize, lost: pd.Series[bool]) -> QuadMesh:
    """Draw the column `mean` of a tidy grid, whose first two columns are the axes.

    A cell without a mean stays hatched, or is grey if it is `lost`: computed, yet with nothing to show.
    """
    x, y = grid.columns[:2]
    matrix = grid.pivot(index=y, columns=x, values="mean").sort_index(axis=0).sort_index(axis=1)
    logs = geometric(matrix.columns), geometric(matrix.index)
    ax.patch.set(facecolor="white", edgecolor=GREY, hatch="//////")
    corners = edges(matrix.columns, log=logs[0]), edges(matrix.index, log=logs[1])
    means = np.ma.masked_invalid(matrix.to_numpy(dtype=float))
    mesh = ax.pcolormesh(*corners, means, cmap=cmap, norm=norm, rasterized=True)  # vector cells show seams
    grey = grid.assign(lost=lost).pivot(index=y, columns=x, values="lost").reindex_like(matrix)
    blank = np.ma.masked_not_equal(grey.to_numpy(dtype=float), 1.0)
    ax.pcolormesh(*corners, blank, cmap=ListedColormap([LIGHT]))
    _scale(ax, *logs)
    ax.set(xlabel=label(x), ylabel=label(y))
    return mesh


def mark_cells(cells: pd.DataFrame, ax: Axes, marker: str, *, size: float = 9.0, alpha: float = 1.0) -> None:
    """Put a marker at the centre of every row's cell."""
    x, y = cells.columns[:2]
    ax.scatter(cells[x], cells[y], s=size, marker=marker, color=INK, linewidths=0.7, alpha=alpha, zorder=3)


def hatched(grid: pd.DataFrame, lost: pd.Series[bool]) -> int:
    """Count the cells of the full grid with neither a mean nor anything lost."""
    x, y = grid.columns[:2]
    return int(grid[x].nunique() * grid[y].nunique() - (grid["mean"].notna() | lost).sum())


def require_numbers(df: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise ValueError for a column that is not there, or one of words."""
    require(df, columns)
    for column in columns:
        if not pd.api.types.is_numeric_dtype(df[column]):
            raise ValueError(f"{column} holds words, not numbers: it cannot be drawn")


def log_ticks(axis: Axis) -> None:
    """Label an axis on a logarithm, once its limits stand: at 1, 2 and 5 over few decades, at more within one."""
    low, high = axis.get_view_interval()
    if high < 1e6 and high / low < 300:
        fine = {2.5: range(1, 10), 5: (1, 2, 3, 4, 5, 6, 8), 10: (1, 2, 3, 4, 6), np.inf: (1, 2, 5)}
        digits = next(digits for span, digits in fine.items() if high / low < span)
        axis.set_major_locator(LogLocator(subs=tuple(digits)))
        axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
        axis.set_minor_formatter(NullFormatter())


def _scale(ax: Axes, log_x: bool, log_y: bool) -> None:
    for axis, log in ((ax.xaxis, log_x), (ax.yaxis, log_y)):
        if log:
            (ax.set_xscale if axis is ax.xaxis else ax.set_yscale)("log")
            log_ticks(axis)
