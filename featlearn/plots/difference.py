"""Difference maps: one optimizer minus another, run by run on the same draws, over two axes of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.colors import CenteredNorm, Normalize
from matplotlib.figure import Figure

from featlearn.plots.caption import at_one_loss, moment, seeds, settings, swept
from featlearn.plots.mesh import draw_cells, finite, hatched, infinite, mark_cells, require_numbers
from featlearn.plots.multiples import as_list, headed
from featlearn.plots.panels import SheetOptions, colour_bar, finish, heading, panels, refuse_sheet
from featlearn.plots.style import diverging, label, on_dark, paper, title
from featlearn.tables.columns import (
    by_optimizer,
    last_rows,
    listed,
    main_axes,
    optimizer_labels,
    require,
    select,
    varying,
)
from featlearn.tables.continuous import optimizer_names
from featlearn.tables.intervals import limits
from featlearn.tables.labels import Label, labels
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
    by: Mapping[str, Any] = field(default_factory=dict)  # further columns, whose values have panels of their own

    @property
    def table(self) -> pd.DataFrame:
        """Return the cells that are drawn."""
        return self.grid.assign(first=str(self.first), second=str(self.second), **self.by)

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

    @property
    def title(self) -> str:
        """Return what is subtracted from what."""
        return f"{title(self.first)} minus {title(self.second)}"

    def draw(self, ax: Axes, norm: Normalize, log_y: bool | None) -> QuadMesh:
        """Draw the cells and the signs of the clear ones; return the mesh, for a colour bar."""
        mesh = draw_cells(self.grid, ax, cmap=diverging(), norm=norm, lost=self.lost, log_y=log_y)
        for sign, cells in ((PLUS, self.signed["mean"] > 0), (MINUS, self.signed["mean"] < 0)):
            mark_cells(self.signed[cells], ax, sign, size=self._sign_size)
        return mesh


def _notes(shown: Sequence[Contrast], by: Sequence[str]) -> list[str]:
    """Return how the pairs were made, and what the marks mean."""
    grid, runs, outcomes = (pd.concat([getattr(c, part) for c in shown]) for part in ("grid", "runs", "outcomes"))
    factor, several = shown[0].train_loss_tol, grid["n"].max() > 1
    matched = f"Train losses agree within a factor {factor:g}." if factor else "Train losses are not matched."
    dropped = _counts(outcomes[outcomes != "paired"])
    empty = sum(hatched(c.grid, c.lost) for c in shown)
    pairs = seeds(grid["n"], "pair") if by else "pairs"
    return [
        f"Means over {pairs} of runs on the same data, initial weights and batches, {moment(runs)}.",
        matched if factor or not at_one_loss(runs) else "",
        _signs(sum(len(c.clear) for c in shown)) if several else "Signs: of the one pair, which has no interval.",
        settings(runs, (*grid.columns[:2], *by)),
        f"Dropped: {dropped}." if dropped else "",
        "Grey: no pair left." if any(c.lost.any() for c in shown) else "",
        f"Hatched: no run ({empty} cells)." if empty else "",
        swept(runs, shown[0].grid) if empty else "",
        infinite(grid),
    ]


def difference(
    table: pd.DataFrame,
    x: str,
    y: str,
    value: str = "test_error",
    *,
    by: str | Sequence[str] | None = None,
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
    runs, by = last_rows(table), as_list(by)
    shown = _contrasts(runs, x, y, value, (first, second), train_loss_tol, by)
    if ax is None:
        return _figure(shown, value, log_y, sheet, by).axes[0]
    refuse_sheet(sheet)
    if len(shown) > 1:
        raise ValueError(f"one Axes shows one map: choose of {', '.join(shown)}")
    (contrast,) = shown.values()
    with paper(on_dark(ax)):
        mesh = contrast.draw(ax, _norm([contrast]), log_y)
        heading(ax, contrast.title, seeds(contrast.grid["n"], "pair"))
        _cut(ax.figure.colorbar(mesh, ax=ax, label=_label(value)), [contrast])
    return ax


def difference_figure(
    rows: pd.DataFrame,
    *,
    x: str | None = None,
    y: str | None = None,
    value: str = "test_error",
    by: str | Sequence[str] | None = None,
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
    by: column whose values get panels of their own.
    where: keep the runs with this value of a column, or with one of these values.
    first: optimizer to subtract from; SGD if there is one.
    second: optimizer to subtract; the other of two.
    train_loss_tol: leave out pairs whose train losses differ by more than this factor.
    log_y: whether the vertical axis is logarithmic; by default where its values are geometric.
    """
    runs = last_rows(select(rows, where or {}))
    by = as_list(by)
    x, y = main_axes(runs, x, y, by)
    shown = _contrasts(runs, x, y, value, (first, second), train_loss_tol, by)
    table = pd.concat([contrast.table for contrast in shown.values()], ignore_index=True)
    return _figure(shown, value, log_y, sheet, by), table


