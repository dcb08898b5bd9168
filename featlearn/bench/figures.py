"""A report as a figure: time of a network against each size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from featlearn.plots.panels import PAGE
from featlearn.plots.style import PALETTE, label, paper

COLUMNS = {
    "dim": "data.dim",
    "n_samples": "data.n_samples",
    "n_filters": "network.n_filters",
    "block": "networks in a block",
}


def draw(report: dict[str, Any], folder: Path) -> list[Path]:
    """Save the figure of a whole report in ``folder``; return its path."""
    path = folder / f"bench_{report['setting']['device']}.png"
    with paper():
        figure = cost_figure(report)
        figure.savefig(path)
        plt.close(figure)
    return [path]


def cost_figure(report: dict[str, Any]) -> Figure:
    """Return a figure with a panel for each size, with the explicit loop where it was measured."""
    figure, grid = plt.subplots(2, 2, figsize=(PAGE, 4.6), sharey=True, layout="constrained")
    for ax, (name, column) in zip(grid.flat, COLUMNS.items(), strict=True):
        _curve(ax, report[name], name, PALETTE[0], "Gram engine")
        ax.set(xscale="log", yscale="log", xlabel=label(column))
        if name != "dim":
            ax.set_xticks([row[name] for row in report[name]], [str(row[name]) for row in report[name]])
            ax.xaxis.set_minor_locator(NullLocator())
    for ax in grid[:, 0]:
        ax.set_ylabel("time of a network (ms)")
    explicit = [row | {"seconds": row["explicit_seconds"]} for row in _fair(report.get("compare", []))]
    _curve(grid[0, 0], explicit, "dim", PALETTE[1], "explicit loop")
    grid[0, 0].legend(loc="center right")
    return figure


def _fair(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with the setting of the size measurements: SAM, float64, with test errors."""
    return [row for row in rows if (row["rule"], row["dtype"]) == ("sam", "float64") and row["n_tests"]]


def _curve(ax: Axes, rows: list[dict[str, Any]], name: str, colour: Any, text: str) -> None:
    """Draw medians, with bars from the smallest to the largest."""
    if not rows:
        return
    median, least, most = ([1e3 * row["seconds"][key] for row in rows] for key in ("median", "min", "max"))
    below, above = ([abs(m - x) for m, x in zip(median, ends, strict=True)] for ends in (least, most))
    ax.errorbar([row[name] for row in rows], median, (below, above), marker="o", ms=3, color=colour, label=text)
