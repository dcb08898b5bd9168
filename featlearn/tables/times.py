"""Trajectories as tables: a value over steps, at equal train loss, and the time at which half of it is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featlearn.tables.columns import COUNTED, config_columns, counted, refuse_twins, require, tracked
from featlearn.tables.dtypes import plain, refuse_names
from featlearn.tables.intervals import half_width


def seed_quantiles(
    df: pd.DataFrame, value: str, by: str | Sequence[str], quantiles: Sequence[float] = (0.1, 0.5, 0.9)
) -> pd.DataFrame:
    """Follow a value over steps: one row per group and step, with mean, se, n and quantiles (`q10`, ...).

    Every run is read at the union of all recorded steps: between two of its records on the straight line,
    after its last one at its last value if it ended `fitted` (its weights are frozen), else not at all.
    Diverged and failed runs are left out throughout, so that a curve keeps its population; n is its size.
    Raises ValueError if a group holds several runs of one seed, or no run at all is left.
    """
    by = [by] if isinstance(by, str) else list(by)
    require(df, ["run_id", "step", "status", "seed", value, *by])
    refuse_names(by, ["step", "mean", "se", "n", *(f"q{100 * q:g}" for q in quantiles)])
    rows = counted(plain(df)).sort_values(["run_id", "step"])
    if rows.empty:
        raise ValueError(f"no finished run in which to follow {value}")
    refuse_twins(rows.drop_duplicates("run_id"), [*by, "seed"])
    steps = np.unique(rows["step"].to_numpy(dtype=float))
    groups = rows.groupby(by, dropna=False)
    tables = {group: _over_seeds(runs, value, steps, quantiles) for group, runs in groups}
    return pd.concat(tables, names=by).reset_index(by).reset_index(drop=True)


def paired_over_steps(
    df: pd.DataFrame, value: str, by: str | pd.Series[str], first: str, second: str, level: float = 0.95
) -> pd.DataFrame:
    """Follow first minus second over steps, paired by seed: one row per step, with mean, se, n, low and high.

    `by` is the column that names the two, or these names, row by row. Runs are read as in `seed_quantiles`. A pair is
    two counted runs of one seed; n is the number of pairs, low and high end the Student t interval over them (NaN for
    n < 2). Raises ValueError if one of the two has several runs of one seed, or if no pair is left.
    """
    require(df, ["run_id", "step", "status", "seed", value, *([by] if isinstance(by, str) else [])])
    df = plain(df)
    names = (df[by] if isinstance(by, str) else by).to_numpy()
    sides = [counted(df[names == name]).sort_values(["run_id", "step"]) for name in (first, second)]
    steps = np.unique(pd.concat(sides)["step"].to_numpy(dtype=float))
    curves = [_by_seed(side, value, steps) for side in sides]
    seeds = curves[0].index.intersection(curves[1].index)
    if seeds.empty:
        raise ValueError(f"no pair of {first} and {second} is left: they share no seed whose runs finished")
    pairs = curves[0].loc[seeds] - curves[1].loc[seeds]
    with np.errstate(invalid="ignore"):
        table = pd.DataFrame({"mean": pairs.mean(), "se": pairs.sem(), "n": pairs.count()})
    half = half_width(table["se"], table["n"], level)
    table = table.assign(low=table["mean"] - half, high=table["mean"] + half)
    return table.rename_axis("step").reset_index()


def _by_seed(runs: pd.DataFrame, value: str, steps: NDArray[np.float64]) -> pd.DataFrame:
    """Return the runs at `steps`, a row per seed."""
    refuse_twins(runs.drop_duplicates("run_id"), ["seed"])
    curves = {run["seed"].iloc[0]: _curve(run, value, steps) for _, run in runs.groupby("run_id")}
    return pd.DataFrame.from_dict(curves, orient="index", columns=steps)


def at_train_loss(df: pd.DataFrame, level: float, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read every run when its train loss first reaches `level`.

    One row per run: its config, step, columns (every number that was tracked if not given), `reached`, and the level as
    `train_loss_level`. The figures accept it in place of `featlearn.summary`. Between two records, values are
    linear in log(train_loss), so that train_loss is the level there. A run already at the level in its first record is
    read there; a run that never reaches it has reached = False and NaN. Raises ValueError unless level > 0, and for a
    table of one row per run (`featlearn.summary`), which holds no steps between.
    """
    if not level > 0:
        raise ValueError(f"a train loss level is positive, not {level:g}")
    columns = tracked(df) if columns is None else columns
    require(df, ["run_id", "step", "train_loss", *columns])
    if not df.empty and not df["run_id"].duplicated().any():
        raise ValueError(
            "every run has one row, so when it reached the loss is unknown: pass all recorded steps (load)"
        )
    refuse_names(columns, ["run_id", "status", "reached", "train_loss_level"])
    df = plain(df)
    values = list(dict.fromkeys(["step", *columns]))
    height = np.log(df["train_loss"].clip(lower=np.finfo(float).tiny))
    table = _first_below(df, height, float(np.log(level)), values)
    at_level = {"train_loss": table["train_loss"].clip(upper=level)} if "train_loss" in table else {}
    return table.assign(**at_level, train_loss_level=level)