def _contrasts(
    runs: pd.DataFrame,
    x: str,
    y: str,
    value: str,
    between: tuple[str | None, str | None],
    factor: float | None,
    by: Sequence[str],
) -> dict[Label, Contrast]:
    """Return what is compared for every value of `by`, in the order of appearance, or for all runs."""
    require_numbers(runs, [x, y, value])
    require(runs, by)
    found = {}
    names = labels(runs, pd.Series("all", runs.index), by)
    for name in dict.fromkeys(names):
        part = runs[[other == name for other in names]]
        contrast = _contrast(part, x, y, value, *between, factor)
        found[name] = replace(contrast, by={column: part[column].iloc[0] for column in by})
    return found


def _contrast(
    runs: pd.DataFrame, x: str, y: str, value: str, first: str | None, second: str | None, factor: float | None
) -> Contrast:
    """Pair the runs and average the pairs."""
    require_numbers(runs, [x, y, value])
    of_runs = optimizer_labels(runs, ignore=(x, y))
    first, second = _two(of_runs, first, second)
    titles = {str(label): label for label in by_optimizer(runs, ignore=(x, y))}
    left, right = (titles.get(name, Label(name)) for name in (first, second))
    along = [axis for axis in (x, y) if axis.startswith("optimizer.")]
    of_one_rule = left.rule == right.rule and left.dynamics != right.dynamics  # which share the settings of the rule
    if along and not of_one_rule:
        raise ValueError(f"{first} and {second} differ in {x} or {y}: pairs cannot lie along it")
    names = optimizer_names(runs)
    by = names if {first, second} <= {*names} else of_runs
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


def _figure(
    found: Mapping[Label, Contrast], value: str, log_y: bool | None, sheet: SheetOptions, by: Sequence[str]
) -> Figure:
    shown = [*found.values()]
    with paper(sheet.get("dark")):
        if by:
            figure, axes, pairs = headed([*found], shown, by, sheet, lambda _: shown[0].title)
        else:
            figure, axes = panels(1, sheet)
            pairs = [(axes[0], shown[0])]
            heading(axes[0], shown[0].title, seeds(shown[0].grid["n"], "pair"))
        norm = _norm(shown)
        meshes = [contrast.draw(ax, norm, log_y) for ax, contrast in pairs]
        _cut(colour_bar(meshes[0], axes, _label(value)), shown)
        finish(axes, _notes(shown, by), sheet)
    return figure


def _norm(shown: Sequence[Contrast]) -> Normalize:
    """Return one colour scale for all panels, centred on zero."""
    return CenteredNorm(0.0, float(_means(shown).abs().max()) or 1.0)


def _means(shown: Sequence[Contrast]) -> pd.Series[float]:
    return finite(pd.concat([contrast.grid["mean"] for contrast in shown]))


def _cut(bar: Colorbar, shown: Sequence[Contrast]) -> None:
    """Show only those colours that are in use, and white."""
    means = _means(shown)
    if means.any():
        cut = bar.ax.set_ylim if bar.orientation == "vertical" else bar.ax.set_xlim
        cut(min(means.min(), 0.0), max(means.max(), 0.0))


def _signs(n: int) -> str:
    return "Signs: the cell's 95% t interval excludes zero." if n else "No cell's 95% t interval excludes zero."


def _label(value: str) -> str:
    return rf"$\Delta$ {label(value)}"


def _counts(outcomes: pd.Series[str]) -> str:
    return ", ".join(f"{word} ({n})" for word, n in outcomes.value_counts().items())
