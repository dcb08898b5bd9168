"""Rules and their continuous limits in a store: a run steps by its rule, or follows the flow or the SDE of the rule.

A store made before there were limits has none of these columns: its runs step by their rules.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

DYNAMICS = "optimizer.dynamics"
RULE, FLOW, SDE = ORDER = ("rule", "flow", "sde")
OWN = tuple(  # settings of an integration, missing where a run steps by its rule
    f"optimizer.{name}" for name in ("substeps", "integrator", "expansion", "covariance", "sets")
)

USUAL = {"optimizer.expansion": "first", "optimizer.covariance": "complete", "optimizer.sets": 2}  # the defaults
LINEAR = ("sgd", "n_sam", "n_usam")  # rules whose limits average no drawn mini-batches
SHARDED = ("msam", "m_usam")  # which split the whole set, too, at random


def rule_where_missing(df: pd.DataFrame) -> pd.DataFrame:
    """Return the table with `rule` in place of missing dynamics, as runs have that an earlier version stored."""
    if DYNAMICS not in df or not df[DYNAMICS].isna().any():
        return df
    return df.assign(**{DYNAMICS: df[DYNAMICS].astype(object).where(df[DYNAMICS].notna(), RULE)})


def optimizer_names(df: pd.DataFrame) -> pd.Series[str]:
    """Return the name of every row's optimizer: `sam`, and `sam flow` and `sam sde` for its limits."""
    names: pd.Series[str] = df["optimizer.name"]
    if DYNAMICS not in df:
        return names
    dynamics = rule_where_missing(df)[DYNAMICS].astype(str)
    return names.where(dynamics == RULE, names.astype(str) + " " + dynamics)


def parted(name: str) -> tuple[str, str]:
    """Return the rule and the dynamics of an optimizer's name: `sam sde` as `sam` and `sde`."""
    for dynamics in (FLOW, SDE):
        if name.endswith(f" {dynamics}"):
            return name.removesuffix(f" {dynamics}"), dynamics
    return name, RULE


def used_settings(runs: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """Return the settings of flows and SDEs that decide something, or differ from the default, by column.

    An own drift has no expansion, nor has a rule without a radius; sets are those of drawn mini-batches.
    """
    name, none = runs["optimizer.name"].astype(str), pd.Series(np.nan, runs.index)
    own, rho = name.str.contains(":", regex=False), runs.get("optimizer.rho", none)
    size, samples = (pd.to_numeric(runs.get(c, none)) for c in ("train.batch_size", "data.n_samples"))
    split = (size < samples) | (runs.get("train.batch_sampling", none) == "with_replacement") | name.isin(SHARDED)
    noisy = (pd.to_numeric(runs.get("train.gradient_noise", none)) > 0) & (runs.get("optimizer.expansion") != "first")
    used = {"optimizer.expansion": ~own & rho.notna(), "optimizer.sets": ~own & ~name.isin(LINEAR) & (split | noisy)}
    found = {}
    for column in (c for c in OWN if c in runs):
        values = runs[column]
        if column in USUAL:
            values = values[used.get(column, False) | (values != USUAL[column])]
        found[column] = values.dropna()
    return found
