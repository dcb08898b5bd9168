"""Dynamics: values over steps, the mean over seeds with a band, one panel an optimizer on shared axes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featlearn.plots.caption import caption, seeds
from featlearn.plots.mesh import geometric, require_numbers
from featlearn.plots.panels import heading, legend_inside, outer_labels, panels
from featlearn.plots.style import GREY, PALETTE, label, paper, title
from featlearn.tables.columns import COUNTED, by_optimizer, counted, last_rows, listed, require, select, varying
from featlearn.tables.times import seed_quantiles

COEFFICIENTS = ("signal_coef_max", "noise_coef_pos_mean")

BANDS = {
    "quantiles": "Bands: 10% to 90% quantiles over seeds.",
    "se": "Bands: one standard error of the mean either way.",
}


@dataclass(frozen=True)
class Curves:
    """One optimizer's curves (column, step, mean, se, n, q10, q50, q90), how its runs ended, SAM's phase."""

    optimizer: str
    table: pd.DataFrame
    status: pd.Series[str]
    phase: tuple[float, ...]

    def draw(self, ax: Axes, band: str, log: bool) -> None:
        """Draw a line and a band for every column, and mark where a SAM phase starts or stops."""
        for colour, (column, curve) in zip(cycle(PALETTE), self.table.groupby("column", sort=False)):
            curve = curve[curve["step"] > 0] if log else curve
            low, high = _band(curve, band)
            ax.plot(curve["step"], curve["mean"], color=colour, label=label(str(column)))
            ax.fill_between(curve["step"], low, high, color=colour, alpha=0.2, linewidth=0)
        for step in self.phase:
            ax.axvline(step, color=GREY, lw=0.8, ls=(0, (4, 3)), zorder=0)
        heading(ax, title(self.optimizer), seeds(self.table["n"]))


def dynamics(
    table: pd.DataFrame,
    columns: str | Sequence[str] | None = None,
    *,
    optimizer: str | None = None,
    band: str = "quantiles",
    log: bool | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw tracked columns over steps, means and bands over the seeds of one cell; return the Axes.

    `table` has one row per run and recorded step (`featlearn.load`), of one cell: select it first. Without `columns`
    it is the largest signal and the mean noise coefficient, or the train loss where there are none.
    Several optimizers get one panel each on shared axes, and the first panel's Axes is returned (all are
    in `ax.figure.axes`); with `ax`, choose one by `optimizer`. `band` is `quantiles` (10% to 90%) or
    `se`. Steps are on a logarithm (without step 0) if `log`, by default where they were recorded so.
    Raises ValueError if cells would be mixed.
    """
    columns = _as_list(columns, table)
    shown = _curves(table, columns, optimizer)
    if ax is None:
        return _figure(shown, columns, band, log).axes[0]
    if len(shown) > 1:
        raise ValueError(f"one Axes shows one optimizer: choose of {', '.join(c.optimizer for c in shown)}")
    with paper():
        _draw(shown, [ax], columns, band, log)
        legend_inside(ax)
    return ax


def dynamics_figure(
    rows: pd.DataFrame,
    *,
    columns: str | Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    optimizer: str | None = None,
    band: str = "quantiles",
    log: bool | None = None,
) -> tuple[Figure, pd.DataFrame]:
    """Draw `dynamics` with a panel for every optimizer; return the figure and the curves it shows.

    `where` keeps the rows with these values, and so chooses the cell of a sweep.
    """
    columns = _as_list(columns, rows)
    shown = _curves(select(rows, where or {}), columns, optimizer)
    table = pd.concat([curves.table.assign(optimizer=curves.optimizer) for curves in shown], ignore_index=True)
    return _figure(shown, columns, band, log), table


