"""Phase diagrams: a value at the end of training over two axes of a sweep, one panel an optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from featlearn.plots.caption import caption, loss_range, seeds
from featlearn.plots.law import Line, Overlay
from featlearn.plots.mesh import draw_cells, hatched, mark_cells, require_numbers
from featlearn.plots.panels import heading, legend_below, legend_inside, outer_labels, panels
from featlearn.plots.style import INK, label, paper, sequential, title
from featlearn.tables.cells import phase_grid
from featlearn.tables.columns import by_optimizer, last_rows, main_axes, of_optimizer, select

ERRORS = ("test_error", "test_error_true", "train_error")


@dataclass(frozen=True)
class Panel:
    """One optimizer's grid of means, the points where they cross a level, and the law laid over them."""

    optimizer: str
    grid: pd.DataFrame
    level: float | None
    points: pd.DataFrame
    line: Line | None

    @property
    def lost(self) -> pd.Series[bool]:
        """Return which cells hold only runs that diverged."""
        return self.grid["mean"].isna() & (self.grid["diverged"] > 0)

    def table(self) -> pd.DataFrame:
        """Return the grid as it is drawn, with the law and its constant."""
        table = self.grid.assign(optimizer=self.optimizer)
        if self.line is None:
            return table
        return table.assign(law=self.line.law, law_c=self.line.c, law_fitted=self.line.fitted)

    def draw(self, ax: Axes, norm: Normalize) -> QuadMesh:
        """Draw cells, marks, crossings and line; return the mesh, for a colour bar."""
        mesh = draw_cells(self.grid, ax, cmap=sequential(), norm=norm, lost=self.lost)
        mark_cells(self.grid[self.grid["diverged"] > 0], ax, "x")
        if len(self.points):
            x, y = (self.points[c] for c in self.grid.columns[:2])
            text = f"measured: mean crosses {self.level:g}"
            ax.scatter(x, y, s=8, facecolor="white", edgecolor=INK, linewidths=0.5, label=text, zorder=5)
        if self.line is not None:
            self.line.draw(ax)
        heading(ax, title(self.optimizer), seeds(self.grid["n"]))
        return mesh


def phase_diagram(
    table: pd.DataFrame,
    x: str,
    y: str,
    value: str = "test_error",
    *,
    optimizer: str | None = None,
    theory: str | None = "auto",
    constant: float | None = None,
    level: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the seed mean of `value` at the last step over x and y, with the theory boundary; return the Axes.

    Several optimizers get one panel each on one colour scale, and the first panel's Axes is returned (all
    are in `ax.figure.axes`); with `ax`, choose one by `optimizer`, a name or a label of
    `featlearn.tables.optimizer_labels`. For `theory`, `constant` and `level` see `Overlay`; a fitted
    constant says so in the legend. Raises ValueError where nothing can be drawn, or where a cell would
    mix several runs of one seed.
    """
    runs = last_rows(table)
    shown = _measure(runs, x, y, value, optimizer, Overlay(theory, constant, level))
    if ax is None:
        return _figure(of_optimizer(runs, optimizer, (x, y)), shown, value).axes[0]
    if len(shown) > 1:
        raise ValueError(f"one Axes shows one optimizer: choose of {', '.join(p.optimizer for p in shown)}")
    with paper():
        mesh = shown[0].draw(ax, _norm(shown, value))
        legend_inside(ax)
        ax.figure.colorbar(mesh, ax=ax, label=label(value))
    return ax


def phase_figure(
    rows: pd.DataFrame,
    *,
    x: str | None = None,
    y: str | None = None,
    value: str = "test_error",
    where: Mapping[str, Any] | None = None,
    optimizer: str | None = None,
    theory: str | None = "auto",
    constant: float | None = None,
    level: float | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Draw `phase_diagram` with a panel for every optimizer; return the figure and the cells it shows.

    `where` keeps the rows with these values; x and y are `featlearn.tables.main_axes` if not given.
    """
    runs = last_rows(select(rows, where or {}))
    x, y = main_axes(runs, x, y)
    shown = _measure(runs, x, y, value, optimizer, Overlay(theory, constant, level))
    table = pd.concat([panel.table() for panel in shown], ignore_index=True)
    return _figure(of_optimizer(runs, optimizer, (x, y)), shown, value), table


def _measure(runs: pd.DataFrame, x: str, y: str, value: str, optimizer: str | None, overlay: Overlay) -> list[Panel]:
    """Compute what every panel shows."""
    require_numbers(runs, [x, y, value])
    shown = []
    for name, part in by_optimizer(runs, optimizer, ignore=(x, y)).items():
        level, points = overlay.crossings(part, x, y, value)
        line = overlay.line(part, x, y, points)
        shown.append(Panel(name, phase_grid(part, x, y, value), level, points, line))
    if not any(panel.grid["n"].any() for panel in shown):
        raise ValueError(f"no finished run has a {value}: there is nothing to draw")
    return [panel for panel in shown if len(panel.grid)]


def _figure(runs: pd.DataFrame, shown: list[Panel], value: str) -> Figure:
    """Draw the panels on one colour scale, with a caption."""
    with paper():
        figure, axes = panels(len(shown), in_a_row=2)
        norm = _norm(shown, value)
        meshes = [panel.draw(ax, norm) for panel, ax in zip(shown, axes, strict=True)]
        for ax in axes:
            legend_below(ax)
        outer_labels(axes)
        figure.colorbar(meshes[0], ax=axes, label=label(value), aspect=30, pad=0.02)
        caption(figure, ["Means at the last step.", loss_range(runs), *_notes(shown)])
    return figure


def _notes(shown: list[Panel]) -> list[str]:
    """Explain the marks that are there."""
    empty = sum(hatched(panel.grid, panel.lost) for panel in shown)
    diverged = sum(int(panel.grid["diverged"].sum()) for panel in shown)
    lines = [panel.line for panel in shown if panel.line is not None]
    return [
        f"Hatched: no finished run ({empty} cells)." if empty else "",
        f"Crosses: runs that diverged ({diverged}), left out of the means." if diverged else "",
        "The constant C of the theory is fitted to the circles." if any(line.fitted for line in lines) else "",
        r"SAM's law supposes $\rho\propto d^{-1/2}$." if any(line.law == "sam" for line in lines) else "",
    ]


def _norm(shown: list[Panel], value: str) -> Normalize:
    """Return one colour scale for all panels: 0 to 1/2 for an error, else the range of the means."""
    means = pd.concat([panel.grid["mean"] for panel in shown])
    low, high = float(means.min()), float(means.max())
    if value in ERRORS:
        return Normalize(0.0, max(0.5, high))
    spread = 0.0 if high > low else abs(high) / 2 or 0.5
    return Normalize(low - spread, high + spread)