def common_train_loss(df: pd.DataFrame, share: float = 0.95) -> float | None:
    """Return the least of 1, 2 and 5 times a power of ten that this share of the finished runs reaches.

    At that train loss all optimizers can be compared. None if there is no such loss above zero, or where some run
    starts at or below it.
    """
    require(df, ["run_id", "step", "status", "train_loss"])
    runs = counted(plain(df)).dropna(subset="train_loss").sort_values("step", kind="stable")
    if runs.empty or not 0 < share <= 1:
        return None
    least = float(runs.groupby("run_id")["train_loss"].min().quantile(share, interpolation="higher"))
    if not 0 < least < np.inf:
        return None
    power = 10.0 ** np.floor(np.log10(least))
    level = next(float(f"{k * power:.0e}") for k in (1, 2, 5, 10) if k * power >= least * (1 - 1e-9))
    return level if runs.drop_duplicates("run_id")["train_loss"].min() > level else None


def half_time(df: pd.DataFrame, value: str) -> pd.DataFrame:
    """Time how fast a value is learned: one row per run, config, `half_time`, `final`.

    half_time is the step, linear between records, at which |value| first reaches |final| / 2. It is NaN
    where the question has no answer: the final value is zero, or the run diverged or failed and has none.
    """
    require(df, ["run_id", "step", "status", value])
    df = plain(df)
    final = df.sort_values("step", kind="stable").groupby("run_id")[value].last()
    share = (df[value] / df["run_id"].map(final.where(final != 0))).abs()
    share = share.where(df["status"].isin(COUNTED))
    table = _first_below(df, -share, -0.5, ["step"]).rename(columns={"step": "half_time"})
    return table.assign(final=table["run_id"].map(final)).drop(columns="reached")


def _over_seeds(runs: pd.DataFrame, value: str, steps: NDArray[np.float64], quantiles: Sequence[float]) -> pd.DataFrame:
    """Return the statistics of one group at `steps`."""
    curves = pd.DataFrame([_curve(run, value, steps) for _, run in runs.groupby("run_id")], columns=steps)
    with np.errstate(invalid="ignore"):  # infinite values have no deviation
        table = pd.DataFrame({"mean": curves.mean(), "se": curves.sem(), "n": curves.count()})
        table = table.assign(**{f"q{100 * q:g}": curves.quantile(q) for q in quantiles})
    return table.rename_axis("step").reset_index()


def _curve(run: pd.DataFrame, value: str, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one run at `steps`; after its last record NaN, or that record if its weights were frozen."""
    known = run[value].to_numpy(dtype=float)
    after = known[-1] if run["status"].iloc[0] == "fitted" else np.nan
    at = run["step"].to_numpy(dtype=float)
    return np.asarray(np.interp(steps, at, known, left=np.nan, right=after))


def _first_below(df: pd.DataFrame, height: pd.Series[Any], level: float, values: list[str]) -> pd.DataFrame:
    """Return every run's config, and its `values` where `height` first falls to `level`, linear in height."""
    order = np.lexsort((df["step"], pd.factorize(df["run_id"])[0]))
    rows, height = df.iloc[order].reset_index(drop=True), height.iloc[order].reset_index(drop=True)
    known = rows[height.notna()]
    first = known[height[known.index] <= level].drop_duplicates("run_id").index
    before, here = known.groupby("run_id")[values].shift().loc[first].astype(float), known.loc[first, values]
    above = height[known.index].groupby(known["run_id"]).shift().loc[first]
    share = (above - level) / (above - height[first])
    read = before.mul(1 - share, axis=0).add(here.astype(float).mul(share, axis=0)).where(share < 1, here, axis=0)
    read = read.assign(reached=True).set_axis(known.loc[first, "run_id"])
    head = dict.fromkeys(["run_id", *(c for c in ("status", *config_columns(df)) if c in df)])
    table = rows.drop_duplicates("run_id")[list(head)].join(read, on="run_id")
    return table.assign(reached=table["reached"].eq(True)).reset_index(drop=True)
