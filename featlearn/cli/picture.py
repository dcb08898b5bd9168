"""A picture of one run for a terminal: loss, test error and coefficients over the recorded steps, one line each.

A line runs from the least to the greatest value, with its first and its last beside it; the coefficients share one
scale, so that signal and noise can be compared. Characters are two rows of blocks, or one of ASCII where the terminal
knows no others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from featlearn.runs import Trajectory

SHOWN = (  # the first of each that was recorded, with its colour
    (("train_loss",), "default"),
    (("test_error", "test_error_true"), "magenta"),
    (("signal_coef_mean", "signal_coef_max"), "blue"),
    (("noise_coef_pos_mean", "noise_coef_pos_max"), "yellow"),
)
BLOCKS, LETTERS = " ▁▂▃▄▅▆▇█", " .:-=+*#%@"
LEAST, MOST = 10, 100  # characters of a line


def picture(trajectory: Trajectory, console: Console) -> Text | None:
    """Return the picture of a run, as wide as the terminal; None without a terminal, or for fewer than two records."""
    from rich.text import Text

    shown = [(found, colour) for names, colour in SHOWN if (found := _recorded(trajectory, names))]
    ends = {name: [f"{trajectory.values[name][i]:.3g}" for i in (0, -1)] for name, _ in shown}
    wide = [max(map(len, column)) for column in zip(*([n, *ends[n]] for n, _ in shown), strict=True)]
    width = min(MOST, console.width - sum(wide) - 6) if shown else 0
    if not console.is_terminal or width < LEAST or len(trajectory.steps) < 2:
        return None
    plain = console.is_dumb_terminal or not _encodes(BLOCKS, console.encoding)
    text, ranges = Text(), {name: trajectory.values[name] for name, _ in shown}
    shared = np.concatenate([values for name, values in ranges.items() if "coef" in name] or [np.zeros(1)])
    for name, colour in shown:
        first, last = ends[name]
        rows = _rows(trajectory, name, shared if "coef" in name else ranges[name], width, plain)
        for row in rows:
            end = row is rows[-1]
            text.append(f"  {(name if end else ''):{wide[0]}}  {(first if end else ''):>{wide[1]}} ")
            text.append(row, style=colour)
            text.append(f" {last}\n" if end else "\n")
    first, last = (f"{step:g}" for step in (trajectory.steps[0], trajectory.steps[-1]))
    return text.append(f"  {'step':{wide[0]}}  {'':{wide[1]}} {first}{last:>{width - len(first)}}")


def _recorded(trajectory: Trajectory, names: tuple[str, ...]) -> str | None:
    """Return the first of the columns that the run recorded as finite numbers."""
    values = trajectory.values
    return next((n for n in names if n in values and values[n].ndim == 1 and np.isfinite(values[n]).all()), None)


def _rows(trajectory: Trajectory, name: str, scale: NDArray[np.float64], width: int, plain: bool) -> list[str]:
    """Return a curve as rows of characters, the upper one first; `scale` has the range of the values."""
    steps = trajectory.steps
    at = np.interp(np.linspace(steps[0], steps[-1], width), steps, trajectory.values[name])
    height = (at - scale.min()) / (np.ptp(scale) or 1.0)
    if plain:
        return ["".join(LETTERS[i] for i in 1 + np.rint(height * (len(LETTERS) - 2)).astype(int))]
    eighths = 1 + np.rint(15 * height).astype(int)  # of 16 in two rows: the least value is a thin line, not nothing
    return ["".join(BLOCKS[i] for i in np.clip(part, 0, 8)) for part in (eighths - 8, eighths)]


def _encodes(text: str, encoding: str) -> bool:
    """Whether an encoding has these characters."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
