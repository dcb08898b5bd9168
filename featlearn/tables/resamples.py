"""Where resampled curves cross a level, and the bounds on the crossing of those that do not.

A curve that stays on one side of the level all along the swept y is censored: its boundary lies beyond the sweep, on
one side. So every resample bounds the boundary, low <= y <= high: both are its crossing if it has one; beyond the
largest swept y they are that y and infinity, below the smallest 0 and that y; 0 and infinity if nothing is known.

A percentile interval runs from the percentile of the lower bounds to that of the upper ones: whatever the boundaries
beyond the sweep are, theirs lies within it (worst-case bounds, as in Manski 2003, Partial Identification of
Probability Distributions, chapter 1). An end among the censored is at 0 or infinity: open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from featlearn.tables.cells import crossings

Floats = NDArray[np.float64]


class Curve(NamedTuple):
    """One curve over y: its first crossing (NaN if none), how many, the ends of its y, is it above at the first one."""

    place: float
    crossings: int
    first: float
    last: float
    above: bool


@dataclass(frozen=True)
class Boundary:
    """The boundary of every resample, a row each below the sample itself, at every x, a column each.

    place: y of the first crossing, NaN where there is none; crossings: how many there are; first, last: the ends of the
    swept y, NaN where no run counts; low, high: between which y the boundary lies.
    """

    place: pd.DataFrame
    crossings: pd.DataFrame
    first: pd.DataFrame
    last: pd.DataFrame
    low: pd.DataFrame
    high: pd.DataFrame


def resampled_boundary(cells: pd.DataFrame, level: float, n_boot: int, seed: int) -> Boundary:
    """Find where the mean over the columns of `cells`, the seeds, crosses `level` along y; the index is (x, y).

    Means are linear in log y between cells. Seeds are drawn with replacement, `n_boot` times from `seed`, the same
    draw for all cells; one seed alone has no resamples.
    """
    weights = _resamples(cells.shape[1], n_boot, seed)
    weight = cells.notna().to_numpy(dtype=float) @ weights.T
    total = cells.fillna(0).to_numpy() @ weights.T
    means = pd.DataFrame(np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0), cells.index)
    curves = {x: _curves(rows.droplevel(0) - level) for x, rows in means.groupby(level=0)}
    tables = {
        field: pd.DataFrame(
            {x: [getattr(curve, field) for curve in row] for x, row in curves.items()}, range(len(weights))
        )
        for field in Curve._fields
    }
    low, high = _bounds(**tables)
    del tables["above"]
    return Boundary(**tables, low=low, high=high)


def interval(low: ArrayLike, high: ArrayLike, confidence: float) -> tuple[float, float]:
    """Return the ends of the central interval of resamples that are known between bounds; NaN if there are none.

    Each end is the bound of one resample, the outer one where the percentile falls between two. Raises ValueError
    unless 0 < confidence < 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence level lies between 0 and 1, not at {confidence:g}")
    lows, highs = np.sort(np.asarray(low, dtype=float)), np.sort(np.asarray(high, dtype=float))
    if not len(lows):
        return np.nan, np.nan
    tail = (len(lows) - 1) * (1 - confidence) / 2
    return float(lows[int(tail)]), float(highs[len(highs) - 1 - int(tail)])


def _resamples(n_seeds: int, n_boot: int, seed: int) -> Floats:
    """Return how often every seed is drawn: first the sample, then one row per resample; one seed has no resamples."""
    sample = np.ones((1, n_seeds))
    if n_seeds < 2:
        return sample
    drawn = np.random.default_rng(seed).multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=n_boot)
    return np.vstack([sample, drawn])


def _curves(heights: pd.DataFrame) -> list[Curve]:
    """Return every column as a curve over the y of the index, without the cells that have no mean."""
    y = heights.index.to_numpy(dtype=float)
    columns = heights.to_numpy().T
    return [_curve(y[known], h[known]) for h, known in zip(columns, ~np.isnan(columns), strict=True)]


def _curve(y: Floats, height: Floats) -> Curve:
    if not len(y):
        return Curve(np.nan, 0, np.nan, np.nan, False)
    found = crossings(y, height)
    return Curve(found[0] if len(found) else np.nan, len(found), y[0], y[-1], bool(height[0] > 0))


def _bounds(
    place: pd.DataFrame, crossings: pd.DataFrame, first: pd.DataFrame, last: pd.DataFrame, above: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return between which y each boundary lies.

    A curve that never crosses is before its boundary if it stays on the side on which most curves of the sample that
    cross start. Where these are split, nothing is known.
    """
    begins = above.iloc[0][crossings.iloc[0] > 0].mean()  # share of curves that start above
    known = first.notna() & (begins != 0.5)
    before = above == (begins > 0.5)
    low, high = last.where(known & before, 0.0), first.where(known & ~before, np.inf)
    return low.where(place.isna(), place), high.where(place.isna(), place)
