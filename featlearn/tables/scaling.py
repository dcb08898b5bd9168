"""How a boundary scales: where a value crosses a level at every x, and the power of x that the crossings follow.

The law y = a x^b is the least-squares line through (log x, log y), all crossings weighing the same. Uncertainty is
that of the seeds: they are drawn with replacement, the same draw for all cells, because the runs of one seed share
their random streams and so their luck; every draw has its own means, crossings and line. Intervals are the
percentiles of these draws (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13). With few seeds
they are too short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from featlearn.tables.cells import crossings
from featlearn.tables.columns import counted, refuse_twins, require

Floats = NDArray[np.float64]


class Exponent(NamedTuple):
    """The exponent b of y = factor x^b, the ends of its interval, the number of points and of resamples.

    A resample counts if it has two points or more. The interval is NaN where none does, as with one seed only.
    """

    exponent: float
    low: float
    high: float
    factor: float
    n_points: int
    n_resamples: int


@dataclass(frozen=True)
class Scaling:
    """A measured boundary and its exponent.

    points: one row per x: x, y (NaN where there is no crossing), low and high (the ends of y's interval), crossings
    (how many there are; the first is y), n (runs in the means), left_out (the others: not fitted, diverged or failed).
    """

    points: pd.DataFrame
    exponent: Exponent


def fitted(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that fitted: that reached `train.stop_at_train_loss`, or finished where no level was asked."""
    level = runs.get("train.stop_at_train_loss", pd.Series(np.nan, index=runs.index))
    return counted(runs[level.isna() | (runs["status"] == "fitted")])


def boundary_scaling(
    summary: pd.DataFrame,
    level: float,
    *,
    x: str = "data.dim",
    y: str = "data.signal_norm",
    value: str = "test_error",
    n_boot: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Scaling:
    """Find the y at which the seed mean of `value` crosses `level`, for every x, and fit the exponent of x.

    `summary` has one row per run, of one optimizer. Only runs that fitted count (see `fitted`). Means are linear in
    log y between cells, and the first crossing from small y is taken; cells at zero have no logarithm and are left
    out. `n_boot` resamples of the seeds, drawn from `seed`, give the intervals. Raises ValueError if the mean
    crosses at fewer than two x, or if two runs of one seed share a cell.
    """
    require(summary, ["status", "seed", x, y, value])
    runs = summary[(summary[x] > 0) & (summary[y] > 0)]
    refuse_twins(runs, [x, y, "seed"])
    kept = fitted(runs).dropna(subset=value)
    cells = kept.pivot(index=[x, y], columns="seed", values=value).astype(float).sort_index()
    found = _crossings(cells, _resamples(cells.shape[1], n_boot, seed), level)
    places = found.map(lambda at: at[0] if len(at) else np.nan).astype(float)
    if (n := places.iloc[:1].count().sum()) < 2:
        where = f"crosses {level:g} at {n} of {runs[x].nunique()} values of {x}"
        raise ValueError(f"the mean {value} of the runs that fitted {where}: an exponent needs two")
    counts = {"crossings": found.iloc[0].map(len), "n": kept.groupby(x).size(), "all": runs.groupby(x).size()}
    return Scaling(_points(places, x, y, confidence, counts), _exponent(places, confidence))


def boundary_exponent(summary: pd.DataFrame, level: float, **options: Any) -> Exponent:
    """Return the exponent alone of `boundary_scaling`, which has the options."""
    return boundary_scaling(summary, level, **options).exponent


def _resamples(n_seeds: int, n_boot: int, seed: int) -> Floats:
    """Return how often every seed is drawn, a row a resample, below the sample itself; it is alone if of one seed."""
    sample = np.ones((1, n_seeds))
    if n_seeds < 2:
        return sample
    drawn = np.random.default_rng(seed).multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=n_boot)
    return np.vstack([sample, drawn])


def _crossings(cells: pd.DataFrame, weights: Floats, level: float) -> pd.DataFrame:
    """Return all crossings, from small y, of the weighted means over seeds: a row a resample, a column an x."""
    weight = cells.notna().to_numpy(dtype=float) @ weights.T
    total = cells.fillna(0).to_numpy() @ weights.T
    means = pd.DataFrame(np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0), cells.index)
    return pd.DataFrame({place: _along(rows.droplevel(0) - level) for place, rows in means.groupby(level=0)})


def _along(heights: pd.DataFrame) -> list[Floats]:
    """Return, for every column, the places y of the index at which it changes sign, past cells without a mean."""
    log_y = np.log(heights.index.to_numpy(dtype=float))
    columns = heights.to_numpy().T
    return [np.exp(crossings(log_y[known], h[known])) for h, known in zip(columns, ~np.isnan(columns), strict=True)]


def _points(
    places: pd.DataFrame, x: str, y: str, confidence: float, counts: Mapping[str, pd.Series[int]]
) -> pd.DataFrame:
    """Return the boundary as `Scaling` describes it; the first row of `places` is the sample."""
    ends = {place: _percentiles(resampled, confidence) for place, resampled in places.iloc[1:].items()}
    intervals = pd.DataFrame.from_dict(ends, orient="index", columns=["low", "high"])
    table = pd.DataFrame(counts).fillna(0).astype(int).join(places.iloc[0].rename(y)).join(intervals)
    table = table.assign(left_out=table["all"] - table["n"]).rename_axis(x)
    return table[[y, "low", "high", "crossings", "n", "left_out"]].reset_index()


def _exponent(places: pd.DataFrame, confidence: float) -> Exponent:
    """Fit every row of `places`; the first is the sample."""
    log_x = np.log(places.columns.to_numpy(dtype=float))
    fits = np.array([_line(log_x, log_y) for log_y in np.log(places.to_numpy())])
    slope, constant = map(float, fits[0])
    n_points, n_resamples = int(places.iloc[0].count()), int(np.isfinite(fits[1:, 0]).sum())
    return Exponent(slope, *_percentiles(fits[1:, 0], confidence), float(np.exp(constant)), n_points, n_resamples)


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Return slope and constant of the least-squares line through the points that have a y; NaN below two."""
    known = ~np.isnan(y)
    if known.sum() < 2:
        return np.nan, np.nan
    slope, constant = np.polyfit(x[known], y[known], 1)
    return float(slope), float(constant)


def _percentiles(values: ArrayLike, confidence: float) -> tuple[float, float]:
    """Return the ends of the central interval of resampled values, NaN if there are none.

    Raises ValueError unless 0 < confidence < 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence level lies between 0 and 1, not at {confidence:g}")
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2]) if len(known) else (np.nan, np.nan)
    return float(low), float(high)
