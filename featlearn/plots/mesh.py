"""Cells on true axes: each cell lies at its numbers, on a logarithmic axis where these are geometric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, SymmetricalLogLocator
from matplotlib.transforms import ScaledTranslation, Transform
from numpy.typing import ArrayLike, NDArray

from featlearn.plots.style import INK, label, page
from featlearn.tables.columns import require

ON_CELLS = [withStroke(linewidth=1.8, foreground="white")]  # seen on pale and on dark cells


def geometric(values: ArrayLike) -> bool:
    """Return whether values are closer to equal ratios than to equal differences; two values if their ratio is 10."""
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


def draw_cells(
    grid: pd.DataFrame, ax: Axes, *, cmap: Colormap, norm: Normalize, lost: pd.Series[bool], log_y: bool | None = None
) -> QuadMesh:
    """Draw the column `mean` of a tidy grid, whose first two columns are the axes.

    A cell without a mean stays hatched, or is grey if it is `lost`: computed, yet with nothing to show. One with an
    infinite mean is grey too, with a sign on it. y is on a logarithm if `log_y`, by default where it is geometric.
    """
    x, y = grid.columns[:2]
    matrix = grid.pivot(index=y, columns=x, values="mean").sort_index(axis=0).sort_index(axis=1)
    if log_y and matrix.index[0] <= 0:
        raise ValueError(f"{y} has no logarithm at {matrix.index[0]:g}")
    logs = geometric(matrix.columns), geometric(matrix.index) if log_y is None else log_y
    hatch(ax)
    corners = edges(matrix.columns, log=logs[0]), edges(matrix.index, log=logs[1])
    means = np.ma.masked_invalid(matrix.to_numpy(dtype=float))
    mesh = ax.pcolormesh(*corners, means, cmap=cmap, norm=norm, rasterized=True)  # vector cells show seams
    at = pd.MultiIndex.from_frame(grid[[y, x]])
    grey = (lost | np.isinf(grid["mean"])).set_axis(at).astype(float).unstack().reindex_like(matrix)
    blank = np.ma.masked_not_equal(grey.to_numpy(dtype=float), 1.0)
    ax.pcolormesh(*corners, blank, cmap=ListedColormap([page().light]))
    for sign, cells in (("$\\infty$", grid["mean"] == np.inf), ("$-\\infty$", grid["mean"] == -np.inf)):
        if cells.any():
            mark_cells(grid[cells], ax, sign, size=22.0)
    _scale(ax, *logs)
    for axis, values in ((ax.xaxis, matrix.columns), (ax.yaxis, matrix.index)):
        if len(values) == 1:
            axis.set_major_locator(FixedLocator([*map(float, values)]))
    ax.set(xlabel=label(x), ylabel=label(y))
    return mesh


def hatch(ax: Axes) -> None:
    """Hatch the ground of an axes, where no cell covers it."""
    ax.patch.set(facecolor=page().ground, edgecolor=page().grey, hatch="//////")


def mark_cells(cells: pd.DataFrame, ax: Axes, marker: str, *, size: float = 9.0) -> None:
    """Put a marker at the centre of every row's cell."""
    x, y = cells.columns[:2]
    ax.scatter(cells[x], cells[y], s=size, marker=marker, color=INK, linewidths=0.7, zorder=3, path_effects=ON_CELLS)


def infinite(grid: pd.DataFrame) -> str:
    """Return what the signs of infinite cells mean, if there are any."""
    n = int(np.isinf(grid["mean"]).sum())
    return rf"$\infty$: an infinite mean ({n} cells), outside the colours." if n else ""


def finite(means: pd.Series[float]) -> pd.Series[float]:
    """Return the finite means, the only ones that a colour can show."""
    return means[np.isfinite(means)]


def hatched(grid: pd.DataFrame, lost: pd.Series[bool]) -> int:
    """Count the cells of the full grid with neither a mean nor anything lost."""
    x, y = grid.columns[:2]
    return int(grid[x].nunique() * grid[y].nunique() - (grid["mean"].notna() | lost).sum())


def require_numbers(df: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise ValueError for a table without rows, a missing column, or a column that is not numeric."""
    require(df, columns)
    if df.empty:
        raise ValueError("the table has no rows")
    for column in columns:
        if pd.api.types.is_complex_dtype(df[column]) or not pd.api.types.is_numeric_dtype(df[column]):
            kind = "complex numbers" if pd.api.types.is_complex_dtype(df[column]) else "words, not numbers"
            raise ValueError(f"{column} holds {kind}: it cannot be drawn")


def log_ticks(axis: Axis) -> None:
    """Label a logarithmic axis whose limits are final: at 1, 2 and 5 over few decades, at more digits within one."""
    low, high = axis.get_view_interval()
    if high < 1e6 and high / low < 300:
        fine = {2.5: range(1, 10), 5: (1, 2, 3, 4, 5, 6, 8), 10: (1, 2, 3, 4, 6), np.inf: (1, 2, 5)}
        digits = next(digits for span, digits in fine.items() if high / low < span)
        axis.set_major_locator(LogLocator(subs=tuple(digits)))
        axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
        axis.set_minor_formatter(NullFormatter())


def scale_values(ax: Axes, means: pd.Series[float], log_y: bool | None) -> None:
    """Make the value axis logarithmic or linear; None leaves it unchanged. Raises ValueError if no mean is positive."""
    if log_y is None:
        return
    if log_y and not (means > 0).any():
        raise ValueError("no mean is above zero: none has a place on a logarithm")
    ax.set_yscale("log" if log_y else "linear")


def log_steps(ax: Axes, steps: pd.Series[float]) -> None:
    """Make the axis of steps logarithmic from the first positive step on; step 0, if recorded, stands at its left."""
    positive = steps[steps > 0]
    if positive.empty:
        return
    first = float(positive.min())
    if (steps == 0).any():
        ax.set_xscale("symlog", linthresh=first, linscale=0.4)
        ax.xaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=first))
    else:
        ax.set_xscale("log")
    if steps.max() < 1e6:
        ax.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def shifted(ax: Axes, right: float, up: float) -> Transform:
    """Return the transform of an axes' data, shifted by so many points to the right and up."""
    return ax.transData + ScaledTranslation(right / 72, up / 72, ax.figure.dpi_scale_trans)


def _scale(ax: Axes, log_x: bool, log_y: bool) -> None:
    for axis, log in ((ax.xaxis, log_x), (ax.yaxis, log_y)):
        if log:
            (ax.set_xscale if axis is ax.xaxis else ax.set_yscale)("log")
            log_ticks(axis)
