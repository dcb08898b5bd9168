"""What a comparison shows of a rule: its curves and those of its flow and SDE, their differences, their styles."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from featlearn.plots.caption import ends_early
from featlearn.plots.dynamics import BANDS, band_ends, refuse_cells
from featlearn.plots.mesh import require_numbers
from featlearn.plots.style import DASHES, page, toned
from featlearn.tables.columns import by_optimizer, counted, last_rows
from featlearn.tables.continuous import DYNAMICS, FLOW, ORDER, OWN, RULE, SDE
from featlearn.tables.labels import Label
from featlearn.tables.times import paired_over_steps, seed_quantiles

NAME = "optimizer.name"  # in the tables of this module the label of the optimizer
STYLES: Mapping[str, Mapping[str, Any]] = MappingProxyType(  # tone: a place in the palette, or ink
    {
        RULE: {"tone": None, "lw": 1.6},
        FLOW: {"tone": 1, "lw": 1.4, "ls": (0, (4, 1.5))},
        SDE: {"tone": 0, "lw": 1.4, "ls": (0, (1.6, 1.2))},
    }
)
MORE = (3, 2, 4, 5)  # of the second and further limits of one kind


@dataclass(frozen=True)
class Comparison:
    """One rule with its limits: the values and the differences (column, label, step, ...) and the runs behind them."""

    rule: Label
    lines: Mapping[Label, Mapping[str, Any]]  # with their styles; the first is what the others are compared with
    values: pd.DataFrame
    differences: pd.DataFrame
    runs: pd.DataFrame  # one row per run, the lost ones too
    early: str

    @property
    def first(self) -> Label:
        """Return what is subtracted: the rule, or the flow where there is no rule."""
        return next(iter(self.lines))

    def draw_values(self, ax: Axes, column: str, band: str, words: Mapping[Label, str]) -> None:
        """Draw the means with bands."""
        for line, style in self.lines.items():
            curve = self.values[(self.values["column"] == column) & (self.values[NAME] == line)]
            low, high = band_ends(curve, column, band)
            _draw(ax, curve, low, high, {**style, "label": words[line]})

    def draw_differences(self, ax: Axes, column: str) -> None:
        """Draw the mean differences with their intervals, and zero."""
        ax.axhline(0, color=page().grey, lw=0.8, zorder=0)
        for line in [*self.lines][1:]:
            curve = self.differences[(self.differences["column"] == column) & (self.differences[NAME] == line)]
            _draw(ax, curve, curve["low"], curve["high"], self.lines[line])

    @property
    def table(self) -> pd.DataFrame:
        """Return what is shown: the values, and beside them what is known of their differences."""
        names = {"mean": "difference", "se": "difference_se", "n": "pairs"}
        both = self.values.merge(self.differences.rename(columns=names), how="left", on=["column", NAME, "step"])
        full = {str(line): str(Label(line.name, self.rule.settings | line.settings)) for line in self.lines}
        return both.assign(**{NAME: both[NAME].map(full)}).rename(columns={NAME: "optimizer"})


def comparisons(
    rows: pd.DataFrame, columns: Sequence[str], optimizer: str | Collection[str] | None, band: str
) -> list[Comparison]:
    """Compute what is shown of every rule."""
    if band not in BANDS:
        raise ValueError(f"no band {band!r}; there are {', '.join(BANDS)}")
    require_numbers(rows, columns)
    rows = rows.reset_index(drop=True)
    alike = rows.drop(columns=[c for c in (DYNAMICS, *OWN) if c in rows])  # a rule and its limits have one label
    parts = {rule: rows.loc[part.index] for rule, part in by_optimizer(alike, optimizer).items()}
    found = [_comparison(rule, part, columns) for rule, part in parts.items()]
    shown = [comparison for comparison in found if len(comparison.lines) > 1]
    if not shown:
        only = ", ".join(line for c in found for line in c.lines) or "no run that finished"
        raise ValueError(f"a comparison takes two of rule, flow and SDE of one optimizer; here is {only}")
    if lost := [str(c.rule) for c in found if c not in shown]:
        warnings.warn(f"left out, as there are no two dynamics to compare: {', '.join(lost)}", stacklevel=3)
    for early in dict.fromkeys(c.early for c in shown if c.early):
        warnings.warn(early, stacklevel=3)
    return shown


def _comparison(rule: Label, rows: pd.DataFrame, columns: Sequence[str]) -> Comparison:
    """Follow one rule and its limits; a dynamics without a finished run is no line."""
    parts = by_optimizer(rows)
    refuse_cells(rows.drop(columns=[c for c in (DYNAMICS, *OWN) if c in rows]))
    there = [line for line, part in parts.items() if not counted(part).empty]
    if len(there) > 1 and (lost := [line for line in parts if line not in there]):
        warnings.warn(f"left out, as every run diverged or failed: {', '.join(lost)}", stacklevel=4)
    lines = _styled(sorted(there, key=lambda line: ORDER.index(line.dynamics)))
    named = pd.concat([part.assign(**{NAME: str(line)}) for line, part in parts.items() if line in lines] or [rows])
    values, differences = [], []
    for column in columns if len(lines) > 1 else ():
        values.append(seed_quantiles(named, column, NAME).assign(column=column))
        first, *others = lines
        minus = {str(line): paired_over_steps(named, column, NAME, line, first) for line in others}
        differences.append(pd.concat(minus, names=[NAME]).reset_index(NAME).assign(column=column))
    curves, pairs = (
        pd.concat(found, ignore_index=True) if found else pd.DataFrame() for found in (values, differences)
    )
    return Comparison(rule, lines, curves, pairs, last_rows(rows), ends_early(rows))


def _styled(lines: Sequence[Label]) -> dict[Label, Mapping[str, Any]]:
    """Return a style for every line: that of its dynamics, with another colour and dash for a second one of a kind."""
    before = [sum(other.dynamics == line.dynamics for other in lines[:i]) for i, line in enumerate(lines)]
    spare = iter(MORE * len(lines))
    return {
        line: {**STYLES[line.dynamics], **({"tone": next(spare), "ls": DASHES[3]} if n else {})}
        for line, n in zip(lines, before, strict=True)
    }


def _draw(
    ax: Axes, curve: pd.DataFrame, low: pd.Series[float], high: pd.Series[float], style: Mapping[str, Any]
) -> None:
    """Draw a line with a band; what is infinite is a gap."""
    style = toned(style)
    ax.plot(curve["step"], curve["mean"].where(np.isfinite(curve["mean"])), **style)
    ax.fill_between(curve["step"], low, high, color=style["color"], alpha=0.15, linewidth=0)
