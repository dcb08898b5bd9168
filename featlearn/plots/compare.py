"""Comparisons: a rule, its flow and its SDE over steps, and below them what the limits miss, paired by seed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featlearn.plots.caption import seeds
from featlearn.plots.comparison import Comparison, comparisons
from featlearn.plots.dynamics import BANDS
from featlearn.plots.mesh import geometric, log_steps, log_ticks, scale_values
from featlearn.plots.panels import (
    STACKED,
    SheetOptions,
    columns_for,
    finish,
    heading,
    legend_inside,
    refuse_sheet,
    stacked,
)
from featlearn.plots.style import LIMITS, label, on_dark, paper, setting, title
from featlearn.tables.columns import COUNTED, select
from featlearn.tables.continuous import FLOW, ORDER, SDE, used_settings
from featlearn.tables.labels import Label, texts


def compare(
    table: pd.DataFrame,
    columns: str | Sequence[str] | None = None,
    *,
    optimizer: str | Collection[str] | None = None,
    band: str = "quantiles",
    log: bool | None = None,
    log_y: bool | None = None,
    ax: Axes | None = None,
    **sheet: Unpack[SheetOptions],
) -> Axes:
    """Draw a rule, its flow and its SDE over steps, and below them their differences; return the upper Axes.

    `table` has one row per run and recorded step (`featlearn.load`), of one cell: select it first. The upper panel has
    means over paths (one per seed) and bands (`quantiles`, 10% to 90%, or `se`); the lower one has flow minus rule and
    SDE minus rule, paired by seed, with the 95% t interval of the mean. Without the rule it is SDE minus flow. Without
    `columns` the train loss is drawn; several columns, or several rules (chosen by `optimizer`), get a pair of panels
    each, and the Axes of the first is returned (all are in `ax.figure.axes`). `ax` takes one rule and one column; the
    lower panel takes a third of its place, and is the last of `ax.figure.axes`. Limits of one kind that differ in
    their integration are lines of their own. Steps are on a logarithm if `log`, by default where they were recorded so;
    values if `log_y`. For `sheet` see `phase_diagram`. Warns where there is nothing to compare a rule with. Raises
    ValueError if cells would be mixed, if there are no two dynamics of any rule, or if they share no seed.
    """
    columns = _as_list(columns)
    shown = comparisons(table, columns, optimizer, band)
    if ax is None:
        return _figure(shown, columns, band, (log, log_y), sheet).axes[0]
    refuse_sheet(sheet)
    if len(shown) * len(columns) > 1:
        rules = ", ".join(comparison.rule for comparison in shown)
        raise ValueError(f"one Axes shows one column of one rule: there are {', '.join(columns)} of {rules}")
    with paper(on_dark(ax)):
        lower = _place_below(ax)
        _draw_pair(shown[0], columns[0], (ax, lower), band, {line: title(line) for line in shown[0].lines})
        _scale([(ax, lower)], shown, (log, log_y))
        legend_inside(ax)
    return ax


def compare_figure(
    rows: pd.DataFrame,
    *,
    columns: str | Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    optimizer: str | Collection[str] | None = None,
    band: str = "quantiles",
    log: bool | None = None,
    log_y: bool | None = None,
    **sheet: Unpack[SheetOptions],
) -> tuple[Figure, pd.DataFrame]:
    """Draw a rule, its flow and its SDE over steps. Below them are their differences, paired by seed.

    Return the figure of `compare` and its curves.

    columns: column to draw; by default the train loss.
    where: keep the runs with this value of a column, or with one of these values.
    optimizer: draw this rule only, with its flow and SDE.
    band: what the bands of the values show: quantiles (10% to 90%), or se (one standard error of the mean either way).
    log: whether the axis of steps is logarithmic; by default where the recorded steps are geometric.
    log_y: whether the axis of the values is logarithmic; that of the differences is linear.
    """
    columns = _as_list(columns)
    shown = comparisons(select(rows, where or {}), columns, optimizer, band)
    table = pd.concat([comparison.table for comparison in shown], ignore_index=True)
    return _figure(shown, columns, band, (log, log_y), sheet), table


def _figure(
    shown: list[Comparison],
    columns: Sequence[str],
    band: str,
    scales: tuple[bool | None, bool | None],
    sheet: SheetOptions,
) -> Figure:
    with paper(sheet.get("dark")):
        alone, several = len(shown) == 1, len(columns) > 1
        n, most = len(shown) * len(columns), min(len(columns), 3) if several else {4: 2}.get(len(shown), 3)
        row = columns_for(n, most, sheet, STACKED)
        figure, pairs = stacked(n, sheet, columns=row, share_y=not several)
        cells = [(comparison, column) for comparison in shown for column in columns]
        for (comparison, column), pair in zip(cells, pairs, strict=True):
            _draw_pair(comparison, column, pair, band, {line: _word(line, alone) for line in comparison.lines})
            if not alone:
                heading(pair[0], title(comparison.rule), "")
        _scale(pairs, shown, scales)
        _label_outer(pairs, row, several)
        figure.align_ylabels()
        lines = sorted((line for c in shown for line in c.lines), key=lambda line: ORDER.index(line.dynamics))
        words = [] if alone else list(dict.fromkeys(_word(line, alone) for line in lines))
        panels, notes = [ax for pair in pairs for ax in pair], _notes(shown, band, scales[1])
        finish(panels, notes, sheet, columns=3, alike=False, order=words)
    return figure


def _as_list(columns: str | Sequence[str] | None) -> list[str]:
    return ["train_loss"] if columns is None else [columns] if isinstance(columns, str) else list(columns)


def _word(line: Label, alone: bool) -> str:
    """Return what the legend calls a line: its title, or its dynamics where headings name the rules."""
    if alone:
        return title(line)
    kind = LIMITS[line.dynamics].strip() or line.dynamics
    return ", ".join([kind, *(setting(key, value) for key, value in line.settings.items())])


def _draw_pair(
    comparison: Comparison, column: str, pair: tuple[Axes, Axes], band: str, words: Mapping[Label, str]
) -> None:
    """Draw one column of one rule: values above, differences below."""
    upper, lower = pair
    comparison.draw_values(upper, column, band, words)
    comparison.draw_differences(lower, column)
    upper.set_ylabel(label(column))
    lower.set(xlabel=label("step"), ylabel="difference")


def _scale(pairs: list[tuple[Axes, Axes]], shown: list[Comparison], scales: tuple[bool | None, bool | None]) -> None:
    """Set the scales of the axes."""
    values = pd.concat([comparison.values for comparison in shown])
    steps = values["step"]
    log = geometric(steps[steps > 0]) if scales[0] is None else scales[0]
    for upper, lower in pairs:
        scale_values(upper, values["mean"], scales[1])
        if scales[1]:
            log_ticks(upper.yaxis)
        for ax in (upper, lower):
            if log:
                log_steps(ax, steps)
            ax.margins(x=0)


def _label_outer(pairs: list[tuple[Axes, Axes]], row: int, several: bool) -> None:
    """Leave the labels at the outer panels; of several columns each has its own."""
    for i, (upper, lower) in enumerate(pairs):
        if i < len(pairs) - row:
            lower.set_xlabel("")
        if i % row:
            lower.set_ylabel("")
            upper.set_ylabel(upper.get_ylabel() if several else "")


def _place_below(ax: Axes) -> Axes:
    """Take a third of an axes' place for a panel below it, on the same steps."""
    place = ax.get_subplotspec()
    if place is None:
        x, y, width, height = ax.get_position().bounds
        lower = ax.figure.add_axes((x, y, width, 0.3 * height), sharex=ax)
        ax.set_position((x, y + 0.35 * height, width, 0.65 * height))
    else:
        grid = place.subgridspec(2, 1, height_ratios=[1.0, STACKED - 1.0])
        ax.set_subplotspec(grid[0])
        lower = ax.figure.add_subplot(grid[1], sharex=ax)
    ax.tick_params(labelbottom=False)
    return lower


