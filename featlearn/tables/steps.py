"""One row per run, read at one step of its training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from featlearn.tables.columns import require
from featlearn.tables.dtypes import plain

FROZEN = ("fitted", "diverged")  # the parameters of these stay what they were when the run stopped


def at_step(df: pd.DataFrame, step: int) -> pd.DataFrame:
    """Return the row of every run that was recorded after `step` updates, from a table of all recorded steps.

    A run that had stopped by then, fitted or diverged, is read at its last record. The figures accept this table in
    place of `featlearn.summary`. Raises ValueError, naming the nearest records, if a run was not recorded there.
    """
    require(df, ["run_id", "step", "status"])
    df = plain(df)
    last = df.groupby("run_id")["step"].transform("max")
    stopped = (df["step"] == last) & (last < step) & df["status"].isin(FROZEN)
    chosen = df[(df["step"] == step) | stopped]
    lacking = df[~df["run_id"].isin(chosen["run_id"])]
    if len(lacking):
        runs = lacking["run_id"].nunique()
        raise ValueError(
            f"step {step} was not recorded in {runs} run{'s' * (runs > 1)}, {_nearest(lacking['step'], step)}"
        )
    return chosen


def _nearest(recorded: pd.Series[int], step: int) -> str:
    """Return which records lie next to a step, as text."""
    steps = np.unique(recorded.dropna().to_numpy())
    near = [*steps[steps < step][-1:], *steps[steps > step][:1]]
    return f"which have records at {' and '.join(f'{at:g}' for at in near)}" if near else "which have no record"
