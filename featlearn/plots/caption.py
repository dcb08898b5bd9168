"""Captions: the seeds that a figure averages, the step, how far the runs were trained, and what every mark means."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

from featlearn.lookup import spelled
from featlearn.plots.style import label, page, setting, title
from featlearn.tables.columns import by_optimizer, cell_columns, counted, last_rows
from featlearn.tables.labels import Label, texts

GLUE = "\0"  # in place of the spaces around a sign of equality, which do not break
FORMULA = r"\$[^$]+\$"
EARLY = 0.8  # records that end before this share of a run's steps leave out a part that may matter


def caption(figure: Figure, sentences: list[str]) -> Text:
    """Write sentences below a figure, wrapped to its width, and return the text; empty sentences are left out."""
    text = " ".join(s for s in sentences if s).replace(" = ", f"{GLUE}={GLUE}")
    formulas = re.findall(FORMULA, text)
    text = re.sub(FORMULA, lambda formula: "\1" * _letters(formula[0]), text)
    words = figure.supxlabel("", x=0.02, ha="left", fontsize=7.5, color=page().grey)
    for letters in range(int(21 * figure.get_figwidth()), 20, -2):
        words.set_text(_filled(text, formulas, letters).replace(GLUE, " "))
        if words.get_window_extent().width < 0.96 * figure.bbox.width:
            break
    return words


def _filled(text: str, formulas: list[str], letters: int) -> str:
    """Return a text in lines of so many letters, with its formulas in their places."""
    there = iter(formulas)
    return re.sub("\1+", lambda _: next(there), textwrap.fill(text, letters, break_on_hyphens=False))


def _letters(formula: str) -> int:
    """Return how many letters of text are about as wide as a formula."""
    symbols = re.sub(r"\\(?:overline|sqrt|[,;!])", "", formula)
    return max(1, len(re.sub(r"[{}^_$ \0]", "", re.sub(r"\\[a-zA-Z]+", "x", symbols))))


def kept(where: Mapping[str, Any]) -> str:
    """Return the conditions that chose the rows: `Only $d$ = 4000, 8000; name = sam.`"""
    several = {key: value if isinstance(value, list | tuple) else [value] for key, value in where.items()}
    parts = [setting(key.removeprefix("optimizer."), ", ".join(spelled(values))) for key, values in several.items()]
    return "Only " + "; ".join(parts) + "." if parts else ""


def seeds(n: pd.Series[int], word: str = "seed") -> str:
    """Return over how many seeds (or pairs) the means are taken, from the counts of the cells: `2 to 3 seeds`."""
    if not n.any():
        return f"no {word}"
    low, high = int(n[n > 0].min()), int(n.max())
    return f"{low} to {high} {word}s" if low < high else f"{high} {word}{'s' * (high > 1)}"


def settings(runs: pd.DataFrame, axes: Sequence[str] = ()) -> str:
    """Return the learning rate and the radius where they are constant: `All at lr = 0.01; SAM at rho = 0.03.`

    What an axis or the label of an optimizer says is left out.
    """
    parts, said = by_optimizer(runs, ignore=axes), dict[str, list[str]]()
    for column in (c for c in ("optimizer.lr", "optimizer.rho") if not {c, f"{c}.theory"} & {*axes}):
        found: dict[str, list[str]] = {}
        for name, part in parts.items():
            if words := _constant(column, name, part):
                found.setdefault(words, []).append(title(Label(name.name)))
        for words, names in found.items():
            who = "All" if len(names) == len(parts) else " and ".join(dict.fromkeys(names))
            said.setdefault(who, []).append(words)
    text = "; ".join(f"{who} at {', '.join(words)}" for who, words in said.items())
    return f"{text}." if text else ""


def _constant(column: str, name: Label, part: pd.DataFrame) -> str:
    """Return the one value of a column as `rho = 0.03`, as that of theory where it is given so; "" if it is not one."""
    key, theory = column.removeprefix("optimizer."), f"{column}.theory"
    given = theory if theory in part and part[theory].notna().all() else column
    if given not in part or {key, f"{key}.theory"} & {*name.settings}:
        return ""
    values = texts(part[given].drop_duplicates())
    return setting(given.removeprefix("optimizer."), str(values[0])) if len(values) == 1 and values[0] else ""


def at_one_loss(runs: pd.DataFrame) -> bool:
    """Whether a table is one of `featlearn.tables.at_train_loss`."""
    return {"reached", "train_loss_level"} <= {*runs}


def moment(runs: pd.DataFrame) -> str:
    """Return at which step the runs are drawn, from a table with one row per run: `at step 5 of 40`."""
    ends = counted(runs) if len(counted(runs)) else runs
    steps, asked = ends["step"].dropna(), ends.get("train.n_steps", ends["step"]).loc[ends["step"].notna()]
    if steps.empty:
        return "at no step"
    if at_one_loss(runs):
        level = f"{runs['train_loss_level'].iloc[0]:g}"
        return f"where the train loss first reaches {level}, at steps {steps.min():.3g} to {steps.max():.3g}"
    low, high, cut = f"{steps.min():g}", f"{steps.max():g}", _cut_short(ends)
    known = "train.n_steps" in ends and asked.nunique() == 1
    if low == high and known and (asked == steps).all():
        return f"at the last step, {low}"
    if low == high or (cut.any() and (steps[ends["status"] != "fitted"] == steps.max()).all()):
        before = f", or at the last of runs that fitted before, from {low} on" if low != high else ""
        return f"at step {high}" + (f" of {asked.iloc[0]:g}" if known else "") + before
    return f"at the {'last recorded' if cut.any() else 'last'} step of every run, {low} to {high}"


def _cut_short(runs: pd.DataFrame) -> pd.Series[bool]:
    """Return which runs continued after the step at which the table has them, as far as the table shows."""
    return (runs["status"] != "fitted") & (runs.get("step", np.inf) < runs.get("train.n_steps", -np.inf))


def loss_range(runs: pd.DataFrame) -> str:
    """Return the range of the train losses of the counted runs: a comparison is fair only at equal ones.

    For runs that are read at one train loss, return how many never reach it.
    """
    if at_one_loss(runs):
        never = int((~counted(runs)["reached"]).sum())
        return f"Runs that never reach it ({never}) are left out." if never else ""
    if "train_loss" not in runs or counted(runs)["train_loss"].isna().all():
        return ""
    low, high = (f"{end:.2g}" for end in counted(runs)["train_loss"].agg(["min", "max"]))
    word = "Train" if _cut_short(counted(runs)).any() else "Final train"
    return f"{word} losses of single runs: {low if low == high else f'{low} to {high}'}."


def ends_early(rows: pd.DataFrame) -> str:
    """Return where the records end if they end long before the runs, from a table of all recorded steps."""
    ends = counted(last_rows(rows))
    early = ends[_cut_short(ends) & (ends["step"] < EARLY * ends.get("train.n_steps", 0))]
    if early.empty:
        return ""
    last = early.sort_values("step").iloc[0]
    return f"Records end at step {last['step']:g} of {last['train.n_steps']:g}: what comes later is not shown."


def swept(runs: pd.DataFrame, grid: pd.DataFrame) -> str:
    """Return which column was swept, where cells of a grid are empty because an axis follows from that column."""
    axes = [str(column) for column in grid.columns[:2]]
    columns = cell_columns(runs)
    for axis in axes:
        given = [c for c in columns if c not in axes and runs[c].nunique() < runs[axis].nunique()]
        if axis not in columns and given:
            return f"The sweep is over {label(given[0])}, from which {label(axis)} follows: other cells hold no run."
    return ""
