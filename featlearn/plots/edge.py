"""The edge of stability: sharpness over steps with 2 / lr and SAM's edge; one panel per cell, or one for all."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featlearn.plots.caption import ends_early, seeds
from featlearn.plots.mesh import geometric, log_steps, log_ticks
from featlearn.plots.panels import SheetOptions, finish, heading, legend_inside, new_word, panels, refuse_sheet
from featlearn.plots.style import fresh, label, marker, on_dark, page, paper, setting, title, toned
from featlearn.tables.columns import by_cell, cell_columns, counted, last_rows, of_optimizer, select
from featlearn.tables.edge import OF_SAM, SAM_EDGE, SHARPNESS, STABILITY_EDGE, edge_in_use, require_recorded
from featlearn.tables.labels import Label

MOST = 24  # panels of one figure
LINE_STYLES: Mapping[str, Mapping[str, Any]] = {
    SHARPNESS: {"tone": 0, "lw": 0.9},
    SAM_EDGE: {"tone": 3, "lw": 0.9, "ls": (0, (3, 2))},
    STABILITY_EDGE: {"tone": None, "lw": 1.1, "ls": (0, (1, 1.5))},
}


@dataclass(frozen=True)
class EdgeCurves:
    """What is shown of every cell: run_id, its varying columns, seed, status, step, values; and how many runs are not.

    SAM's edge is missing where it equals 2 / lr throughout a run; every edge is missing where a schedule sets lr to 0.
    """

    cells: Mapping[Label, pd.DataFrame]
    lost: int
    early: str  # where the records end, if they end long before the runs

    @property
    def rows(self) -> pd.DataFrame:
        """Return the rows of all cells, in the order of the sweep."""
        return pd.concat(self.cells.values()).sort_index()

    @property
    def shared(self) -> dict[str, str]:
        """Return the settings that all cells share, none for a single cell."""
        first, *others = [cell.settings for cell in self.cells]
        return {key: value for key, value in first.items() if others and all(o.get(key) == value for o in others)}


def edge(
    table: pd.DataFrame,
    *,
    optimizer: str | Collection[str] | None = None,
    log_y: bool | None = None,
    overlay: bool = False,
    ax: Axes | None = None,
    **sheet: Unpack[SheetOptions],
) -> Axes:
    """Draw the sharpness over steps with 2 / lr and, for SAM and USAM, the edge of the rule; return the Axes.

    `table` has one row per run and recorded step (`featlearn.load`) with the columns `sharpness`, `stability_edge`
    and, for SAM and USAM, `sam_edge`: trackers of these names record them. Every seed is a line. Every cell gets a
    panel on shared axes, in the order of the sweep, and the first panel's Axes is returned (all are in
    `ax.figure.axes`); with `overlay` they share one panel, each in its own colour. `ax` takes the rows of one
    cell, or overlays them; on one that holds curves, these take other colours. The axis of the sharpness is
    logarithmic unless `log_y` is False; where the sharpness is negative, its size is drawn. For `sheet` see
    `phase_diagram`. Warns where the records end long before the runs do. Raises ValueError, naming the tracker, where
    one was not recorded.
    """
    curves = _curves(table, optimizer)
    if ax is None:
        return _figure(curves, log_y, overlay, sheet).axes[0]
    refuse_sheet(sheet)
    if len(curves.cells) > 1 and not overlay:
        raise ValueError(f"one Axes shows one cell: choose of {'; '.join(curves.cells)}; or overlay")
    with paper(on_dark(ax)):
        _draw_over(curves, ax)
        _scale(curves, [ax], log_y)
        legend_inside(ax)
    return ax


def edge_figure(
    rows: pd.DataFrame,
    *,
    where: Mapping[str, Any] | None = None,
    optimizer: str | Collection[str] | None = None,
    log_y: bool | None = None,
    overlay: bool = False,
    **sheet: Unpack[SheetOptions],
) -> tuple[Figure, pd.DataFrame]:
    """Draw the sharpness over steps with 2/lr and SAM's edge. One line per seed, one panel per cell of a sweep.

    Return the figure of `edge` and the curves it shows.

    where: keep the runs with this value of a column, or with one of these values.
    optimizer: draw this optimizer only.
    log_y: whether the vertical axis is logarithmic; by default it is.
    overlay: draw all cells in one panel.
    """
    curves = _curves(select(rows, where or {}), optimizer)
    return _figure(curves, log_y, overlay, sheet), curves.rows.drop(columns="run_id")


def _curves(rows: pd.DataFrame, optimizer: str | Collection[str] | None) -> EdgeCurves:
    """Compute what is shown."""
    rows = of_optimizer(rows.reset_index(drop=True), optimizer).sort_index()  # as in the sweep
    for column in (SHARPNESS, STABILITY_EDGE):
        require_recorded(rows, column)
    used = edge_in_use(rows)
    other = ~np.isclose(used, rows[STABILITY_EDGE], rtol=1e-12, atol=0, equal_nan=True)
    own = pd.Series(other, index=rows.index).groupby(rows["run_id"]).transform("any")
    kept = rows.assign(sam_edge=used.where(own))
    head = [*dict.fromkeys(["run_id", "optimizer.name", *cell_columns(counted(rows)), "seed", "status", "step"])]
    values = kept[[SHARPNESS, STABILITY_EDGE, SAM_EDGE]].replace([np.inf, -np.inf], np.nan)
    cells = {cell: kept.loc[counted(part).index, head].join(values) for cell, part in by_cell(rows).items()}
    lost = [cell for cell, part in cells.items() if part.empty]
    cells = {cell: part for cell, part in cells.items() if cell not in lost}
    _refuse(len(cells))
    if lost:
        warnings.warn(f"left out, as every run diverged or failed: {'; '.join(lost)}", stacklevel=3)
    if early := ends_early(rows):
        warnings.warn(early, stacklevel=3)
    return EdgeCurves(cells, rows["run_id"].nunique() - counted(rows)["run_id"].nunique(), early)


def _refuse(n: int) -> None:
    """Raise ValueError if there is nothing to draw, or too much for one figure."""
    if not n:
        raise ValueError("no finished run whose sharpness to follow: every run diverged or failed")
    if n > MOST:
        raise ValueError(f"{n} cells are more than the {MOST} panels of a figure: choose some, by `where`")


def _figure(curves: EdgeCurves, log_y: bool | None, overlay: bool, sheet: SheetOptions) -> Figure:
    with paper(sheet.get("dark")):
        figure, axes = panels(1 if overlay else len(curves.cells), sheet)
        if overlay:
            _draw_over(curves, axes[0])
        else:
            for ax, (cell, rows) in zip(axes, curves.cells.items(), strict=True):
                for column, style in LINE_STYLES.items():
                    _lines(ax, rows, column, label(column), style)
                heading(ax, _short(curves, cell), seeds(pd.Series([rows["run_id"].nunique()])))
        _scale(curves, axes, log_y)
        finish(axes, _notes(curves), sheet, columns=3 if len(axes) > 1 else 2)
    return figure


def _draw_over(curves: EdgeCurves, ax: Axes) -> None:
    """Draw cells into one panel, one colour per cell; a single cell has one colour per value."""
    alone, empty = len(curves.cells) == 1, not ax.lines
    for (cell, rows), colour in zip(curves.cells.items(), cycle(fresh(ax))):
        for column, style in LINE_STYLES.items():
            name = _short(curves, cell)
            words = f"{name}: {label(column)}" if alone else name if column == SHARPNESS else "_nolegend_"
            marked = {} if alone or column != SHARPNESS else {"marker": marker(colour), "ms": 3.5, "markevery": 0.2}
            _lines(ax, rows, column, words, style if alone and empty else {**style, **marked, "color": colour})
    if not alone:
        for column in (SAM_EDGE, STABILITY_EDGE):
            if curves.rows[column].notna().any():
                ax.plot([], [], **{**toned(LINE_STYLES[column]), "color": page().grey}, label=label(column))


def _short(curves: EdgeCurves, cell: Label) -> str:
    """Return the title of a cell without the settings that all cells share, which the caption states."""
    own = {key: value for key, value in cell.settings.items() if curves.shared.get(key) != value}
    return title(Label(cell.name, own))


def _scale(curves: EdgeCurves, axes: list[Axes], log_y: bool | None) -> None:
    """Set the scales and the labels of the axes."""
    steps = curves.rows["step"]
    for ax in axes:
        ax.set(xlabel=label("step"), ylabel=label(SHARPNESS))
        if log_y is not False:
            ax.set_yscale("log")
        if geometric(steps[steps > 0]):
            log_steps(ax, steps)
        ax.margins(x=0)
    if log_y is not False:
        log_ticks(axes[0].yaxis)


def _lines(ax: Axes, rows: pd.DataFrame, column: str, words: str, style: Mapping[str, Any]) -> None:
    """Draw a line for every run that has the column, the first of them named for the legend."""
    known = rows[rows[column].groupby(rows["run_id"]).transform("any")]
    words = new_word(ax, words)
    for _, run in known.groupby("run_id", sort=False):
        ax.plot(run["step"], run[column].abs().replace(0, np.nan), label=words, **toned(style))
        words = "_nolegend_"


def _notes(curves: EdgeCurves) -> list[str]:
    """Return what a line is, which edge is not drawn, and which runs end early or are missing."""
    ends = last_rows(curves.rows)
    fitted, negative = int((ends["status"] == "fitted").sum()), int((curves.rows[SHARPNESS] < 0).sum())
    at_zero = (ends["optimizer.name"].isin(OF_SAM) & ends[SAM_EDGE].isna()).any()
    return [
        f"All at {', '.join(setting(*item) for item in curves.shared.items())}." if curves.shared else "",
        "Every line is a run." if len(ends) == len(curves.cells) else "Every line is one seed.",
        "SAM of radius 0 is gradient descent, whose edge is $2/\\eta$." if at_zero else "",
        f"Where the largest eigenvalue is negative ({negative} records), its size is drawn." if negative else "",
        f"Lines of runs that stopped when fitted ({fitted}) end there." if fitted else "",
        f"Diverged or failed runs ({curves.lost}) are left out." if curves.lost else "",
        curves.early,
    ]
