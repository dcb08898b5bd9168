"""Weak errors over step sizes, and the order at which they fall.

The weak error of a limit for a test function g at a fixed time is |E g(limit) - E g(rule)|. It is estimated by the mean
over pairs: the two runs of a pair share the seed, hence the initial state and, where the noise of the batches is
Gaussian, its increments; the variance that these share cancels.

The order is the slope of log(error) against log(lr), by least squares with the weights of the statistical errors,
(error / se)^2, the inverse variance of log(error) at first order. Its interval is the percentile interval of a
bootstrap over pairs (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13): seeds are drawn with
replacement, the same draw for all step sizes, because the runs of one seed may share their luck; the weights stay. So
it carries the statistical errors, and those only: `chi2` says whether a line fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from featlearn.tables.columns import places, require
from featlearn.tables.dtypes import plain, refuse_names
from featlearn.tables.pairs import difference_grid, paired_difference
from featlearn.tables.resamples import Floats, interval

RATE = "optimizer.lr"


@dataclass(frozen=True)
class WeakErrors:
    """Weak errors at every step size.

    points: one row per step size: optimizer.lr, mean (of first minus second), error (its size), se, n (pairs), low and
    high (the ends of the t interval of the mean), dropped (runs without a counted partner), resolved (the interval
    excludes zero: the error is larger than its noise).
    differences: a row per seed, a column per step size, NaN where there is no pair.
    """

    points: pd.DataFrame
    differences: pd.DataFrame


class WeakOrder(NamedTuple):
    """The slope of log(error) against log(lr), the ends of its interval, and the factor of error = factor lr^slope.

    chi2 is the weighted sum of squared residuals per degree of freedom, NaN for two points: far above 1 the points lie
    on no line, and the interval, which holds statistical errors only, is too short. n_unresolved of the n_points errors
    are within their noise. The interval is NaN where some error has no se, as with one pair.
    """

    slope: float
    low: float
    high: float
    factor: float
    chi2: float
    n_points: int
    n_unresolved: int


def weak_errors(
    runs: pd.DataFrame,
    value: str,
    first: str,
    second: str,
    *,
    by: str | pd.Series[str] = "optimizer.name",
    confidence: float = 0.95,
) -> WeakErrors:
    """Measure |E value(first) - E value(second)| at every learning rate, with its standard error, paired by seed.

    `runs` has one row per run, at one time t = step lr: its last row if `train.n_steps` follows from the rate
    (`featlearn.summary`). `value` is the column of the test function, `first` and `second` are names such as `sam sde`
    and `sam` (see `paired_difference`); they may be of two rules, as the SDE of SGD is the control for SAM. Raises
    ValueError if a difference is infinite, if no pair is left at some rate, or if several pairs share seed and rate.
    """
    require(runs, ["run_id", RATE, value])
    refuse_names([value], ["first", "second", "difference", "outcome"])
    runs = places(plain(runs), [RATE], ["run_id"])
    pairs = paired_difference(runs, value, by, first, second, [RATE])
    if n := int(np.isinf(pairs["difference"]).sum()):
        raise ValueError(f"{value} is infinite in {n} pairs, which have no mean: leave them out first")
    points = difference_grid(pairs, [RATE], confidence)
    if (bare := points.loc[points["n"] == 0, RATE]).any():
        raise ValueError(f"no pair of {first} and {second} is left at {RATE} = {bare.iloc[0]:g}")
    resolved = (points["low"] > 0) | (points["high"] < 0)
    points = points.assign(error=points["mean"].abs(), resolved=resolved)
    columns = [RATE, "mean", "error", "se", "n", "low", "high", "dropped", "resolved"]
    return WeakErrors(points[columns], pairs.pivot(index="seed", columns=RATE, values="difference").astype(float))


def weak_order(errors: WeakErrors, *, n_boot: int = 1000, seed: int = 0, confidence: float = 0.95) -> WeakOrder:
    """Fit error = factor lr^slope, with an interval from `n_boot` resamples of the pairs, drawn from `seed`.

    Errors without noise (each se is 0, as of a flow on the full batch) weigh the same. Raises ValueError for fewer than
    two step sizes, and for an error that is exactly 0.
    """
    points = errors.points
    if len(points) < 2:
        raise ValueError(f"an order needs two step sizes; there is {len(points)}")
    if (points["error"] == 0).any():
        raise ValueError("an error is exactly 0: it has no logarithm")
    log_x, log_y = (np.log(points[c].to_numpy(dtype=float)) for c in (RATE, "error"))
    noisy = bool((points["se"] > 0).all())
    weights = ((points["error"] / points["se"]) ** 2).to_numpy() if noisy else np.ones(len(points))
    parts, shares = _parts(log_x, weights), weights / weights.sum()
    slope = float((parts * log_y).sum())
    constant = float((shares * log_y).sum() - slope * (shares * log_x).sum())
    misfit, freedom = (weights * (log_y - constant - slope * log_x) ** 2).sum(), len(points) - 2
    chi2 = float(misfit) / freedom if noisy and freedom else np.nan
    drawn = _drawn(errors.differences, parts, n_boot, seed) if points["se"].notna().all() else np.empty(0)
    unknown = np.isnan(drawn)  # the resample has no pair at some rate
    ends = interval(np.where(unknown, -np.inf, drawn), np.where(unknown, np.inf, drawn), confidence)
    return WeakOrder(slope, *ends, float(np.exp(constant)), chi2, len(points), int((~points["resolved"]).sum()))


def _parts(log_x: Floats, weights: Floats) -> Floats:
    """Return by what every log(error) is multiplied in the slope of the line of weighted least squares."""
    off = log_x - (weights * log_x).sum() / weights.sum()
    return np.asarray(weights * off / (weights * off**2).sum())


def _drawn(differences: pd.DataFrame, parts: Floats, n_boot: int, seed: int) -> Floats:
    """Return the slopes of resamples of the seeds; sums over seeds are numpy's own, for a BLAS may round otherwise."""
    rng, values = np.random.default_rng(seed), differences.to_numpy()
    known, filled = (~np.isnan(values)).astype(float), np.nan_to_num(values)
    slopes = np.empty(n_boot)
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(n_boot):
            rows = rng.integers(len(values), size=len(values))
            means = filled[rows].sum(axis=0) / known[rows].sum(axis=0)
            slopes[i] = (parts * np.log(np.abs(means))).sum()
    return slopes
