"""Dynamics: means over seeds with bands, over steps; one panel per optimizer on shared axes, or one for all."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featlearn.plots.caption import ends_early, seeds, settings
from featlearn.plots.mesh import geometric, log_steps, require_numbers, scale_values
from featlearn.plots.multiples import as_list, headed, told_apart
from featlearn.plots.panels import SheetOptions, finish, heading, legend_inside, new_word, panels, refuse_sheet
from featlearn.plots.style import DASHES, fresh, label, marker, on_dark, page, paper, title
from featlearn.tables.columns import (
    COUNTED,
    by_optimizer,
    counted,
    last_rows,
    listed,
    of_optimizer,
    require,
    select,
    varying,
)
from featlearn.tables.intervals import limits
from featlearn.tables.labels import Label
from featlearn.tables.times import seed_quantiles

COEFFICIENTS = (  # of signal and noise: both means, both maxima, or one of each where nothing else was recorded
    ("signal_coef_mean", "noise_coef_pos_mean"),
    ("signal_coef_max", "noise_coef_pos_max"),
    ("signal_coef_max", "noise_coef_pos_mean"),
)

BANDS = {
    "quantiles": "Bands: 10% to 90% quantiles over seeds.",
    "se": "Bands: one standard error of the mean either way.",
}


@dataclass(frozen=True)
class Curves:
    """One optimizer's curves (column, step, mean, se, n, q10, q50, q90), how its runs ended, SAM's phase."""

    optimizer: Label
    table: pd.DataFrame
    status: pd.Series[str]
    phase: tuple[float, ...]
    early: str  # where its records end, if they end long before its runs
    settings: str  # the rate and the radius that are constant in the figure

    def draw(self, ax: Axes, styles: Sequence[Mapping[str, Any]], words: Mapping[str, str], band: str) -> None:
        """Draw a line and a band for every column, each in its style, and mark where a SAM phase starts or stops."""
        for (column, curve), style in zip(self.table.groupby("column", sort=False), cycle(styles)):
            low, high = band_ends(curve, str(column), band)
            mean = curve["mean"].where(np.isfinite(curve["mean"]))
            ax.plot(curve["step"], mean, label=new_word(ax, words[str(column)]), **style)
            ax.fill_between(curve["step"], low, high, color=style["color"], alpha=0.2, linewidth=0)
        for step in self.phase:
            ax.axvline(step, color=page().grey, lw=0.8, ls=(0, (4, 3)), zorder=0)


def dynamics(
    table: pd.DataFrame,
    columns: str | Sequence[str] | None = None,
    *,
    by: str | Sequence[str] | None = None,
    optimizer: str | Collection[str] | None = None,
    band: str = "quantiles",
    log: bool | None = None,
    log_y: bool | None = None,
    overlay: bool = False,
    ax: Axes | None = None,
    **sheet: Unpack[SheetOptions],
) -> Axes:
    """Draw tracked columns over steps, means and bands over the seeds of one cell; return the Axes.

    `table` has one row per run and recorded step (`featlearn.load`), of one cell: select it first. Without `columns`
    it is the mean signal and the mean noise coefficient, or the train loss where there are none.
    Several optimizers get one panel each on shared axes, and the first panel's Axes is returned (all are
    in `ax.figure.axes`); with `overlay` they share one panel, a colour each. The values of a column
    `by`, such as `network.loss`, are kept apart like optimizers. With `ax`, choose one by `optimizer`, or
    overlay them; on one that holds curves, these take other colours. `band` is `quantiles` (10% to 90%) or `se`. Steps
    are on a logarithm, with step 0 at its left, if `log`, by default where they were recorded so; values if `log_y`.
    For `sheet` see `phase_diagram`. Warns where the records end long before the runs do. Raises ValueError if cells
    would be mixed.
    """
    columns = _as_list(columns, table)
    shown = _curves(table, columns, optimizer, band, by := as_list(by))
    scales = log, log_y
    if ax is None:
        return _figure(shown, columns, band, scales, overlay, sheet, by).axes[0]
    refuse_sheet(sheet)
    if len(shown) > 1 and not overlay:
        raise ValueError(f"one Axes shows one optimizer: choose of {', '.join(c.optimizer for c in shown)}, or overlay")
    with paper(on_dark(ax)):
        _draw_over(shown, ax, columns, band)
        _scale([ax], shown, columns, scales)
        legend_inside(ax)
    return ax


def dynamics_figure(
    rows: pd.DataFrame,
    *,
    columns: str | Sequence[str] | None = None,
    by: str | Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    optimizer: str | Collection[str] | None = None,
    band: str = "quantiles",
    log: bool | None = None,
    log_y: bool | None = None,
    overlay: bool = False,
    **sheet: Unpack[SheetOptions],
) -> tuple[Figure, pd.DataFrame]:
    """Draw recorded values over steps, one panel per optimizer. Means and bands are over the seeds of one cell.

    Return the figure of `dynamics` and its curves.

    columns: column to draw; by default the mean coefficients of signal and noise, or the train loss.
    by: column whose values get panels, or lines, of their own.
    where: keep the runs with this value of a column, or with one of these values.
    optimizer: draw this optimizer only.
    band: what the bands show: quantiles (10% to 90%), or se (one standard error of the mean either way).
    log: whether the axis of steps is logarithmic; by default where the recorded steps are geometric.
    log_y: whether the vertical axis is logarithmic.
    overlay: draw all optimizers in one panel.
    """
    columns = _as_list(columns, rows)
    shown = _curves(select(rows, where or {}), columns, optimizer, band, by := as_list(by))
    table = pd.concat([curves.table.assign(**told_apart(curves.optimizer, by)) for curves in shown], ignore_index=True)
    return _figure(shown, columns, band, (log, log_y), overlay, sheet, by), table


def _curves(
    rows: pd.DataFrame,
    columns: Sequence[str],
    optimizer: str | Collection[str] | None,
    band: str,
    by: Sequence[str],
) -> list[Curves]:
    """Compute what is shown of every optimizer."""
    if band not in BANDS:
        raise ValueError(f"no band {band!r}; there are {', '.join(BANDS)}")
    require(rows, columns)
    shown, lost = [], []
    constant = settings(of_optimizer(last_rows(rows), optimizer))
    for name, part in by_optimizer(rows, optimizer, by=by).items():
        require_numbers(part, columns)
        refuse_cells(part, "Choose one cell, by `where`, or keep them apart, by `by`")
        if counted(part).empty:
            lost.append(name)
            continue
        tables = {c: seed_quantiles(part, c, "optimizer.name").drop(columns="optimizer.name") for c in columns}
        table = pd.concat(tables, names=["column"]).reset_index("column").reset_index(drop=True)
        shown.append(Curves(name, table, last_rows(part)["status"], _phase(part), ends_early(part), constant))
    if not shown:
        raise ValueError(f"no finished run in which to follow {columns[0]}: every run diverged or failed")
    if lost:
        warnings.warn(f"left out, as every run diverged or failed: {', '.join(lost)}", stacklevel=3)
    for early in dict.fromkeys(curves.early for curves in shown if curves.early):
        warnings.warn(early, stacklevel=3)
    return shown


def _figure(
    shown: list[Curves],
    columns: Sequence[str],
    band: str,
    scales: tuple[bool | None, bool | None],
    overlay: bool,
    sheet: SheetOptions,
    by: Sequence[str],
) -> Figure:
    with paper(sheet.get("dark")):
        many = bool(by) and not overlay
        if many:
            figure, axes, pairs = headed([curves.optimizer for curves in shown], shown, by, sheet)
        else:
            figure, axes = panels(1 if overlay else len(shown), sheet)
            pairs = [] if overlay else [*zip(axes, shown, strict=True)]
        if overlay:
            _draw_over(shown, axes[0], columns, band)
            axes[0].set_title(seeds(pd.concat([curves.table["n"] for curves in shown])), loc="right", fontsize=8)
        else:
            for ax, curves in pairs:
                styles = [{"color": colour, "ls": dash} for colour, dash in zip(fresh(ax), cycle(DASHES))]
                curves.draw(ax, styles, {c: label(c) for c in columns}, band)
                if not many:
                    heading(ax, title(curves.optimizer), seeds(curves.table["n"]))
        _scale(axes, shown, columns, scales)
        finish(axes, _notes(shown, band, scales[1], overlay, many), sheet, columns=3 if len(axes) > 1 else 2)
    return figure


def _draw_over(shown: list[Curves], ax: Axes, columns: Sequence[str], band: str) -> None:
    """Draw optimizers into one panel: one colour per optimizer and one dash per column, which the legend names apart.

    A single optimizer has one colour per column.
    """
    alone, several = len(shown) == 1, len(columns) > 1
    for curves, colour in zip(shown, cycle(colours := fresh(ax))):
        name = title(curves.optimizer)
        styles: list[Mapping[str, Any]] = [{"color": c, "ls": dash} for c, dash in zip(colours, cycle(DASHES))]
        words = {column: f"{name}: {label(column)}" if several else name for column in columns}
        if not alone:
            marked = {"color": colour, "marker": marker(colour), "ms": 3.5, "markevery": 0.15}
            styles = [{**marked, "ls": dashes} for dashes in DASHES]
            words = dict.fromkeys(columns, "_nolegend_") | {columns[0]: name}
        curves.draw(ax, styles, words, band)
    if several and not alone:
        for column, dash in zip(columns, cycle(DASHES)):
            if label(column) not in ax.get_legend_handles_labels()[1]:
                ax.plot([], [], color=page().grey, ls=dash, label=label(column))


def _scale(
    axes: list[Axes], shown: list[Curves], columns: Sequence[str], scales: tuple[bool | None, bool | None]
) -> None:
    """Set the scales and the labels of the axes."""
    log, log_y = scales
    table = pd.concat([curves.table for curves in shown])
    steps = table["step"]
    log = geometric(steps[steps > 0]) if log is None else log
    for ax in axes:
        ax.set(xlabel=label("step"), ylabel=_together(columns))
        scale_values(ax, table["mean"], log_y)
        if log:
            log_steps(ax, steps)
        ax.margins(x=0)


def band_ends(curve: pd.DataFrame, column: str, band: str) -> tuple[pd.Series[float], pd.Series[float]]:
    """Return the ends of a band, clipped to the possible values of the column."""
    low, high = limits(column)
    if band == "quantiles":
        return curve["q10"], curve["q90"]
    return (curve["mean"] - curve["se"]).clip(lower=low), (curve["mean"] + curve["se"]).clip(upper=high)


def _as_list(columns: str | Sequence[str] | None, rows: pd.DataFrame) -> list[str]:
    if columns is None:
        return next((list(pair) for pair in COEFFICIENTS if {*pair} <= {*rows}), ["train_loss"])
    return [columns] if isinstance(columns, str) else list(columns)


def _together(columns: Sequence[str]) -> str:
    """Return the label of an axis that shows all these columns."""
    if len(columns) == 1:
        return label(columns[0])
    return "coefficient" if all("coef" in column for column in columns) else "value"


def refuse_cells(rows: pd.DataFrame, advice: str = "Choose one cell, by `where`") -> None:
    """Raise ValueError if one optimizer's runs differ in more than the seed."""
    free = [c for c in varying(rows) if c != "seed"]
    if free:
        takes = "; ".join(f"{c} takes {listed(rows[c])}" for c in free)
        raise ValueError(f"curves of several cells would be mixed: {takes}. {advice}")


