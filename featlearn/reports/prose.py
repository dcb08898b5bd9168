"""What was swept, in words and numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from featlearn.lookup import missing, spelled
from featlearn.plots.caption import seeds
from featlearn.reports.labels import optimizer_words, symbol, words
from featlearn.reports.layout import OPTIMIZER, Axis, Layout
from featlearn.tables.columns import config_columns, varying

ENDS = {
    "ok": "trained to the last step",
    "fitted": "stopped at the train loss asked for",
    "diverged": "diverged (in no mean)",
    "failed": "failed (without numbers)",
}
SIGMA_0 = "σ_{0}"
SUMS = {"sum": "summed", "mean": "averaged"}
MOST_LISTED = 6


def number(value: Any) -> str:
    """Return a value of a config for a reader: 20,000 and 0.03, none for a missing one."""
    if missing(value):
        return "none"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    value = float(value)
    if value.is_integer() and abs(value) < 1e15:
        return f"{int(value):,}" if abs(value) < 1e7 else f"{value:g}"
    return f"{value:.6g}"


def lead(layout: Layout) -> str:
    """Return the sweep in one sentence."""
    runs = layout.runs
    what = "networks" if _is(runs, "network.model", "two_layer_cnn") else "runs"
    model = _only(runs, "data.model")
    of = f" on data of the model {model}" if model and model != "none" else ""
    names = [optimizer_words(optimizer) for optimizer in layout.optimizers]
    several = _list(names if len(names) <= MOST_LISTED else [*names[:MOST_LISTED], "others"])
    over = f", over {_list([short(axis) for axis in layout.axes])}" if layout.axes else ""
    return f"{len(runs):,} {what}{of}, trained by {several}{over}; {_seeds(layout)} each."


def short(axis: Axis) -> str:
    """Return an axis with its range: `dimension d from 1,000 to 20,000 (10 values)`."""
    if not axis.numeric:
        return f"{words(axis.key)}: {', '.join(map(number, axis.values[:MOST_LISTED]))}"
    low, high = (number(axis.values[i]) for i in (0, -1))
    return f"{words(axis.key)} from {low} to {high} ({len(axis.values)} values)"


def facts(layout: Layout, expected: int) -> list[tuple[str, str]]:
    """Return what was swept as terms and descriptions; `expected` runs were planned."""
    runs = layout.runs
    found = [
        ("Data", _section(layout, "data.", "data.model")),
        ("Network", network(runs) if _is(runs, "network.model", "two_layer_cnn") else _section(layout, "network.")),
        *((f"Optimizer {i}", _optimizer(layout, str(o), o)) for i, o in enumerate(layout.optimizers, 1)),
        ("Training", _training(runs)),
        *((f"Axis {i}", short(axis) + _moves_with(layout, axis)) for i, axis in enumerate(layout.axes, 1)),
        ("Seeds", f"{_seeds(layout)} in every cell; runs of one seed share data, initial weights and batches."),
        ("Runs", ends(runs, expected)),
        ("Test error", error(runs)),
    ]
    return [(term, text) for term, text in found if text]


def network(runs: pd.DataFrame) -> str:
    """Return the architecture of a two-layer network, with the scale that gives its learning rate a meaning."""
    patches, filters = (SUMS.get(_only(runs, f"network.{k}") or "", "varying") for k in ("patches", "filters"))
    bias = {"True": "with bias", "False": "no bias"}.get(_only(runs, "network.bias") or "", "bias varies")
    scale = f"Scale: patches {patches}, filters {filters}" + " (1/m)" * (filters == "averaged") + f", {bias}"
    layer = _only(runs, "network.second_layer")
    return (
        f"Two layers, {_value(runs, 'network.n_filters')} filters per sign, activation "
        f"{_value(runs, 'network.activation')}, loss {_value(runs, 'network.loss')}, "
        f"second layer {layer or 'varying'}. "
        f"{scale}. Initial standard deviation {SIGMA_0}: {_value(runs, 'network.init_std')}"
        f"{_theory(runs, 'network.init_std')}."
    )


def error(runs: pd.DataFrame) -> str:
    """Return against which labels a recorded test error is measured."""
    if "test_error" not in runs:
        return ""
    flips = runs.get("data.flip_prob", pd.Series(0.0, runs.index))
    if not flips.gt(0).any():
        return "Against observed labels, which are the true ones: none is flipped."
    share = number(flips.iloc[0]) if flips.nunique() == 1 else f"{number(flips.min())} to {number(flips.max())}"
    return (
        f"test_error is measured against observed labels, of which a share of {share} is flipped: no classifier falls "
        "below that share. test_error_true is measured against true labels."
    )


def ends(runs: pd.DataFrame, expected: int) -> str:
    """Return how many runs ended how, and how many are missing."""
    counts = Counter(runs["status"])
    said = [f"{counts[end]:,} {text}" for end, text in ENDS.items() if counts[end]]
    absent = expected - len(runs)
    return (
        f"{len(runs):,} of {max(expected, len(runs)):,}: "
        + _list([*said, *([f"{absent:,} missing"] if absent > 0 else [])])
        + "."
    )


def constants(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """Return every setting that all runs share."""
    shared = [column for column in config_columns(runs) if column not in varying(runs)]
    return [(column, number(runs[column].iloc[0])) for column in shared if not missing(runs[column].iloc[0])]


def _section(layout: Layout, prefix: str, head: str = "") -> str:
    """Return the settings of a section: those that all runs share, and those that vary, by name."""
    runs, keys = layout.runs, [c for c in map(str, layout.runs) if c.startswith(prefix) and c != head]
    vary = varying(runs)
    shared = [f"{words(c)} = {number(runs[c].iloc[0])}" for c in keys if c not in vary and _tells(runs[c].iloc[0])]
    others = [words(c) for c in keys if c in vary and not c.endswith(".theory")]
    name = f"{_value(runs, head)}: " if head else ""
    return name + ("; ".join(shared) + "." if shared else "") + (f" Varying: {_list(others)}." if others else "")


def _tells(value: Any) -> bool:
    return not missing(value) and not (isinstance(value, bool | np.bool_) and not value)


def _optimizer(layout: Layout, name: str, label: Any) -> str:
    """Return an optimizer's settings, those that vary over the cells with their range."""
    runs = layout.runs[layout.runs[OPTIMIZER] == name]
    keys = [c for c in ("optimizer.lr", "optimizer.rho", "optimizer.start", "optimizer.stop", "optimizer.momentum")]
    keys += ["optimizer.weight_decay", "optimizer.substeps"]
    told = [c for c in keys if c in runs and not (runs[c].isna() | runs[c].eq(0)).all()]
    settings = [f"{words(c)} = {_value(runs, c)}{_theory(runs, c)}" for c in told]
    return f"{optimizer_words(label)}: {'; '.join(settings)}." if settings else f"{optimizer_words(label)}."


