"""The sheet a figure is drawn on: panels on shared axes, their headings, their legends."""

from __future__ import annotations

import re

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.transforms import ScaledTranslation

from featlearn.plots.caption import caption

COLUMN, PAGE = 3.4, 6.9  # widths in inches of one column of a paper, and of two
AXES, GAP = 2.5, 0.07  # heights in inches of a lone panel with the words at its axes, and of the space below it


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


def legend_below(ax: Axes) -> None:
    """Put the legend under the axes and their label, where it hides nothing; none if nothing is labelled."""
    if ax.get_legend_handles_labels()[0]:
        below = ax.transAxes + ScaledTranslation(0, -0.36, ax.figure.dpi_scale_trans)
        ax.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            bbox_transform=below,
            handlelength=1.6,
        )


def finish(ax: Axes, sentences: list[str], *, columns: int = 2) -> None:
    """Write the legend and a caption below a lone panel; the sheet grows by what they need, the axes keep their size.

    The legend has as many columns as fit the sheet, up to `columns`. The layout is final: what is drawn later does not
    move it.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    words = caption(figure, sentences)
    legends = _legend(ax, columns, (figure.get_figwidth() - 0.1) * figure.dpi)
    below: list[Artist] = [words, *legends]
    heights = [artist.get_window_extent().height / figure.dpi + GAP for artist in below]
    height = AXES + sum(heights)
    figure.set_figheight(height)
    words.set_position((0.02, GAP / height))
    for legend in legends:
        legend.set_bbox_to_anchor((0.5, (heights[0] + GAP) / height), transform=figure.transFigure)
    figure.set_layout_engine("constrained", w_pad=0.08, rect=(0, sum(heights) / height, 1, AXES / height))
    for artist in below:
        artist.set_in_layout(False)  # the axes are laid out above it, and not narrowed to hold it
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for artist in below:
        artist.set_in_layout(True)


def _legend(ax: Axes, columns: int, width: float) -> list[Legend]:
    """Draw the legend at most `width` pixels wide, in fewer columns, or with broken lines, if it has to be."""
    handles, names = ax.get_legend_handles_labels()
    if not handles:
        return []
    for n, letters in [*((n, 1000) for n in range(columns, 0, -1)), (1, 40), (1, 30), (1, 20)]:
        lines = [_broken(str(name), letters) for name in names]
        look = {"handlelength": 1.6, "columnspacing": 1.0, "borderaxespad": 0.0}
        legend = ax.legend(handles, lines, loc="lower center", ncols=n, **look)
        if legend.get_window_extent().width <= width:
            break
    return [legend]


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
    words = _broken(name, room)
    beside = "" if _width(words.rpartition("\n")[2]) <= room else "\n"  # else the count would stand on the name
    ax.set_title(words + beside, loc="left")
    ax.set_title(count, loc="right", fontsize=8)


def _broken(name: str, letters: int) -> str:
    """Break a name after commas, so that a line has no more letters than these if it can."""
    lines = [""]
    for word in name.split(", "):
        if lines[-1] and _width(f"{lines[-1]}, {word}") > letters:
            lines[-1] += ","
            lines.append(word)
        else:
            lines[-1] += ", " * bool(lines[-1]) + word
    return "\n".join(lines)


def _width(text: str) -> float:
    """Return the letters of a heading; a symbol is one or two wide, a capital wider than a small letter."""
    letters = re.sub(r"\$[^$]+\$", "xx", text)
    return len(letters) + 0.3 * sum(map(str.isupper, letters))