def _phase(rows: pd.DataFrame) -> tuple[float, ...]:
    """Return the steps at which a SAM phase starts or stops, within the run."""
    ends = [rows[c].iloc[0] for c in ("optimizer.start", "optimizer.stop") if c in rows]
    return tuple(float(end) for end in ends if pd.notna(end) and 0 < end < rows["step"].max())


def _notes(shown: list[Curves], band: str, log_y: bool | None, overlay: bool, many: bool) -> list[str]:
    """Return what the marks mean, and which runs and points are missing."""
    status, table = (pd.concat([getattr(curves, part) for curves in shown]) for part in ("status", "table"))
    fitted, lost = int((status == "fitted").sum()), int((~status.isin(COUNTED)).sum())
    infinite, below = int(np.isinf(table["mean"]).sum()), int((table["mean"] <= 0).sum()) if log_y else 0
    return [
        f"Lines: means over {seeds(table['n']) if many else 'seeds'}."
        if table["n"].max() > 1
        else "Lines: one run each.",
        BANDS[band] if table["n"].max() > 1 else "",
        "Dashed upright: SAM starts or stops." if any(curves.phase for curves in shown) else "",
        shown[0].settings,
        f"Runs that stopped when fitted ({fitted}) stay at their last value." if fitted else "",
        f"Diverged or failed runs ({lost}) are left out." if lost else "",
        f"Infinite means ({infinite}) are gaps." if infinite else "",
        f"Means at or below zero ({below}) have no place on a logarithm." if below else "",
        *dict.fromkeys(curves.early for curves in shown),
    ]