def _curves(rows: pd.DataFrame, columns: Sequence[str], optimizer: str | None) -> list[Curves]:
    """Compute what every panel shows."""
    require(rows, columns)
    require_numbers(rows, columns)
    shown, lost = [], []
    for name, part in by_optimizer(rows, optimizer).items():
        _refuse_cells(part)
        if counted(part).empty:
            lost.append(name)
            continue
        group = part.assign(optimizer=name)
        tables = {c: seed_quantiles(group, c, "optimizer").drop(columns="optimizer") for c in columns}
        table = pd.concat(tables, names=["column"]).reset_index("column").reset_index(drop=True)
        shown.append(Curves(name, table, last_rows(part)["status"], _phase(part)))
    if not shown:
        raise ValueError(f"no finished run in which to follow {columns[0]}: every run diverged or failed")
    if lost:
        warnings.warn(f"left out, as every run diverged or failed: {', '.join(lost)}", stacklevel=2)
    return shown


def _figure(shown: list[Curves], columns: Sequence[str], band: str, log: bool | None) -> Figure:
    with paper():
        figure, axes = panels(len(shown), in_a_row=3)
        _draw(shown, axes, columns, band, log)
        outer_labels(axes)
        if len(columns) > 1:
            handles, words = axes[0].get_legend_handles_labels()
            figure.legend(handles, words, loc="outside upper center", ncols=3)
        caption(figure, ["Lines: means over seeds.", BANDS[band], *_notes(shown)])
    return figure


def _draw(shown: list[Curves], axes: list[Axes], columns: Sequence[str], band: str, log: bool | None) -> None:
    """Draw every panel, with the words for its axes."""
    steps = shown[0].table["step"]
    log = geometric(steps[steps > 0]) if log is None else log
    for curves, ax in zip(shown, axes, strict=True):
        curves.draw(ax, band, log)
        ax.set(xlabel=label("step"), xscale="log" if log else "linear", ylabel=_together(columns))
        ax.margins(x=0)


def _band(curve: pd.DataFrame, band: str) -> tuple[pd.Series[float], pd.Series[float]]:
    if band not in BANDS:
        raise ValueError(f"no band {band!r}; there are {', '.join(BANDS)}")
    if band == "quantiles":
        return curve["q10"], curve["q90"]
    return curve["mean"] - curve["se"], curve["mean"] + curve["se"]


def _as_list(columns: str | Sequence[str] | None, rows: pd.DataFrame) -> list[str]:
    if columns is None:
        return list(COEFFICIENTS) if set(COEFFICIENTS) <= set(rows) else ["train_loss"]
    return [columns] if isinstance(columns, str) else list(columns)


def _together(columns: Sequence[str]) -> str:
    """Return one word for what the columns measure."""
    if len(columns) == 1:
        return label(columns[0])
    return "coefficient" if all("coef" in column for column in columns) else "value"


def _refuse_cells(rows: pd.DataFrame) -> None:
    """Raise ValueError if one optimizer's runs differ in more than the seed."""
    free = [c for c in varying(rows) if c != "seed"]
    if free:
        takes = "; ".join(f"{c} takes {listed(rows[c])}" for c in free)
        raise ValueError(f"curves of several cells would be mixed: {takes}. Choose one cell, by `where`")


def _phase(rows: pd.DataFrame) -> tuple[float, ...]:
    """Return the steps at which a SAM phase starts or stops, within the run."""
    ends = [rows[c].iloc[0] for c in ("optimizer.start", "optimizer.stop") if c in rows]
    return tuple(float(end) for end in ends if pd.notna(end) and 0 < end < rows["step"].max())


def _notes(shown: list[Curves]) -> list[str]:
    """Explain the marks that are there, and which runs are not."""
    status = pd.concat([curves.status for curves in shown])
    fitted, lost = int((status == "fitted").sum()), int((~status.isin(COUNTED)).sum())
    return [
        "Dashed: SAM starts or stops." if any(curves.phase for curves in shown) else "",
        f"Runs that stopped when fitted ({fitted}) stay at their last value." if fitted else "",
        f"Diverged or failed runs ({lost}) are left out." if lost else "",
    ]