def _training(runs: pd.DataFrame) -> str:
    size, samples = runs["train.batch_size"], runs.get("data.n_samples")
    full = samples is not None and size.eq(samples).all()
    batch = "full batch" if full else f"batches of {_value(runs, 'train.batch_size')}"
    stop = runs.get("train.stop_at_train_loss")
    until = f", or until the train loss is {number(stop.iloc[0])}" if stop is not None and stop.notna().all() else ""
    return f"{_value(runs, 'train.n_steps')} steps{until}; {batch}."


def _moves_with(layout: Layout, axis: Axis) -> str:
    """Name the settings that the axis decides."""
    shown = {*layout.keys, "optimizer.name"}
    if not axis.numeric or len(layout.axes) < 1:
        return ""
    runs = layout.runs
    others = [c for c in varying(runs) if c not in shown and not c.startswith("optimizer.") and c != "seed"]
    moved = [c for c in others if runs.groupby(axis.key)[c].nunique().max() == 1 and not c.endswith(".theory")]
    return f"; with it {_list([symbol(c) for c in moved])}" if moved else ""


def _theory(runs: pd.DataFrame, column: str) -> str:
    """Say that a number is given in units of the theorem's scale."""
    c = runs.get(f"{column}.theory")
    known = c is not None and c.notna().any() and c.dropna().nunique() == 1
    return f" ({number(c.dropna().iloc[0])} × the theorem's scale)" if known and c is not None else ""


def _seeds(layout: Layout) -> str:
    keys = [*layout.keys, OPTIMIZER]
    return seeds(layout.runs.groupby(keys, dropna=False)["seed"].nunique())


def _value(runs: pd.DataFrame, column: str) -> str:
    """Return the value of a column, the few that there are, or their range."""
    if column not in runs or runs[column].dropna().empty:
        return "none"
    values = runs[column].dropna().drop_duplicates()
    if len(values) == 1:
        return number(values.iloc[0])
    if pd.api.types.is_numeric_dtype(values) and len(values) > 3:
        return f"{number(values.min())} to {number(values.max())}"
    return ", ".join(spelled(values.tolist())[:MOST_LISTED])


def _only(runs: pd.DataFrame, column: str) -> str | None:
    return str(runs[column].iloc[0]) if column in runs and runs[column].nunique(dropna=False) == 1 else None


def _is(runs: pd.DataFrame, column: str, value: str) -> bool:
    return _only(runs, column) == value


def _list(parts: list[str]) -> str:
    """Join with commas and a last `and`."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1] if parts else ""
