"""The edge of stability: sharpness over steps with 2 / lr and SAM's edge, one panel a cell on shared axes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featlearn.plots.caption import caption, seeds
from featlearn.plots.mesh import geometric, log_ticks
from featlearn.plots.panels import heading, legend_inside, outer_labels, panels
from featlearn.plots.style import INK, PALETTE, label, paper, title
from featlearn.tables.columns import by_optimizer, cell_columns, cell_labels, counted, last_rows, select
from featlearn.tables.edge import OF_SAM, SAM_EDGE, SHARPNESS, STABILITY_EDGE, edge_in_use, require_recorded

MOST = 24  # panels of one figure
LOOKS: Mapping[str, Mapping[str, Any]] = {
    SHARPNESS: {"color": PALETTE[0], "lw": 0.9},
    SAM_EDGE: {"color": PALETTE[3], "lw": 0.9, "ls": (0, (3, 2))},
    STABILITY_EDGE: {"color": INK, "lw": 1.1, "ls": (0, (1, 1.5))},
}


def edge(table: pd.DataFrame, *, optimizer: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the sharpness over steps with 2 / lr and, for SAM and USAM, the edge of the rule; return the Axes.

    `table` has one row per run and recorded step (`featlearn.load`) with the columns `sharpness`, `stability_edge`
    and, for SAM and USAM, `sam_edge`: trackers of these names record them. Every seed is a line. Every cell gets a
    panel on shared axes, in the order of the sweep, and the first panel's Axes is returned (all are in
    `ax.figure.axes`); `ax` takes the rows of one cell. The sharpness is on a logarithm; where it is negative, its size
    is drawn. Raises ValueError, naming the tracker, where one was not recorded.
    """
    curves, lost = _curves(table, optimizer)
    if ax is None:
        return _figure(curves, lost).axes[0]
    if curves["cell"].nunique() > 1:
        raise ValueError(f"one Axes shows one cell: choose of {'; '.join(curves['cell'].unique())}")
    with paper():
        _draw(curves, [ax])
        legend_inside(ax)
    return ax


def edge_figure(
    rows: pd.DataFrame, *, where: Mapping[str, Any] | None = None, optimizer: str | None = None
) -> tuple[Figure, pd.DataFrame]:
    """Draw `edge` with a panel for every cell; return the figure and the curves it shows.

    `where` keeps the rows with these values, and so chooses cells of a sweep.
    """
    curves, lost = _curves(select(rows, where or {}), optimizer)
    return _figure(curves, lost), curves.drop(columns=["run_id", "cell"])


def _curves(rows: pd.DataFrame, optimizer: str | None) -> tuple[pd.DataFrame, int]:
    """Compute what is shown, and how many runs are not: run_id, cell, its varying columns, seed, status, step, values.

    SAM's edge is missing where it is 2 / lr throughout a run, and any edge where a schedule has brought lr to 0.
    """
    rows = pd.concat(by_optimizer(rows.reset_index(drop=True), optimizer).values()).sort_index()  # as in the sweep
    for column in (SHARPNESS, STABILITY_EDGE):
        require_recorded(rows, column)
    used = edge_in_use(rows)
    other = ~np.isclose(used, rows[STABILITY_EDGE], rtol=1e-12, atol=0, equal_nan=True)
    own = pd.Series(other, index=rows.index).groupby(rows["run_id"]).transform("any")
    rows = rows.assign(sam_edge=used.where(own), cell=cell_labels(rows))
    kept = counted(rows)
    _refuse(kept)
    if lost := [cell for cell in rows["cell"].unique() if cell not in {*kept["cell"]}]:
        warnings.warn(f"left out, as every run diverged or failed: {'; '.join(lost)}", stacklevel=2)
    values = kept[[SHARPNESS, STABILITY_EDGE, SAM_EDGE]].replace(np.inf, np.nan)
    head = dict.fromkeys(["run_id", "cell", "optimizer.name", *cell_columns(kept), "seed", "status", "step"])
    return kept[[*head]].join(values), rows["run_id"].nunique() - kept["run_id"].nunique()


def _refuse(kept: pd.DataFrame) -> None:
    """Raise ValueError if there is nothing to draw, or too much for one figure."""
    if kept.empty:
        raise ValueError("no finished run whose sharpness to follow: every run diverged or failed")
    if (n := kept["cell"].nunique()) > MOST:
        raise ValueError(f"{n} cells are more than the {MOST} panels of a figure: choose some, by `where`")


def _figure(curves: pd.DataFrame, lost: int) -> Figure:
    with paper():
        figure, axes = panels(curves["cell"].nunique(), in_a_row=3)
        _draw(curves, axes)
        outer_labels(axes)
        found = {word: handle for ax in axes for handle, word in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=3)
        caption(figure, _notes(curves, lost))
    return figure


def _draw(curves: pd.DataFrame, axes: list[Axes]) -> None:
    """Draw every panel, with the words for its axes."""
    steps = curves["step"]
    log = geometric(steps[steps > 0])
    for ax, (cell, rows) in zip(axes, curves.groupby("cell", sort=False), strict=True):
        for column, look in LOOKS.items():
            _lines(ax, rows, column, look)
        heading(ax, title(str(cell)), seeds(pd.Series([rows["run_id"].nunique()])))
        ax.set(xlabel=label("step"), ylabel=label(SHARPNESS), xscale="log" if log else "linear")
        ax.set_yscale("log")
        ax.margins(x=0)
    log_ticks(axes[0].yaxis)


def _lines(ax: Axes, rows: pd.DataFrame, column: str, look: Mapping[str, Any]) -> None:
    """Draw a line for every run that has the column, the first of them named for the legend."""
    known = rows[rows[column].groupby(rows["run_id"]).transform("any")]
    word = label(column)
    for _, run in known.groupby("run_id", sort=False):
        ax.plot(run["step"], run[column].abs().replace(0, np.nan), label=word, **look)
        word = "_nolegend_"


def _notes(curves: pd.DataFrame, lost: int) -> list[str]:
    """Say what a line is, which edge is not drawn, and which runs end early or are missing."""
    ends = last_rows(curves)
    fitted, negative = int((ends["status"] == "fitted").sum()), int((curves[SHARPNESS] < 0).sum())
    at_zero = (ends["optimizer.name"].isin(OF_SAM) & ends[SAM_EDGE].isna()).any()
    return [
        "Every line is a run." if len(ends) == curves["cell"].nunique() else "Every line is one seed.",
        "SAM of radius 0 is gradient descent, whose edge is $2/\\eta$." if at_zero else "",
        f"Where the largest eigenvalue is negative ({negative} records), its size is drawn." if negative else "",
        f"Lines of runs that stopped when fitted ({fitted}) end there." if fitted else "",
        f"Diverged or failed runs ({lost}) are left out." if lost else "",
    ]
