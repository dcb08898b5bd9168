"""At the edge of stability or below it: sharpness over the edge of the rule in use, run by run and cell by cell."""

from __future__ import annotations

import pandas as pd

from featlearn.tables.columns import cell_columns, config_columns, counted, last_rows, listed, refuse_twins, require
from featlearn.tables.dtypes import plain
from featlearn.tables.intervals import half_width
from featlearn.theory.edges import EDGES

SHARPNESS, STABILITY_EDGE, SAM_EDGE = "sharpness", "stability_edge", "sam_edge"
OF_SAM = sorted(EDGES.keys() - {"sgd"})  # the rules whose edge is not 2 / lr


def edge_in_use(df: pd.DataFrame) -> pd.Series[float]:
    """Return the edge of every row's rule: `sam_edge` where its run records it, else `stability_edge`.

    Raises ValueError, naming the tracker to record, for runs of SAM or USAM without `sam_edge`, or without any edge.
    """
    require(df, ["run_id", "optimizer.name"])
    df = plain(df)
    of_sam = recorded(df, SAM_EDGE)
    require_recorded(df[~of_sam & df["optimizer.name"].isin(OF_SAM)], SAM_EDGE)
    require_recorded(df[~of_sam], STABILITY_EDGE)
    missing = pd.Series(float("nan"), index=df.index)
    return df.get(SAM_EDGE, missing).where(of_sam, df.get(STABILITY_EDGE, missing))


def edge_ratio(df: pd.DataFrame) -> pd.DataFrame:
    """Measure whether every run trains at its edge: one row per run, its config, `ratio` and `reached`.

    ratio: the median of sharpness / edge over the records of the second half of the run, those after half of its last
    recorded step; NaN for a run that diverged or failed. reached: at some record of the first half the sharpness was at
    or above the edge. The two share no record: a run that reached its edge need not have stayed there.

    Raises ValueError, naming the tracker to record, for runs without sharpness or without the edge of their rule.
    """
    require(df, ["run_id", "step", "status", "optimizer.name"])
    df = plain(df)
    require_recorded(df, SHARPNESS)
    rows = df.assign(ratio=df[SHARPNESS] / edge_in_use(df))
    late = rows["step"] > rows.groupby("run_id")["step"].transform("max") / 2
    ratio = counted(rows[late]).groupby("run_id")["ratio"].median()
    reached = rows.loc[~late & (rows["ratio"] >= 1), "run_id"].unique()
    table = last_rows(rows)[["run_id", "status", *config_columns(df)]].reset_index(drop=True)
    return table.assign(ratio=table["run_id"].map(ratio), reached=table["run_id"].isin(reached))


def edge_ratio_grid(ratios: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Average the ratios of `edge_ratio` over the seeds of a cell: one row per cell, its varying columns and these.

    mean, se, n; low and high, the ends of the Student t interval; least and most, single runs; reached, how many of
    the n runs reached the edge; lost, how many diverged or failed and are not among the n.
    """
    ratios = plain(ratios)
    cells = cell_columns(ratios)
    refuse_twins(ratios, [*cells, "seed"])
    groups = ratios.assign(reached=ratios["reached"] & ratios["ratio"].notna()).groupby(cells, dropna=False, sort=False)
    names = {"mean": "mean", "se": "sem", "n": "count", "least": "min", "most": "max"}
    table = groups.agg(**{name: ("ratio", how) for name, how in names.items()})
    half = half_width(table["se"], table["n"], level)
    table = table.assign(low=table["mean"] - half, high=table["mean"] + half)
    return table.assign(reached=groups["reached"].sum(), lost=groups.size() - table["n"]).reset_index()


def recorded(df: pd.DataFrame, column: str) -> pd.Series[bool]:
    """Return for every row whether its run has a value in the column at some step."""
    if column not in df:
        return pd.Series(False, index=df.index)
    return df[column].notna().groupby(df["run_id"]).transform("any")


def require_recorded(df: pd.DataFrame, column: str) -> None:
    """Raise ValueError, naming the tracker to record, if some run does not hold the column."""
    lacking = df[~recorded(df, column)]
    if not lacking.empty:
        runs = f"{lacking['run_id'].nunique()} runs ({listed(lacking['optimizer.name'])}) hold no {column}"
        only = ", which SGD, SAM and USAM have" if column == STABILITY_EDGE else ""
        raise ValueError(f"{runs}: add the tracker {column} to record.trackers{only}")
