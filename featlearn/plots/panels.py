"""The sheet a figure is drawn on: panels on shared axes, their headings, their legends."""

from __future__ import annotations

import re

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

COLUMN, PAGE = 3.4, 6.9  # widths in inches of one column of a paper, and of two


def panels(n: int, *, in_a_row: int) -> tuple[Figure, list[Axes]]:
    """Return a figure of n panels on shared axes, the width of a column or of a page."""
    columns = min(n, in_a_row)
    rows = -(-n // columns)
    size = (COLUMN if n == 1 else PAGE, 2.7 * rows + 0.5)
    figure, grid = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    figure.set_layout_engine("constrained", w_pad=0.08)
    axes = list(np.ravel(grid))
    for spare in axes[n:]:
        spare.remove()
    for ax in axes[:n]:
        ax.tick_params(labelbottom=True)
    return figure, axes[:n]


def legend_below(ax: Axes, columns: int = 1) -> None:
    """Put the legend under the axes and their label, where it hides nothing; none if nothing is labelled."""
    if ax.get_legend_handles_labels()[0]:
        below = ax.transAxes + ScaledTranslation(0, -0.36, ax.figure.dpi_scale_trans)
        ax.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            bbox_transform=below,
            handlelength=1.6,
            ncols=columns,
            columnspacing=1.0,
        )


def legend_inside(ax: Axes) -> None:
    """Put the legend on the axes of someone else's figure, which may have no room below."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper right", handlelength=1.6, frameon=True, framealpha=0.85)


def outer_labels(axes: list[Axes]) -> None:
    """Keep the y label of the first panel of a row only."""
    for ax in axes:
        place = ax.get_subplotspec()
        if place is not None and not place.is_first_col():
            ax.set_ylabel("")


def heading(ax: Axes, name: str, count: str) -> None:
    """Write what a panel shows above its left end, and over how many runs above its right; a long name breaks."""
    room = 33 - len(count)
    lines = [""]
    for word in name.split(", "):
        if lines[-1] and _width(f"{lines[-1]}, {word}") > room:
            lines[-1] += ","
            lines.append(word)
        else:
            lines[-1] += ", " * bool(lines[-1]) + word
    if _width(lines[-1]) > room:
        lines.append("")  # the count stands beside the last line
    ax.set_title("\n".join(lines), loc="left")
    ax.set_title(count, loc="right", fontsize=8)


def _width(text: str) -> float:
    """Return the letters of a heading; a symbol is one or two wide, a capital wider than a small letter."""
    letters = re.sub(r"\$[^$]+\$", "xx", text)
    return len(letters) + 0.3 * sum(map(str.isupper, letters))
