"""A figure as a file, and the numbers it shows beside it."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from featlearn.plots.style import RC, paper

NO_METADATA: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    ".svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
}


def save(figure: Figure, table: pd.DataFrame, path: str | Path, dpi: float | None = None) -> tuple[Path, Path]:
    """Write a figure as PNG, PDF or SVG, by suffix, and its table as CSV beside it; return both paths.

    `dpi` are the dots of an inch of what is no line or letter, 300 if not given. The same figure gives the same
    bytes: no date, no version, fixed ids. Raises ValueError for another suffix, or no positive dpi, before anything
    is written.
    """
    path = Path(path)
    check_suffix(path)
    if dpi is not None and not 0 < dpi < inf:
        raise ValueError(f"dpi are dots in an inch, above zero, not {dpi:g}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with paper():
        figure.savefig(path, dpi=dpi or RC["savefig.dpi"], metadata=NO_METADATA[path.suffix.lower()])
    beside = path.with_suffix(".csv")
    table.to_csv(beside, index=False, lineterminator="\n")
    return path, beside


def check_suffix(path: str | Path) -> None:
    """Raise ValueError unless the file is to be a PNG, PDF or SVG."""
    if Path(path).suffix.lower() not in NO_METADATA:
        raise ValueError(f"{path}: a figure is a .png, .pdf or .svg file, not '{Path(path).suffix}'")
