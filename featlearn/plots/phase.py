"""Phase diagrams: a value at the end of training over two axes of a sweep, one panel per optimizer."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Unpack

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from featlearn.plots.caption import loss_range, moment, seeds, settings, swept
from featlearn.plots.law import RADIUS, LawLine, Overlay
from featlearn.plots.mesh import draw_cells, finite, hatched, infinite, mark_cells, require_numbers
from featlearn.plots.multiples import as_list, headed, without
from featlearn.plots.panels import SheetOptions, colour_bar, finish, heading, legend_inside, panels, refuse_sheet
from featlearn.plots.style import INK, label, on_dark, paper, sequential, title
from featlearn.tables.cells import phase_grid
from featlearn.tables.columns import by_optimizer, last_rows, main_axes, of_optimizer, select
from featlearn.tables.labels import Label

ERRORS = ("test_error", "test_error_true", "train_error")


@dataclass(frozen=True)
class Panel:
    """One optimizer's grid of means, the points where they cross a level, and the law laid over them."""

    optimizer: Label
    grid: pd.DataFrame
    level: float | None
    points: pd.DataFrame
    line: LawLine | None
    no_law: str  # why the optimizer's own law is not drawn
    by: Mapping[str, Any] = field(default_factory=dict)  # further columns, whose values have panels of their own

    @property
    def blank(self) -> pd.Series[bool]:
        """Return which cells hold runs that finished, none of which has a value."""
        return self.grid["mean"].isna() & (self.grid["diverged"] + self.grid["failed"] == 0)

    @property
    def lost(self) -> pd.Series[bool]:
        """Return which cells hold runs but no value: they diverged, or have none."""
        return self.grid["mean"].isna() & (self.grid["diverged"] > 0) | self.blank

    def table(self) -> pd.DataFrame:
        """Return the grid that is drawn, with the law and its constant."""
        table = self.grid.assign(optimizer=str(without(self.optimizer, self.by)), **self.by)
        if self.line is None:
            return table
        return table.assign(law=self.line.law, law_c=self.line.c, law_fitted=self.line.fitted)

    def draw(self, ax: Axes, norm: Normalize, log_y: bool | None, whose: str = "", *, many: bool = False) -> QuadMesh:
        """Draw cells, marks, crossings and line (`whose` in the legend); return the mesh, for a colour bar.

        One of `many` panels has its heading from them, and its constant stands in the caption.
        """
        mesh = draw_cells(self.grid, ax, cmap=sequential(), norm=norm, lost=self.lost, log_y=log_y)
        mark_cells(self.grid[self.grid["diverged"] > 0], ax, "x")
        if len(self.points):
            x, y = (self.points[c] for c in self.grid.columns[:2])
            text = f"measured: mean crosses {self.level:g}"
            ax.scatter(x, y, s=8, facecolor="white", edgecolor=INK, linewidths=0.5, label=text, zorder=5)
        if self.line is not None:
            self.line.draw(ax, whose, one_of_many=many)
        if not many:
            heading(ax, title(self.optimizer), seeds(self.grid["n"]))
        return mesh


def phase_diagram(
    table: pd.DataFrame,
    x: str,
    y: str,
    value: str = "test_error",
    *,
    by: str | Sequence[str] | None = None,
    optimizer: str | Collection[str] | None = None,
    theory: str | None = "auto",
    constant: float | None = None,
    level: float | None = None,
    log_y: bool | None = None,
    ax: Axes | None = None,
    **sheet: Unpack[SheetOptions],
) -> Axes:
    """Draw the seed mean of `value` at the last step over x and y, with the theory boundary; return the Axes.

    Several optimizers get one panel each on one colour scale, and the first panel's Axes is returned (all
    are in `ax.figure.axes`), and so do the values of a column `by`. With `ax`, choose one by `optimizer`, a name or a
    label of `featlearn.tables.optimizer_labels`. For `theory`, `constant` and `level` see `Overlay`; the legend names
    a fitted constant as such. The last step is the last in the table, and the caption gives it. An infinite mean is
    marked and has no colour. `sheet` takes title, size (inches), dark and caption (False for none) of a figure of its
    own.
    Raises ValueError where nothing can be drawn, or where a cell would mix several runs of one seed.
    """
    runs, by = last_rows(table), as_list(by)
    shown = _measure(runs, x, y, value, optimizer, Overlay(theory, constant, level), by)
    if ax is None:
        return _figure(of_optimizer(runs, optimizer, (x, y), by), shown, value, log_y, sheet, by).axes[0]
    refuse_sheet(sheet)
    if len(shown) > 1:
        raise ValueError(f"one Axes shows one optimizer: choose of {', '.join(p.optimizer for p in shown)}")
    with paper(on_dark(ax)):
        mesh = shown[0].draw(ax, _norm(shown, value), log_y)
        legend_inside(ax)
        ax.figure.colorbar(mesh, ax=ax, label=label(value))
    return ax


def phase_figure(
    rows: pd.DataFrame,
    *,
    x: str | None = None,
    y: str | None = None,
    value: str = "test_error",
    by: str | Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    optimizer: str | Collection[str] | None = None,
    theory: str | None = "auto",
    constant: float | None = None,
    level: float | None = None,
    log_y: bool | None = None,
    **sheet: Unpack[SheetOptions],
) -> tuple[Figure, pd.DataFrame]:
    """Draw a mean over two axes of a sweep, one panel per optimizer. A line is the boundary of theory where one holds.

    Return the figure of `phase_diagram` and the cells it shows.

    x: column of the horizontal axis; the signal if it varies.
    y: column of the vertical axis; by default the dimension, or the other column that varies.
    value: column that the colour shows.
    by: column whose values get panels of their own.
    where: keep the runs with this value of a column, or with one of these values.
    optimizer: draw this optimizer only.
    theory: law to draw over the cells: sgd, sam, power, none, or auto for the optimizer's own where it holds.
    constant: constant of the law; fitted to the measured boundary if not given.
    level: value at which the boundary is measured; 0.1 above the share of flipped labels for a test error.
    log_y: whether the vertical axis is logarithmic; by default where its values are geometric.
    """
    runs = last_rows(select(rows, where or {}))
    by = as_list(by)
    x, y = main_axes(runs, x, y, by)
    shown = _measure(runs, x, y, value, optimizer, Overlay(theory, constant, level), by)
    table = pd.concat([panel.table() for panel in shown], ignore_index=True)
    return _figure(of_optimizer(runs, optimizer, (x, y), by), shown, value, log_y, sheet, by), table


