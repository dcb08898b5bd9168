"""Difference maps: one optimizer minus another, run by run on the same draws, over two axes of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure

from featlearn.plots.caption import at_one_loss, moment, seeds, swept
from featlearn.plots.mesh import draw_cells, finite, hatched, infinite, mark_cells, require_numbers
from featlearn.plots.panels import SheetOptions, colour_bar, finish, heading, panels, refuse_sheet
from featlearn.plots.style import diverging, label, on_dark, paper, title
from featlearn.tables.columns import by_optimizer, last_rows, listed, main_axes, optimizer_labels, select, varying
from featlearn.tables.continuous import optimizer_names
from featlearn.tables.intervals import limits
from featlearn.tables.labels import Label
from featlearn.tables.pairs import difference_grid, paired_difference

PLUS, MINUS = "+", "_"  # markers of a cell above and below zero: both are dark in print without colour


@dataclass(frozen=True)
class Contrast:
    """Which two optimizers are compared, in which runs, and what became of the pairs of every cell."""

    first: Label
    second: Label
    runs: pd.DataFrame
    grid: pd.DataFrame
    outcomes: pd.Series[str]
    train_loss_tol: float | None

    @property
    def lost(self) -> pd.Series[bool]:
        """Return which cells hold runs but no pair to compare."""
        return self.grid["mean"].isna()

    @property
    def clear(self) -> pd.DataFrame:
        """Return the cells whose 95% interval does not hold zero; one pair has no interval."""
        clear: pd.DataFrame = self.grid[(self.grid["low"] > 0) | (self.grid["high"] < 0)]
        return clear

    @property
    def signed(self) -> pd.DataFrame:
        """Return the cells that carry their sign: the clear ones, or all where no cell has an interval."""
        return self.clear if self.grid["n"].max() > 1 else self.grid

    @property
    def _sign_size(self) -> float:
        """Return the area of a sign, in square points, half as wide as a cell where cells are small."""
        across, up = (self.grid.iloc[:, axis].nunique() for axis in (0, 1))
        return float(np.clip(0.5 * min(170 / across, 110 / up), 1.5, 5.0)) ** 2  # a panel is about 170 x 110 points

    def draw(self, ax: Axes, log_y: bool | None) -> QuadMesh:
        """Draw the cells and the signs of the clear ones; return the mesh, for a colour bar."""
        norm = CenteredNorm(0.0, float(finite(self.grid["mean"]).abs().max()) or 1.0)
        mesh = draw_cells(self.grid, ax, cmap=diverging(), norm=norm, lost=self.lost, log_y=log_y)
        for sign, cells in ((PLUS, self.signed["mean"] > 0), (MINUS, self.signed["mean"] < 0)):
            mark_cells(self.signed[cells], ax, sign, size=self._sign_size)
        heading(ax, f"{title(self.first)} minus {title(self.second)}", seeds(self.grid["n"], "pair"))
        return mesh

    def notes(self) -> list[str]:
        """Return how the pairs were made, and what the marks mean."""
        factor, several = self.train_loss_tol, self.grid["n"].max() > 1
        matched = f"Train losses agree within a factor {factor:g}." if factor else "Train losses are not matched."
        dropped = _counts(self.outcomes[self.outcomes != "paired"])
        empty = hatched(self.grid, self.lost)
        return [
            f"Means over pairs of runs on the same data, initial weights and batches, {moment(self.runs)}.",
            matched if factor or not at_one_loss(self.runs) else "",
            _signs(len(self.clear)) if several else "Signs: of the one pair, which has no interval.",
            f"Dropped: {dropped}." if dropped else "",
            "Grey: no pair left." if self.lost.any() else "",
            f"Hatched: no run ({empty} cells)." if empty else "",
            swept(self.runs, self.grid) if empty else "",
            infinite(self.grid),
        ]


def difference(
    table: pd.DataFrame,
    x: str,
    y: str,
    value: str = "test_error",
    *,
    first: str | None = None,
    second: str | None = None,
    train_loss_tol: float | None = None,
    log_y: bool | None = None,
    ax: Axes | None = None,
    **sheet: Unpack[SheetOptions],
) -> Axes:
    """Draw the mean of `first` minus `second` at the last step over x and y, paired by seed; return the Axes.

    Above zero (red) the second has the smaller value. `first` and `second` are names, or labels of
    `featlearn.tables.optimizer_labels` where a name is not enough; if not given, SGD comes first, and the other of
    two second. Cells whose 95% t interval excludes zero carry their sign, which shows in grey print too; of
    one pair all do. For `train_loss_tol` see `featlearn.tables.paired_difference`, for `sheet` see `phase_diagram`.
    Raises ValueError if there are more to choose from, or if the pairing is ambiguous or leaves nothing.
    """
    contrast = _contrast(last_rows(table), x, y, value, first, second, train_loss_tol)
    if ax is None:
        return _figure(contrast, value, log_y, sheet).axes[0]
    refuse_sheet(sheet)
    with paper(on_dark(ax)):
        _cut(ax.figure.colorbar(contrast.draw(ax, log_y), ax=ax, label=_label(value)), contrast)
    return ax


def difference_figure(
    rows: pd.DataFrame,
    *,
    x: str | None = None,
    y: str | None = None,
    value: str = "test_error",
    where: Mapping[str, Any] | None = None,
    first: str | None = None,
    second: str | None = None,
    train_loss_tol: float | None = None,
    log_y: bool | None = None,
    **sheet: Unpack[SheetOptions],
) -> tuple[Figure, pd.DataFrame]:
    """Draw one optimizer minus another over two axes of a sweep. Means are over pairs of runs on the same draws.

    Return the figure of `difference` and the cells it shows.

    x: column of the horizontal axis; the signal if it varies.
    y: column of the vertical axis; by default the dimension, or the other column that varies.
    value: column whose difference the colour shows.
    where: keep the runs with this value of a column, or with one of these values.
    first: optimizer to subtract from; SGD if there is one.
    second: optimizer to subtract; the other of two.
    train_loss_tol: leave out pairs whose train losses differ by more than this factor.
    log_y: whether the vertical axis is logarithmic; by default where its values are geometric.
    """
    runs = last_rows(select(rows, where or {}))
    x, y = main_axes(runs, x, y)
    contrast = _contrast(runs, x, y, value, first, second, train_loss_tol)
    table = contrast.grid.assign(first=str(contrast.first), second=str(contrast.second))
    return _figure(contrast, value, log_y, sheet), table


def _contrast(
    runs: pd.DataFrame, x: str, y: str, value: str, first: str | None, second: str | None, factor: float | None
) -> Contrast:
    """Pair the runs and average the pairs."""
    require_numbers(runs, [x, y, value])
    labels = optimizer_labels(runs, ignore=(x, y))
    first, second = _two(labels, first, second)
    titles = {str(label): label for label in by_optimizer(runs, ignore=(x, y))}
    left, right = (titles.get(name, Label(name)) for name in (first, second))
    along = [axis for axis in (x, y) if axis.startswith("optimizer.")]
    of_one_rule = left.rule == right.rule and left.dynamics != right.dynamics  # which share the settings of the rule
    if along and not of_one_rule:
        raise ValueError(f"{first} and {second} differ in {x} or {y}: pairs cannot lie along it")
    names = optimizer_names(runs)
    by = names if {first, second} <= {*names} else labels
    keys = [c for c in varying(runs[by.isin([first, second])]) if not c.startswith("optimizer.") or c in along]
    pairs = paired_difference(runs, value, by, first, second, keys, factor)
    constant = {c: runs[c].iloc[0] for c in (x, y) if c not in pairs}
    grid = difference_grid(pairs.assign(**constant), [x, y])
    if not grid["n"].any():
        raise ValueError(f"no pair of {first} and {second} is left to compare: {_counts(pairs['outcome'])}")
    return Contrast(left, right, runs[by.isin([first, second])], _within(grid, value), pairs["outcome"], factor)


def _two(labels: pd.Series[str], first: str | None, second: str | None) -> tuple[str, str]:
    """Return the two optimizers to compare: if not given, SGD first, and the other of two."""
    there = sorted(labels.unique(), key=lambda label: (label != "sgd", label))
    if first is None and second is not None and "sgd" in there:
        first = "sgd"
    if first is not None and second is not None:
        return first, second
    if len(there) == 1:
        raise ValueError(f"a difference takes two optimizers; {there[0]} is the only one")
    if len(there) > 2:
        found = listed(pd.Series(there), most=12)
        raise ValueError(
            f"there are {len(there)} optimizers, {found}: choose with first and second (--first, --second)"
        )
    given = first or second or there[0]
    other = there[given == there[0]]
    return (given, other) if second is None else (other, given)


def _within(grid: pd.DataFrame, value: str) -> pd.DataFrame:
    """Cut intervals at what a difference of such values can be."""
    low, high = limits(value)
    return grid.assign(low=grid["low"].clip(lower=low - high), high=grid["high"].clip(upper=high - low))


def _figure(contrast: Contrast, value: str, log_y: bool | None, sheet: SheetOptions) -> Figure:
    with paper(sheet.get("dark")):
        figure, axes = panels(1, sheet)
        _cut(colour_bar(contrast.draw(axes[0], log_y), axes, _label(value)), contrast)
        finish(axes, contrast.notes(), sheet)
    return figure


def _cut(bar: Colorbar, contrast: Contrast) -> None:
    """Show only those colours that are in use, and white."""
    means = finite(contrast.grid["mean"])
    if means.any():
        bar.ax.set_ylim(min(means.min(), 0.0), max(means.max(), 0.0))


def _signs(n: int) -> str:
    return "Signs: the cell's 95% t interval excludes zero." if n else "No cell's 95% t interval excludes zero."


def _label(value: str) -> str:
    return rf"$\Delta$ {label(value)}"


def _counts(outcomes: pd.Series[str]) -> str:
    return ", ".join(f"{word} ({n})" for word, n in outcomes.value_counts().items())
