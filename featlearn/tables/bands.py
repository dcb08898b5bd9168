"""Bands over seeds of many cells at once: the quantiles of several values at chosen steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from featlearn.tables.columns import counted, refuse_twins, require
from featlearn.tables.dtypes import plain, refuse_names

Floats = NDArray[np.float64]


def seed_bands(
    df: pd.DataFrame,
    values: Sequence[str],
    by: Sequence[str],
    steps: ArrayLike,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
) -> pd.DataFrame:
    """Follow several values at `steps`: one row per group, value and step, with n and quantiles (`q10`, ...).

    Runs are read as in `seed_quantiles`, whose numbers these are, for many groups in one pass. The column `value` has
    the name of the value. A row without a value in a column of `by` is left out. Raises ValueError if a group holds
    several runs of one seed, or if no finished run is left.
    """
    require(df, ["run_id", "step", "status", "seed", *values, *by])
    refuse_names(by, ["value", "step", "n", *(f"q{100 * q:g}" for q in quantiles)])
    rows = counted(plain(df)).dropna(subset=[*by])
    if rows.empty:
        raise ValueError(f"no finished run in which to follow {', '.join(values)}")
    at = np.asarray(steps, dtype=float)
    rows = rows.iloc[np.lexsort((rows["step"], pd.factorize(rows["run_id"])[0]))]
    heads = rows.drop_duplicates("run_id")
    refuse_twins(heads, [*by, "seed"])
    groups = heads.groupby([*by], sort=False)
    stacked = _stacked(_curves(rows, values, at), np.asarray(groups.ngroup(), dtype=np.int64))
    where = pd.MultiIndex.from_product([range(groups.ngroups), values, at], names=["group", "value", "step"])
    table = pd.DataFrame(_quantiles(stacked, quantiles), index=where).reset_index()
    keys = heads[~groups.ngroup().duplicated()][[*by]].reset_index(drop=True)
    return keys.iloc[table.pop("group")].reset_index(drop=True).join(table)


def _curves(rows: pd.DataFrame, values: Sequence[str], steps: Floats) -> Floats:
    """Return every run, in its order, at `steps`, [run, value, step]: NaN after its last record unless it fitted."""
    starts = np.flatnonzero(~rows["run_id"].duplicated().to_numpy())
    ends = [*starts[1:], len(rows)]
    at = rows["step"].to_numpy(dtype=float)
    known = [rows[value].to_numpy(dtype=float) for value in values]
    frozen = rows["status"].eq("fitted").to_numpy()
    curves = np.empty((len(starts), len(values), len(steps)))
    for run, (first, end) in enumerate(zip(starts, ends, strict=True)):
        for i, column in enumerate(known):
            after = column[end - 1] if frozen[first] else np.nan
            curves[run, i] = np.interp(steps, at[first:end], column[first:end], left=np.nan, right=after)
    return curves


def _stacked(curves: Floats, group: NDArray[np.int64]) -> Floats:
    """Return the runs of every group side by side, [group, run of the group, ...], NaN where a group has fewer."""
    within = pd.Series(group).groupby(group).cumcount().to_numpy()
    stacked = np.full((group.max() + 1, within.max() + 1, *curves.shape[1:]), np.nan)
    stacked[group, within] = curves
    return stacked


def _quantiles(stacked: Floats, quantiles: Sequence[float]) -> dict[str, NDArray[np.generic]]:
    """Return the number of known runs and their quantiles, linear between the nearest two, flat."""
    ordered = np.sort(stacked, axis=1)  # what is missing comes last
    n = np.count_nonzero(~np.isnan(stacked), axis=1)
    found: dict[str, NDArray[np.generic]] = {"n": n.ravel()}
    for q in quantiles:
        place = q * np.maximum(n - 1, 0)
        below = np.floor(place).astype(int)
        low, high = (np.take_along_axis(ordered, k[:, None], 1)[:, 0] for k in (below, np.ceil(place).astype(int)))
        with np.errstate(invalid="ignore"):  # two infinite values are no further apart
            found[f"q{100 * q:g}"] = np.where(low == high, low, low + (place - below) * (high - low)).ravel()
    return found