def _measure(
    runs: pd.DataFrame,
    x: str,
    y: str,
    value: str,
    optimizer: str | Collection[str] | None,
    overlay: Overlay,
    by: Sequence[str],
) -> list[Panel]:
    """Compute what every panel shows."""
    require_numbers(runs, [x, y, value])
    shown = []
    for name, part in by_optimizer(runs, optimizer, (x, y), by).items():
        level, points = overlay.crossings(part, x, y, value)
        line = overlay.line(part, x, y, points)
        no_law = overlay.why_none(part, x, y, points)
        of = {column: part[column].iloc[0] for column in by}
        shown.append(Panel(name, phase_grid(part, x, y, value), level, points, line, no_law, of))
    if not any(panel.grid["n"].any() for panel in shown):
        raise ValueError(f"no finished run has a {value}: there is nothing to draw")
    if lost := [panel.optimizer for panel in shown if panel.grid.empty]:
        warnings.warn(f"left out, as they have no {x} or {y}: {', '.join(lost)}", stacklevel=3)
    return [panel for panel in shown if len(panel.grid)]


def _figure(
    runs: pd.DataFrame,
    shown: list[Panel],
    value: str,
    log_y: bool | None,
    sheet: SheetOptions,
    by: Sequence[str],
) -> Figure:
    """Draw the panels on one colour scale, with a caption."""
    with paper(sheet.get("dark")):
        names, many = [panel.optimizer for panel in shown], bool(by)
        if many:
            figure, axes, pairs = headed(names, shown, by, sheet)
            whose = {name: title(Label(name.name)) for name in names}
        else:
            figure, axes = panels(len(shown), sheet)
            pairs, whose = [*zip(axes, shown, strict=True)], {name: title(name) for name in names}
        norm, several = _norm(shown, value), len({*whose.values()}) > 1
        for ax, panel in pairs:
            mesh = panel.draw(ax, norm, log_y, f"{whose[panel.optimizer]}: " * several, many=many)
        colour_bar(mesh, axes, label(value))
        finish(axes, _notes(runs, shown, value, by), sheet)
    return figure


def _notes(runs: pd.DataFrame, shown: list[Panel], value: str, by: Sequence[str]) -> list[str]:
    """Return what a cell is, and what the marks mean."""
    empty = sum(hatched(panel.grid, panel.lost) for panel in shown)
    blank = sum(int(panel.blank.sum()) for panel in shown)
    diverged = sum(int(panel.grid["diverged"].sum()) for panel in shown)
    lines = [panel.line for panel in shown if panel.line is not None]
    over = f" over {seeds(pd.concat([panel.grid['n'] for panel in shown]))}" if by else ""
    return [
        f"Means{over} {moment(runs)}.",
        loss_range(runs) if value != "train_loss" else "",
        settings(runs, (*shown[0].grid.columns[:2], *by)),
        f"Hatched: no finished run ({empty} cells)." if empty else "",
        swept(runs, shown[0].grid) if empty else "",
        f"Crosses: runs that diverged ({diverged}), left out of the means." if diverged else "",
        f"Grey without a cross: finished runs that have no such value ({blank} cells)." if blank else "",
        infinite(pd.concat([panel.grid for panel in shown])),
        _constants([line for line in lines if line.fitted], many=bool(by)),
        *_laws(shown),
    ]


def _constants(lines: list[LawLine], *, many: bool) -> str:
    """Return that constants are fitted, and the range of those of many panels."""
    if not lines:
        return ""
    low, high = (f"{end(line.c for line in lines):.3g}" for end in (min, max))
    there = f" in every panel: {low if low == high else f'{low} to {high}'}" if many else ""
    return f"The constant C of the theory is fitted to the circles{there}."


def _laws(shown: list[Panel]) -> list[str]:
    """Return what SAM's law supposes, which lines are another optimizer's law, and why a law is not drawn."""
    own = [panel for panel in shown if panel.line is not None and panel.line.law == panel.optimizer.name]
    others = [panel for panel in shown if panel.line is not None and panel not in own]
    supposed = any(panel.line is not None and panel.line.law == "sam" for panel in own)
    return [
        rf"SAM's law supposes $\rho\propto {RADIUS[0]}$, and the radius follows it here." if supposed else "",
        *(f"The line at {title(p.optimizer)} is the law {p.line.law!r}, as requested." for p in others if p.line),
        *dict.fromkeys(panel.no_law for panel in shown),
    ]


def _norm(shown: list[Panel], value: str) -> Normalize:
    """Return one colour scale for all panels: 0 to 1/2 for an error, else the range of the finite means."""
    means = finite(pd.concat([panel.grid["mean"] for panel in shown]))
    if means.empty:
        return Normalize(0.0, 1.0)
    low, high = float(means.min()), float(means.max())
    if value in ERRORS:
        return Normalize(0.0, max(0.5, high))
    spread = 0.0 if high > low else abs(high) / 2 or 0.5
    return Normalize(low - spread, high + spread)
