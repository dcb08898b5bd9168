"""Two optimizers on the same data, the same initial weights and the same batches: differences, run by run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featlearn.tables.columns import COUNTED, listed, places, refuse_twins, require, varying
from featlearn.tables.continuous import optimizer_names
from featlearn.tables.dtypes import plain, refuse_names
from featlearn.tables.intervals import half_width, moments

PAIR = ("first", "second", "difference", "outcome")
SIDE = ("value", "status", "train_loss")


def paired_difference(
    summary: pd.DataFrame,
    value: str,
    by: str | pd.Series[str] = "optimizer.name",
    first: str = "sgd",
    second: str = "sam",
    keys: Sequence[str] | None = None,
    train_loss_tol: float | None = None,
) -> pd.DataFrame:
    """Subtract run from run, one row per seed and cell: keys, `first`, `second`, `difference`, `outcome`.

    The difference is first minus second; `by` is the column that names the two, or these names, row by row. As an
    optimizer's name, `sam` is the rule, `sam flow` and `sam sde` are its limits. Paired runs share the seed and every
    varying config column outside `optimizer.*` (or `keys`). `outcome` is that of a pair: `paired`; `no partner`;
    `diverged` (one of the two did not end ok or fitted); `no value` (one is NaN, or both are infinite alike);
    `train loss` (the two train losses differ by more than the factor `train_loss_tol` >= 1). In all but the first the
    difference is NaN, so that means skip it and `outcome.value_counts()` counts it. Raises ValueError if two runs could
    fill one place, naming in what they differ, or if no run has a partner.
    """
    if train_loss_tol is not None and train_loss_tol < 1:
        raise ValueError(f"train_loss_tol is a factor, at least 1, not {train_loss_tol:g}")
    gate = [] if train_loss_tol is None else ["train_loss"]
    asked = [by] if isinstance(by, str) else []
    require(summary, [*asked, "seed", "status", value, *gate, *(keys or ())])
    summary = plain(summary)
    names = optimizer_names(summary) if asked == ["optimizer.name"] else summary[by] if isinstance(by, str) else by
    sides = [summary[(names == name).to_numpy()] for name in (first, second)]
    runs = pd.concat(sides)
    if keys is None:
        keys = [c for c in varying(runs) if not c.startswith("optimizer.") and c not in asked]
    keys = list(dict.fromkeys(["seed", *keys]))
    refuse_names(keys, [*PAIR, *SIDE])
    for name in (first, second):
        if not (names == name).any():
            raise ValueError(f"no run has {names.name} = {name!r}; it takes {listed(names, most=12)}")
    left, right = (_side(side, name, keys, value) for side, name in zip(sides, (first, second), strict=True))
    pairs = left.merge(right, how="outer", on=keys, suffixes=("_first", "_second"))
    pairs["outcome"] = _outcomes(pairs, train_loss_tol)
    if (pairs["outcome"] == "no partner").all():
        raise ValueError(f"no {first} run shares {', '.join(keys)} with a {second} run: choose other keys")
    pairs = pairs.rename(columns={"value_first": "first", "value_second": "second"})
    pairs["difference"] = (pairs["first"] - pairs["second"]).where(pairs["outcome"] == "paired")
    return pairs[[*keys, *PAIR]]


def difference_grid(pairs: pd.DataFrame, cells: Sequence[str], level: float = 0.95) -> pd.DataFrame:
    """Average paired differences, one row per cell: cells, mean, se, n, low, high, dropped.

    `low` and `high` end the Student t interval over pairs (NaN for n < 2); `dropped` counts the rows that
    are no pair.
    """
    require(pairs, [*cells, "seed", "difference"])
    refuse_names(cells, ["mean", "se", "n", "low", "high", "dropped"])
    pairs = places(plain(pairs), cells)
    refuse_twins(pairs, [*cells, "seed"], "pair")
    table = moments(pairs, cells, "difference")
    half = half_width(table["se"], table["n"], level)
    table["low"], table["high"] = table["mean"] - half, table["mean"] + half
    table["dropped"] = pairs["difference"].isna().groupby([pairs[c] for c in cells]).sum()
    return table.reset_index()


def _side(side: pd.DataFrame, name: str, keys: list[str], value: str) -> pd.DataFrame:
    """Return one side of the pairs: keys, value, status, train_loss."""
    refuse_twins(side, keys, f"{name} run")
    loss = side.get("train_loss", np.nan)
    return side[keys].assign(value=side[value], status=side["status"], train_loss=loss)


def _outcomes(pairs: pd.DataFrame, factor: float | None) -> NDArray[np.str_]:
    """Return the outcome of every pair."""
    alone = pairs["status_first"].isna() | pairs["status_second"].isna()
    ended = pairs["status_first"].isin(COUNTED) & pairs["status_second"].isin(COUNTED)
    large = np.maximum(pairs["train_loss_first"], pairs["train_loss_second"])
    small = np.minimum(pairs["train_loss_first"], pairs["train_loss_second"])
    apart = ~(large <= small * (np.inf if factor is None else factor)) & (factor is not None)
    blank = (pairs["value_first"] - pairs["value_second"]).isna()
    words = ["no partner", "diverged", "no value", "train loss"]
    return np.select([alone, ~ended, blank, apart], words, default="paired")
