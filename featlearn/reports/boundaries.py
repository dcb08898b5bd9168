"""Where an error crosses its level in the plane of the first two axes, the law of theory there, and the exponent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from math import inf
from typing import Any

import pandas as pd

from featlearn.plots.boundary import law_exponent
from featlearn.plots.law import LawLine, Overlay, default_level, own_law
from featlearn.reports.labels import formula, optimizer_words, symbol
from featlearn.reports.layout import OPTIMIZER, Layout
from featlearn.reports.moments import Moment
from featlearn.reports.numbers import number, rounded
from featlearn.tables.columns import SIGNALS
from featlearn.tables.scaling import Exponent, boundary_scaling
from featlearn.theory import LAWS
from featlearn.theory.boundaries import ARGUMENTS

MINUS = "−"
MOST_SLICES = 64
EVERY = 5  # of the points of a law's line


def boundaries(layout: Layout, moment: Moment, value: str) -> list[list[dict[str, Any]]]:
    """Return for every optimizer and every slice of the further axes the level, crossings and law; [] where none is."""
    if not has_boundary(layout, value) or _n_slices(layout) > MOST_SLICES:
        return []
    runs = moment.runs
    return [
        [_boundary(layout, part, value) for part in _slices(layout, runs[runs[OPTIMIZER] == optimizer])]
        for optimizer in layout.optimizers
    ]


def has_boundary(layout: Layout, value: str) -> bool:
    """Whether a value has a level to cross, and the plane two axes of numbers."""
    plane = [axis.numeric for axis in layout.axes[:2]]
    return value.startswith("test_error") and plane == [True, True]


def _boundary(layout: Layout, runs: pd.DataFrame, value: str) -> dict[str, Any]:
    x, y = layout.keys[:2]
    overlay = Overlay()
    if runs.empty:
        return {}
    with suppress(ValueError):
        level, points = overlay.crossings(runs, x, y, value)
        if level is not None:
            line = overlay.line(runs, x, y, points)
            law = None if line is None else _law(line)
            return {"level": level, "x": rounded(points[x]), "y": rounded(points[y]), "law": law}
    return {}


def _law(line: LawLine) -> dict[str, Any]:
    ends = {"x": rounded(line.x[::EVERY]), "y": rounded(line.y[::EVERY])}
    law = LAWS[line.law]
    words = {"of": formula(law.symbol), "name": f"C {formula(law.formula)}"}
    return {**words, "c": number(line.c, 3), "fitted": line.fitted, **ends}


def _slices(layout: Layout, runs: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the runs at every combination of the values of the axes but the first two."""
    for values in product(*(axis.values for axis in layout.axes[2:])):
        keep = pd.Series(True, runs.index)
        for axis, value in zip(layout.axes[2:], values, strict=True):
            keep &= (runs[axis.key] == value) | runs[axis.key].isna()
        yield runs[keep]


def _n_slices(layout: Layout) -> int:
    n = 1
    for size in layout.sizes[2:]:
        n *= size
    return n


def exponents(layout: Layout, value: str) -> list[dict[str, str]]:
    """Return the power of the other axis that every optimizer's boundary follows, beside that of theory, in words.

    Empty unless the two axes are the only ones and one of them is the signal.
    """
    keys = layout.keys
    if len(keys) != 2 or not has_boundary(layout, value) or sum(key in SIGNALS for key in keys) != 1:
        return []
    signal, other = sorted(keys, key=lambda key: key not in SIGNALS)
    found = []
    for optimizer in layout.optimizers:
        runs = layout.runs[layout.runs[OPTIMIZER] == optimizer]
        level = default_level(runs, value)
        with suppress(ValueError):  # it crosses at fewer than two values
            fit = boundary_scaling(runs, level or 0.0, x=other, y=signal, value=value).exponent
            row = {"optimizer": optimizer_words(optimizer), "of": symbol(other), "signal": symbol(signal)}
            found.append({**row, **_fit(fit), "theory": _theory(runs, signal, other), "level": f"{level:g}"})
    return found


def _fit(fit: Exponent) -> dict[str, str]:
    ends = _interval(fit.low, fit.high) if fit.low == fit.low else "one seed has none"
    return {"exponent": _signed(fit.exponent), "interval": ends, "points": str(fit.n_points)}


def _interval(low: float, high: float) -> str:
    left = f"({MINUS}∞" if low == -inf else f"[{_signed(low)}"
    return f"{left}, " + ("∞)" if high == inf else f"{_signed(high)}]")


def _signed(power: float) -> str:
    return f"{power:.3f}".replace("-", MINUS)


def _theory(runs: pd.DataFrame, signal: str, other: str) -> str:
    law = own_law(runs)
    if law is None or signal != "data.signal_norm" or other.removeprefix("data.") not in ARGUMENTS:
        return "none for this setting"
    return f"{law_exponent(law, other.removeprefix('data.')):g}"
