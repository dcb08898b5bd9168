"""A figure as a file, and the numbers it shows beside it."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from featlearn.outputs import clear, refuse_overwriting
from featlearn.plots.style import RC, paper

MAKER = "featlearn"
METADATA: dict[str, dict[str, str | None]] = {  # the maker, and nothing that changes from call to call
    ".png": {"Software": MAKER},
    ".pdf": {"Creator": MAKER, "Producer": None, "CreationDate": None},
    ".svg": {"Creator": MAKER, "Date": None, "Format": None, "Type": None},
}
MARKS = {".png": b"Software\0featlearn", ".pdf": b"/Creator (featlearn)", ".svg": b"<dc:title>featlearn</dc:title>"}


def save(
    figure: Figure, table: pd.DataFrame, path: str | Path, dpi: float | None = None, *, force: bool = False
) -> tuple[Path, Path]:
    """Write a figure as PNG, PDF or SVG, by suffix, and its table as CSV beside it; return both paths.

    `dpi` are the dots of an inch of what is no line or letter, 300 if not given. The same figure gives the same
    bytes: no date, no version, fixed ids. Raises ValueError for another suffix, for no positive dpi, and, unless
    `force`, where other files or links are in the way (see `check_output`), before anything is written.
    """
    path = Path(path)
    check_output(path, force=force)
    if dpi is not None and not 0 < dpi < inf:
        raise ValueError(f"dpi are dots in an inch, above zero, not {dpi:g}")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".csv")
    for file in (path, beside):
        clear(file)
    with paper():
        figure.savefig(path, dpi=dpi or RC["savefig.dpi"], metadata=METADATA[path.suffix.lower()])
    table.to_csv(beside, index=False, lineterminator="\n")
    return path, beside


def check_output(path: str | Path, *, force: bool = False) -> None:
    """Raise ValueError unless the file is to be a PNG, PDF or SVG, and nothing but an earlier figure is in its way.

    A table is overwritten beside an earlier figure of its name, whatever the figure's suffix, and only there. With
    `force` any file and any link is.
    """
    path = Path(path)
    if path.suffix.lower() not in METADATA:
        raise ValueError(f"{path}: a figure is a .png, .pdf or .svg file, not '{path.suffix}'")
    if force:
        return
    refuse_overwriting(path, "figure", lambda content: MARKS[path.suffix.lower()] in content)
    refuse_overwriting(path.with_suffix(".csv"), "table", lambda _: any(_is_figure(file) for file in _siblings(path)))


def _siblings(path: Path) -> tuple[Path, ...]:
    return path, *map(path.with_suffix, MARKS)


def _is_figure(path: Path) -> bool:
    return path.is_file() and MARKS[path.suffix.lower()] in path.read_bytes()
