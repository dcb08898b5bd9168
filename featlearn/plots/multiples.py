"""Small multiples: panels on shared axes, one for every value of a further column, a row for every optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featlearn.plots.mesh import hatch
from featlearn.plots.panels import PAGE, SheetOptions, panels
from featlearn.plots.style import setting, title
from featlearn.tables.labels import Label

T = TypeVar("T")
MOST = 12  # panels that a page holds
IN_A_ROW = {5: 3, 6: 3, 9: 3}  # panels of one optimizer; four of any other number
NARROW = 1.05  # inches of a panel in a row of many


def headed(
    names: Sequence[Label],
    shown: Sequence[T],
    by: Sequence[str],
    sheet: SheetOptions,
    named: Callable[[Label], str] = title,
) -> tuple[Figure, list[Axes], list[tuple[Axes, T]]]:
    """Return a figure of panels with headings, all its panels, and every panel with what is shown in it.

    A column is a value of the first column in `by`, a row what else a name says, as `named` spells it; a single row is
    wrapped, and on a sheet too narrow for its columns they become rows. A panel for which there is nothing is hatched.
    Raises ValueError for more panels than a page holds.
    """
    key = by[0].removeprefix("optimizer.")
    places = {(without(name, by[:1]), _heading(name, key)): part for name, part in zip(names, shown, strict=True)}
    rows, values = list(dict.fromkeys(row for row, _ in places)), list(dict.fromkeys(value for _, value in places))
    if (n := len(rows) * len(values)) > MOST:
        what = f"choose values of {by[0]} by `where`" + ", or an optimizer" * (len(rows) > 1)
        raise ValueError(f"{n} panels are more than the {MOST} of a figure: {what}")
    turned = len(values) * NARROW > (sheet.get("size") or (PAGE,))[0] and 1 < len(rows) < len(values)
    if len(rows) == 1:
        figure, axes = panels(n, sheet, in_a_row=IN_A_ROW.get(n, 4))
    else:
        figure, axes = panels(n, sheet, in_a_row=len(rows) if turned else len(values), fixed=True)
    order = [(r, v) for v in values for r in rows] if turned else [(r, v) for r in rows for v in values]
    last = ""
    for ax, (row, value) in zip(axes, order, strict=True):
        above, own = (value, named(row)) if turned else (named(row), value)
        ax.set_title(own if above == last else f"{above}\n{own}", loc="left")
        last = above
        if (row, value) not in places:
            hatch(ax)
    return figure, axes, [(ax, places[place]) for ax, place in zip(axes, order, strict=True) if place in places]


def as_list(columns: str | Sequence[str] | None) -> list[str]:
    """Return the columns that are given, none or one or several, as a list."""
    return [] if columns is None else [columns] if isinstance(columns, str) else list(columns)


def without(label: Label, by: Iterable[str]) -> Label:
    """Return a label without the values of the columns `by`."""
    keys = {end for c in by for end in (c.removeprefix("optimizer."), f"{c.removeprefix('optimizer.')}.theory")}
    return Label(label.name, {key: value for key, value in label.settings.items() if key not in keys})


def told_apart(label: Label, by: Sequence[str]) -> dict[str, str | None]:
    """Return the optimizer of a label and the values of the columns `by`, for a table."""
    keys = {c: c.removeprefix("optimizer.") for c in by}
    return {"optimizer": str(without(label, by)), **{c: label.settings.get(key) for c, key in keys.items()}}


def _heading(label: Label, key: str) -> str:
    """Return the value of a panel as `n = 20`; an optimizer that lacks the key has none."""
    there = next((k for k in (key, f"{key}.theory") if k in label.settings), None)
    return setting(there, label.settings[there]) if there else f"no {key}"
