"""What runs do over the steps, in every cell: median and band over seeds, packed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featlearn.plots.mesh import geometric
from featlearn.reports.labels import words
from featlearn.reports.layout import OPTIMIZER, Layout
from featlearn.reports.moments import phase_ends
from featlearn.reports.numbers import packed
from featlearn.tables.bands import seed_bands
from featlearn.tables.columns import counted

PANELS = (  # the first column that is recorded, with what is drawn beside it
    (("signal_coef_mean", "signal_coef_max"), ()),
    (("noise_coef_pos_mean", "noise_coef_pos_max"), ()),
    (("train_loss",), ()),
    (("test_error", "test_error_true", "test_loss"), ()),
    (("sharpness",), ("sam_edge", "stability_edge")),
)
FEWEST_PANELS = 3  # with fewer of these, others that are recorded
MOST_STEPS, FEWEST_STEPS = 120, 8
MOST_PER_CELL = 40  # steps of a cell, where there are many
MOST_NUMBERS = 1_200_000  # of all curves, for a page below 5 MB
QUANTILES = (0.1, 0.5, 0.9)
FEWEST_RECORDS = 4


def trajectories(layout: Layout, rows: pd.DataFrame, quantities: list[str]) -> dict[str, Any] | None:
    """Return the panels, the steps, and every quantity's curves [optimizer, cell, quantile, step]; None without any.

    `rows` are all recorded steps, with the columns of the axes and the labels. None where runs have few records, which
    make no curve.
    """
    shown = _panels(quantities, rows)
    if not shown or counted(rows).empty or counted(rows).groupby("run_id").size().median() < FEWEST_RECORDS:
        return None
    values = [value for panel in shown for value in (panel["value"], *panel["edges"])]
    recorded = np.unique(counted(rows)["step"].to_numpy(dtype=float))
    steps = thinned(recorded, int(np.prod(layout.sizes)) * len(layout.optimizers) * len(values) * len(QUANTILES))
    curves = _curves(layout, rows, values, steps)
    return {
        "steps": steps.astype(int).tolist(),
        "recorded": len(recorded),
        "log": geometric(steps[steps > 0]),
        "panels": shown,
        "curves": {value: packed(curves[i].reshape(-1, len(steps))) for i, value in enumerate(values)},
        "ends": [{"step": step, "of": whose} for step, whose in phase_ends(layout).items()],
    }


def thinned(recorded: NDArray[np.float64], curves: int) -> NDArray[np.float64]:
    """Return the recorded steps at which so many curves are drawn, the first and the last among them."""
    most = MOST_STEPS if curves * MOST_STEPS < MOST_NUMBERS / 10 else MOST_PER_CELL
    most = max(FEWEST_STEPS, min(most, MOST_NUMBERS // curves))
    places = np.unique(np.linspace(0, len(recorded) - 1, min(most, len(recorded))).round().astype(int))
    return np.asarray(recorded[places])


def _panels(quantities: list[str], rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what every panel shows: a value and its edges."""
    shown = []
    for columns, edges in PANELS:
        if value := next((column for column in columns if column in quantities), None):
            there = [edge for edge in edges if edge in rows and rows[edge].notna().any()]
            shown.append((value, there))
    known = {value for value, _ in shown} | {c for columns, edges in PANELS for c in (*columns, *edges)}
    more: list[tuple[str, list[str]]] = [(value, []) for value in quantities if value not in known]
    shown += more[: max(0, FEWEST_PANELS - len(shown))]
    return [{"value": value, "edges": edges, "label": words(value)} for value, edges in shown]


def _curves(layout: Layout, rows: pd.DataFrame, values: list[str], steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quantiles over seeds, [value, optimizer, cell, quantile, step]."""
    names = [f"q{100 * q:g}" for q in QUANTILES]
    n_cells = int(np.prod(layout.sizes))
    curves = np.full((len(values), len(layout.optimizers), n_cells, len(names), len(steps)), np.nan)
    cells = np.arange(n_cells).reshape(layout.sizes)
    for keys, optimizers in layout.groups():
        runs = rows[rows[OPTIMIZER].isin(optimizers)]
        if counted(runs).empty:
            continue
        table = seed_bands(runs, values, [*keys, OPTIMIZER], steps, QUANTILES)
        drawn = table[names].to_numpy().reshape(-1, len(values), len(steps), len(names)).transpose(1, 0, 3, 2)
        heads = table[[*keys, OPTIMIZER]].iloc[:: len(values) * len(steps)].reset_index(drop=True)
        for optimizer in optimizers:
            of = heads[heads[OPTIMIZER] == optimizer]
            if of.empty:
                continue
            place = layout.dense(of.assign(place=of.index), keys, "place").ravel()
            there = ~np.isnan(place)
            curves[:, layout.optimizers.index(optimizer), cells.ravel()[there]] = drawn[:, place[there].astype(int)]
    return curves
