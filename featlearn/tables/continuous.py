"""Rules and their continuous limits in a store: a run steps by its rule, or follows the flow or the SDE of the rule.

A store made before there were limits has none of these columns: its runs step by their rules.
"""

from __future__ import annotations

import pandas as pd

DYNAMICS = "optimizer.dynamics"
RULE, FLOW, SDE = ORDER = ("rule", "flow", "sde")
OWN = tuple(  # settings of an integration, missing where a run steps by its rule
    f"optimizer.{name}" for name in ("substeps", "integrator", "expansion", "covariance", "sets")
)


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