def _notes(shown: list[Comparison], band: str, log_y: bool | None) -> list[str]:
    """Return what the marks mean, the settings of the runs, and which runs and points are missing."""
    values, differences, runs = (
        pd.concat([getattr(c, part) for c in shown]) for part in ("values", "differences", "runs")
    )
    several, fitted = values["n"].max() > 1, int((runs["status"] == "fitted").sum())
    lost, infinite = int((~runs["status"].isin(COUNTED)).sum()), int(np.isinf(values["mean"]).sum())
    below = int((values["mean"] <= 0).sum()) if log_y else 0
    return [
        f"Above: means over {seeds(values['n'], 'path')}, one a seed." if several else "Above: one path each.",
        BANDS[band] if several else "",
        f"Below: {_minus(shown)}, {seeds(differences['n'], 'pair')} of one seed each"
        + ("; bands: 95% t intervals of the mean." if differences["n"].max() > 1 else "; one pair has no interval."),
        *_settings(runs),
        f"Runs that stopped when fitted ({fitted}) stay at their last value." if fitted else "",
        f"Diverged or failed runs ({lost}) are left out; so are their partners below." if lost else "",
        f"Infinite means ({infinite}) are gaps." if infinite else "",
        f"Means at or below zero ({below}) have no place on a logarithm." if below else "",
        *dict.fromkeys(c.early for c in shown),
    ]


def _minus(shown: list[Comparison]) -> str:
    """Return which differences are drawn: `flow and SDE minus rule`."""
    there = {line.dynamics for c in shown for line in [*c.lines][1:]}
    kinds = [LIMITS[dynamics].strip() for dynamics in ORDER if dynamics in there]
    firsts = dict.fromkeys(LIMITS[c.first.dynamics].strip() or "the rule" for c in shown)
    return f"{' and '.join(kinds)} minus {' or '.join(firsts)}"


def _settings(runs: pd.DataFrame) -> list[str]:
    """Return the rate and the radius that all runs share, or all of the rules that have one, and the integration."""
    at: dict[str, list[str]] = {}
    for column in (c for c in ("optimizer.lr", "optimizer.rho") if c in runs):
        having = runs[runs[column].notna()]
        if len(found := texts(having[column].drop_duplicates())) == 1:
            names = [title(Label(name)) for name in having["optimizer.name"].drop_duplicates()]
            who = "All" if len(having) == len(runs) else " and ".join(names)
            at.setdefault(who, []).append(setting(column.removeprefix("optimizer."), str(found[0])))
    shared = "; ".join(f"{who} at {', '.join(words)}" for who, words in at.items())
    limits = {LIMITS[d].strip(): _integration(runs[runs["optimizer.dynamics"] == d]) for d in (FLOW, SDE)}
    how = [f"{kind[0].upper()}{kind[1:]}: {words}." for kind, words in limits.items() if words]
    return [f"{shared}." if shared else "", *how]


def _integration(runs: pd.DataFrame) -> str:
    """Return the settings of an integration that matter, several values of one with commas."""
    found = {c.removeprefix("optimizer."): texts(x.drop_duplicates()) for c, x in used_settings(runs).items()}
    return ", ".join(setting(key, ", ".join(map(str, values))) for key, values in found.items() if values)
