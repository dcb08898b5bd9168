"""The sheet a figure is drawn on: panels on shared axes, their headings, and one legend, caption and set of labels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecBase
from matplotlib.legend import Legend

from featlearn.plots.caption import caption

ROOM = 1.8, 1.3  # inches that a panel should have, in width and in height
COLUMN, PAGE = 3.4, 6.9  # widths in inches of one column of a paper, and of two
HEIGHTS = {1: 2.5, 2: 2.5, 3: 2.1, 4: 2.1}  # inches of a row of so many panels, with its labels
GAP = 0.07  # inches, below caption and legend
STACK = 1.9  # inches of each of several panels above each other
STACKED = 1.5  # of the height of a panel, with the lower panel below it
LEAST = 1.0  # inches of a panel with its labels, in width and in height


class SheetOptions(TypedDict, total=False):
    """Options of every figure that is drawn on a sheet of its own.

    title: text above the figure.
    size: width and height in inches, or the width alone; by default the contents decide.
    dark: draw for a dark page, in light ink on a dark ground.
    caption: whether a text below the figure explains it; by default one does.
    kept: the first sentence of the caption, which names the conditions that chose the rows.
    """

    title: str | None
    size: tuple[float, float | None] | None
    dark: bool
    caption: bool
    kept: str


def columns_for(n: int, most: int, sheet: SheetOptions, height: float = 1.0) -> int:
    """Return how many of n panels stand in a row: at most so many, fewer where the sheet is narrow.

    Where the sheet is not high enough for that many rows of such a height, relative to a panel's, there are more.
    """
    size = sheet.get("size")
    if size is None:
        return min(n, most)
    for columns in range(max(1, min(n, most, int(size[0] / ROOM[0]))), min(n, most)):
        if size[1] is None or -(-n // columns) * height * ROOM[1] < size[1] - 1.0:  # an inch for legend and caption
            return columns
    return min(n, most)


def panels(
    n: int, sheet: SheetOptions | None = None, *, in_a_row: int | None = None, fixed: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure of n panels on shared axes, as wide as its sheet, a column or a page; at most so many in a row.

    Just so many with `fixed`, whatever the width, and as high as suits it. Tick labels stand at the outer panels.
    """
    sheet = sheet or {}
    most = min(n, in_a_row or {4: 2}.get(n, 3))
    columns = most if fixed else columns_for(n, most, sheet)
    rows = -(-n // columns)
    width = (sheet.get("size") or (COLUMN if n == 1 else PAGE,))[0]
    height = (
        min(0.8 * width / columns + 0.35, HEIGHTS[3])
        if fixed
        else HEIGHTS[columns]
        if rows == 1 or columns > 1
        else STACK
    )
    figure, grid = plt.subplots(rows, columns, figsize=(width, height * rows), sharex=True, sharey=True, squeeze=False)
    figure.set_layout_engine("constrained", w_pad=0.08)
    axes = list(np.ravel(grid))
    for spare in axes[n:]:
        spare.remove()
    for ax in axes[:n][-columns:]:
        ax.tick_params(labelbottom=True)
    return figure, axes[:n]


def stacked(n: int, sheet: SheetOptions, *, columns: int, share_y: bool) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Return a figure of n panels, each above a lower one of its own, and the pairs; steps are shared by all.

    The panels of a row share their values with `share_y`.
    """
    rows = -(-n // columns)
    width = (sheet.get("size") or (COLUMN if columns == 1 else PAGE,))[0]
    size = (width, STACKED * HEIGHTS[columns] * rows)
    figure, grid = plt.subplots(
        *(2 * rows, columns),
        figsize=size,
        sharex=True,
        sharey="row" if share_y else False,
        squeeze=False,
        height_ratios=[1.0, STACKED - 1.0] * rows,
    )
    pairs = [(grid[2 * (i // columns), i % columns], grid[2 * (i // columns) + 1, i % columns]) for i in range(n)]
    for spare in grid[-2:, (n - 1) % columns + 1 :].flat:
        spare.remove()
    for _, lower in pairs[-columns:]:
        lower.tick_params(labelbottom=True)
    return figure, pairs


def colour_bar(mesh: ScalarMappable, axes: list[Axes], label: str) -> Colorbar:
    """Draw the one colour bar of all panels: in the place that they leave free, or else at their right."""
    figure, grid = _figure(axes), _grid(axes)
    free = len(axes) % grid.ncols
    if not free:
        return figure.colorbar(mesh, ax=axes, label=label, aspect=30, pad=0.02)
    place = figure.add_subplot(grid[grid.nrows - 1, free:])
    place.set_axis_off()
    cax = place.inset_axes((0.06, 0.5, 0.88, 0.07))
    return figure.colorbar(mesh, cax=cax, label=label, orientation="horizontal")


def finish(
    axes: list[Axes],
    sentences: list[str],
    sheet: SheetOptions,
    *,
    columns: int = 2,
    alike: bool = True,
    order: Sequence[str] = (),
) -> None:
    """Write one legend and a caption below all panels, a title above; the sheet grows to hold them.

    The panels keep their height unless the sheet has a size of its own. The legend has as many columns as fit, up to
    `columns`, its entries in this `order`, or as they were drawn. What all panels share is written once: an entry of
    the legend and, where they are `alike`, the labels of the axes. The layout is final: what is drawn later does not
    move it. Raises ValueError if the size is too small for the panels.
    """
    figure, grid, size = _figure(axes), _grid(axes), sheet.get("size")
    tall = figure.get_figheight()
    if size is not None:
        figure.set_figwidth(size[0])
    words = [caption(figure, [sheet.get("kept", ""), *sentences])] if sheet.get("caption", True) else []
    legends = _legend(axes, columns, order, (figure.get_figwidth() - 0.1) * figure.dpi)
    below: list[Artist] = [*words, *legends]
    heights = [artist.get_window_extent().height / figure.dpi + GAP for artist in below]
    above = 0.3 if sheet.get("title") else 0.0
    height = tall + sum(heights) + above if size is None or size[1] is None else size[1]
    space = figure.get_figwidth() / grid.ncols, (height - sum(heights) - above) / grid.nrows
    if min(space) < LEAST:
        least = LEAST * grid.ncols, math.ceil(10 * (LEAST * grid.nrows + sum(heights) + above)) / 10
        found = f"{figure.get_figwidth():g}x{height:g}"
        raise ValueError(f"a figure of {found} inches is too small for its panels: at least {least[0]:g}x{least[1]:g}")
    figure.set_figheight(height)
    if title := sheet.get("title"):
        figure.suptitle(title.replace("$", r"\$"), fontsize=10)
    for text in words:
        text.set_position((0.02, GAP / height))
    for legend in legends:
        legend.set_bbox_to_anchor((0.5, (sum(heights[: len(words)]) + GAP) / height), transform=figure.transFigure)
    x, y = axes[0].get_xlabel(), axes[0].get_ylabel()
    if alike:
        _label_outer(axes, y, grid.ncols)
    _lay_out(figure, below, sum(heights) / height)
    if _broken_labels(figure):
        _lay_out(figure, below, sum(heights) / height)
    if alike and len(axes) > 1:
        _label_once(axes, x, y)


def _label_outer(axes: list[Axes], y: str, columns: int) -> None:
    """Leave the labels of the axes at the outer panels only."""
    for ax in axes[:-columns]:
        ax.set_xlabel("")
    for i, ax in enumerate(axes):
        ax.set_ylabel(y if i % columns == 0 else "")


def _lay_out(figure: Figure, below: list[Artist], bottom: float) -> None:
    """Lay out the panels above the legend and the caption, whose widths do not count; the layout is final."""
    figure.set_layout_engine("constrained", w_pad=0.08, rect=(0, bottom, 1, 1 - bottom))
    for artist in below:
        artist.set_in_layout(False)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for artist in below:
        artist.set_in_layout(True)


def _broken_labels(figure: Figure) -> bool:
    """Break the labels of vertical axes that leave the figure, before a bracket; return whether any does."""
    boxes = {ax: ax.yaxis.label.get_window_extent() for ax in figure.axes}
    long = [ax for ax, box in boxes.items() if box.y0 < figure.bbox.y0 or box.y1 > figure.bbox.y1]
    for ax in long:
        ax.set_ylabel(ax.get_ylabel().replace(" (", "\n(", 1))
    return bool(long)


def _label_once(axes: list[Axes], x: str, y: str) -> None:
    """Write the labels of both axes once, at the middle of all panels instead of at the outer ones."""
    figure, to_sheet = _figure(axes), _figure(axes).transFigure.inverted()
    first, boxes = axes[0], [ax.get_position() for ax in axes]
    under = axes[-1].xaxis.label.get_window_extent().transformed(to_sheet).y1
    beside = first.yaxis.label.get_window_extent().transformed(to_sheet).x1
    for ax in axes:
        ax.set(xlabel="", ylabel="")
    first.set(xlabel=x, ylabel=y)
    middle = min(box.x0 for box in boxes) + max(box.x1 for box in boxes)
    height = min(box.y0 for box in boxes) + max(box.y1 for box in boxes)
    first.xaxis.set_label_coords(middle / 2, under, transform=figure.transFigure)
    first.yaxis.set_label_coords(beside, height / 2, transform=figure.transFigure)


def _legend(axes: list[Axes], columns: int, order: Sequence[str], width: float) -> list[Legend]:
    """Draw one legend at most `width` pixels wide, in fewer columns, or with broken lines, if it has to be."""
    found = {word: handle for ax in axes for handle, word in zip(*ax.get_legend_handles_labels(), strict=True)}
    found = {word: found[word] for word in order or found}
    if not found:
        return []
    place = _figure(axes) if len(axes) > 1 else axes[0]
    legend = None
    for n, letters in [*((n, 1000) for n in range(columns, 0, -1)), (1, 40), (1, 30), (1, 20)]:
        if legend is not None:
            legend.remove()
        lines = [_broken(word, letters) for word in found]
        style = {"handlelength": 1.6, "columnspacing": 1.0, "borderaxespad": 0.0}
        legend = place.legend(list(found.values()), lines, loc="lower center", ncols=n, **style)
        if legend.get_window_extent().width <= width:
            break
    return [legend] if legend else []


def refuse_sheet(sheet: SheetOptions) -> None:
    """Raise ValueError if options of a sheet are given for a caller's axes."""
    if given := [name for name, value in sheet.items() if value is not None and (name, value) != ("dark", False)]:
        raise ValueError(f"{', '.join(given)}: options of a figure of its own, not to be given with ax")


def legend_inside(ax: Axes) -> None:
    """Put the legend inside a caller's axes, whose figure may have no space below them."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper right", handlelength=1.6, frameon=True, framealpha=0.85)


def new_word(ax: Axes, words: str) -> str:
    """Return a legend entry that differs from those of the axes: numbered if it is taken."""
    taken, n = ax.get_legend_handles_labels()[1], 2
    new = words
    while new in taken:
        new, n = f"{words} ({n})", n + 1
    return new


def heading(ax: Axes, name: str, count: str) -> None:
    """Write a panel's name above its left end and its number of runs above its right; a long name is broken."""
    figure, place = _figure([ax]), ax.get_subplotspec()
    share = figure.get_figwidth() / (place.get_gridspec().ncols if place else 1)
    width = int(33 * min(share / 2.3, 1.0)) - len(count)
    words = _broken(name, width)
    beside = "" if _width(words.rpartition("\n")[2]) <= width else "\n"  # else the count would overlap the name
    ax.set_title(words + beside, loc="left")
    ax.set_title(count, loc="right", fontsize=8)


def _figure(axes: list[Axes]) -> Figure:
    figure = axes[0].get_figure(root=True)
    assert figure is not None
    return figure


def _grid(axes: list[Axes]) -> GridSpecBase:
    place = axes[0].get_subplotspec()
    assert place is not None
    return place.get_gridspec()


def _broken(name: str, letters: int) -> str:
    """Break a name after commas into lines of at most so many letters, where the parts allow it."""
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
