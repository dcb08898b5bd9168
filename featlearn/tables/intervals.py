"""Means over seeds and their uncertainty: the standard error s / sqrt(n) and the Student t interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

SHARES = ("train_error", "noise_deactivated", "signal_kept", "grad_alignment", "sam_grad_alignment")


class Interval(NamedTuple):
    """A mean, its standard error, and the two ends of its confidence interval."""

    mean: float
    se: float
    low: float
    high: float


def mean_interval(x: ArrayLike, level: float = 0.95) -> Interval:
    """Return the mean of x and its Student t interval, mean +- t_{n-1} s / sqrt(n); NaN entries are left out.

    One entry has a mean and nothing more, no entry has nothing: what is unknown is NaN.
    """
    values = pd.Series(x).to_numpy(dtype=float, na_value=np.nan)
    values = values[~np.isnan(values)]
    n = len(values)
    mean = float(values.mean()) if n else np.nan
    se = float(values.std(ddof=1) / n**0.5) if n > 1 else np.nan
    half = float(half_width(se, n, level))
    return Interval(mean, se, mean - half, mean + half)


def moments(df: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """Return the columns mean, se and n of a value (NaN left out), indexed by `by`."""
    values = df.groupby(list(by))[value]
    return pd.DataFrame({"mean": values.mean(), "se": values.sem(), "n": values.count()})


def half_width(se: ArrayLike, n: ArrayLike, level: float) -> NDArray[np.float64]:
    """Return the half width of a Student t interval of n values, NaN for n < 2.

    Raises ValueError unless 0 < level < 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"a confidence level lies between 0 and 1, not at {level:g}")
    from scipy.special import stdtrit

    freedom = np.where(np.asarray(n) > 1, np.asarray(n, dtype=float) - 1, np.nan)
    return np.asarray(stdtrit(freedom, (1 + level) / 2) * np.asarray(se, dtype=float))


def limits(column: str) -> tuple[float, float]:
    """Return the bounds of a column of a known name: 0 and 1 for errors and shares, 0 and infinity for a norm."""
    if column in SHARES or (column.startswith("test_error") and column != "test_error_se"):
        return 0.0, 1.0
    return (0.0, np.inf) if column == "grad_norm" else (-np.inf, np.inf)
