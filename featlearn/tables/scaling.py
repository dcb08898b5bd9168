"""How a boundary scales: where a value crosses a level at every x, and the power of x that the crossings follow.

The law y = a x^b is the least-squares line through (log x, log y), all crossings weighing the same. Uncertainty is
that of the seeds: they are drawn with replacement, the same draw for all cells, because the runs of one seed share
their random streams and so their luck; every draw has its own means, crossings and line. Intervals are the
percentiles of these draws (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13). With few seeds
they are too short.

A draw that does not cross at an x is not dropped there, which would cut the interval off at the end of the sweep: its
boundary lies beyond, and the draw counts with these bounds (`featlearn.tables.resamples`). Every draw is fitted at the
x where the sample itself crosses. Its exponent, sum_x w_x log y_x with w_x = (log x - mean) / sum of squares, lies
between the sums of the lower and of the upper bounds of the terms w_x log y_x; these bound the exponent's percentiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from featlearn.tables.columns import counted, places, refuse_twins, require
from featlearn.tables.dtypes import plain, refuse_names
from featlearn.tables.resamples import Boundary, Floats, interval, resampled_boundary

POINTS = ("low", "high", "crossings", "beyond", "censored", "first", "last", "n", "left_out")


class Exponent(NamedTuple):
    """The exponent b of y = factor x^b, the ends of its interval, the number of points and of resamples.

    `n_censored` of the resamples do not cross at all points. An end that falls among them is open, -inf or inf. The
    interval is NaN without resamples, as with one seed only.
    """

    exponent: float
    low: float
    high: float
    factor: float
    n_points: int
    n_resamples: int
    n_censored: int


@dataclass(frozen=True)
class Scaling:
    """A measured boundary and its exponent.

    points: one row per x: x, y (NaN where there is no crossing), low and high (the ends of y's interval; 0 or inf where
    it is open), crossings (how many there are; the first is y), beyond (without crossing, where the boundary lies:
    "below" or "above" the swept y, or "unknown"), censored (the share of resamples without crossing), first and last
    (the ends of the swept y), n (runs in the means), left_out (the others: not fitted, diverged or failed).
    """

    points: pd.DataFrame
    exponent: Exponent


def fitted(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that fitted: that reached `train.stop_at_train_loss`, or finished where no level was asked."""
    runs = plain(runs)
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
    crosses at fewer than two x, if two runs of one seed share a cell, or if a value is infinite.
    """
    require(summary, ["status", "seed", x, y, value])
    refuse_names([x, y], POINTS)
    summary = plain(summary)
    runs = places(summary[(summary[x] > 0) & (summary[y] > 0)], [x, y])
    refuse_twins(runs, [x, y, "seed"])
    kept = fitted(runs).dropna(subset=value)
    if n := int(np.isinf(kept[value]).sum()):
        raise ValueError(f"{value} is infinite in {n} runs, which have no mean: leave them out first")
    cells = kept.pivot(index=[x, y], columns="seed", values=value).astype(float).sort_index()
    found = resampled_boundary(cells, level, n_boot, seed)
    if (n := found.place.iloc[:1].count().sum()) < 2:
        where = f"crosses {level:g} at {n} of {runs[x].nunique()} values of {x}"
        raise ValueError(f"the mean {value} of the runs that fitted {where}: an exponent needs two")
    counts = {"n": kept.groupby(x).size(), "all": runs.groupby(x).size()}
    return Scaling(_points(found, x, y, confidence, counts), _exponent(found, confidence))


def boundary_exponent(summary: pd.DataFrame, level: float, **options: Any) -> Exponent:
    """Return the exponent alone of `boundary_scaling`, which has the options."""
    return boundary_scaling(summary, level, **options).exponent


def _points(found: Boundary, x: str, y: str, confidence: float, counts: Mapping[str, pd.Series[int]]) -> pd.DataFrame:
    """Return the boundary as `Scaling` describes it; the first row of `found` is the sample."""
    ends = {at: interval(found.low[at].iloc[1:], found.high[at].iloc[1:], confidence) for at in found.place}
    table = pd.DataFrame(counts).join(pd.DataFrame.from_dict(ends, orient="index", columns=["low", "high"]))
    sample = {name: getattr(found, name).iloc[0] for name in ("place", "first", "last")}
    table = table.assign(**sample, censored=found.place.iloc[1:].isna().mean(), crossings=found.crossings.iloc[0])
    low, high = (bound.iloc[0].reindex(table.index) for bound in (found.low, found.high))
    table["beyond"] = np.select([table["place"].notna(), low > 0, np.isfinite(high)], ["", "above", "below"], "unknown")
    whole = table[["crossings", "n", "all"]].fillna(0).astype(int)
    table = table.assign(**whole, left_out=whole["all"] - whole["n"]).rename(columns={"place": y}).rename_axis(x)
    return table[[y, *POINTS]].reset_index()


def _exponent(found: Boundary, confidence: float) -> Exponent:
    """Fit every resample at the x where the sample crosses."""
    y = found.place.iloc[0].dropna()
    log_x = np.log(y.index.to_numpy(dtype=float))
    slope, constant = map(float, np.polyfit(log_x, np.log(y), 1))
    low, high = (bound[y.index].iloc[1:] for bound in (found.low, found.high))
    ends = interval(*_slopes(log_x, low.to_numpy(), high.to_numpy()), confidence)
    censored = int(found.place[y.index].iloc[1:].isna().any(axis=1).sum())
    return Exponent(slope, *ends, float(np.exp(constant)), len(y), len(low), censored)


def _slopes(log_x: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return between which slopes the least-squares line of every row lies, if its y do between low and high."""
    off = log_x - log_x.mean()
    off = np.where(np.isclose(off, 0, atol=1e-12), 0, off)  # the middle of a geometric axis has weight 0, even at inf
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.log(np.stack([low, high])) * off / (off**2).sum()
    terms = np.where(off == 0, 0, ends)
    return terms.min(axis=0).sum(axis=1), terms.max(axis=0).sum(axis=1)
