"""The moments at which runs are read: their last step, the end of SAM's phase, one train loss for all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import pandas as pd

from featlearn.plots.caption import moment
from featlearn.reports.labels import optimizer_words
from featlearn.reports.layout import OPTIMIZER, Layout
from featlearn.tables.steps import at_step
from featlearn.tables.times import at_train_loss, common_train_loss

FEWEST_RECORDS = 5  # of a run, between which values at a train loss are interpolated


@dataclass(frozen=True)
class Moment:
    """A moment and the runs there, one row each, with their config."""

    key: str
    label: str
    short: str
    runs: pd.DataFrame


def moments(layout: Layout, rows: pd.DataFrame, quantities: list[str]) -> list[Moment]:
    """Return the moments, the last step first; `rows` are all recorded steps: run_id, step, status, numbers."""
    found = [Moment("last", moment(layout.runs), "last step", layout.runs)]
    config = layout.runs.drop(columns=[c for c in rows if c != "run_id"], errors="ignore")
    for step, whose in phase_ends(layout).items():
        with suppress(ValueError):  # not every run was recorded there
            runs = at_step(rows, step).merge(config, on="run_id")
            found.append(
                Moment(f"step{step}", f"at step {step}, where {' and '.join(whose)} ends", f"step {step}", runs)
            )
    level = common_train_loss(rows) if "train_loss" in quantities and _dense(rows) else None
    if level is not None:
        read = at_train_loss(rows[["run_id", "seed", "step", "status", *quantities]], level, quantities)
        read = read[read["reached"]].drop(columns=["reached", "train_loss_level"]).merge(config, on="run_id")
        found.append(Moment("loss", f"where the train loss first reaches {level:g}", f"train loss {level:g}", read))
    return found


def phase_ends(layout: Layout) -> dict[int, list[str]]:
    """Return the steps at which the phase of a rule ends before the run does, with the optimizers whose phase it is."""
    found: dict[int, list[str]] = {}
    if "optimizer.stop" not in layout.runs:
        return found
    for optimizer in layout.optimizers:
        runs = layout.runs[layout.runs[OPTIMIZER] == optimizer]
        stops = runs["optimizer.stop"].dropna().unique()
        if len(stops) == 1 and 0 < stops[0] < runs["train.n_steps"].min():
            found.setdefault(int(stops[0]), []).append(optimizer_words(optimizer))
    return found


def _dense(rows: pd.DataFrame) -> bool:
    return bool(rows.groupby("run_id").size().median() >= FEWEST_RECORDS)
