"""A section of a report: one store, as the words and numbers that the page shows."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from featlearn.reports import prose
from featlearn.reports.boundaries import boundaries, exponents
from featlearn.reports.grids import differences, is_share, means, pairs, quantities
from featlearn.reports.labels import optimizer_words, words
from featlearn.reports.layout import OPTIMIZER, Axis, Layout, layout
from featlearn.reports.moments import Moment, moments
from featlearn.reports.numbers import exact
from featlearn.reports.sources import Source, named, selection
from featlearn.reports.trajectories import trajectories
from featlearn.tables.columns import counted


@dataclass(frozen=True)
class Section:
    """A store in words, for the template, and in numbers, for the script. data is None where no run has finished."""

    source: Source
    id: str
    lead: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    constants: list[tuple[str, str]] = field(default_factory=list)
    exponents: list[dict[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    data: dict[str, Any] | None = None

    @property
    def config_file(self) -> str:
        """Return the name of the file that the sweep's config came from, or one for it."""
        return shlex.quote(named(Path(str(self.source.config.get("path") or f"{self.source.name}.yaml"))))

    @property
    def store(self) -> str:
        """Return the store's path as a word of a shell."""
        return shlex.quote(named(self.source.path))

    @property
    def selection(self) -> str:
        """Return the options that select the runs, with a space before each."""
        chosen = "".join(f" --where {shlex.quote(text)}" for text in selection(self.source.where))
        return chosen + " --all-sweeps" * self.source.all_sweeps

    @property
    def one_run(self) -> str:
        """Return the id of a run that finished."""
        return str(counted(self.source.last)["run_id"].iloc[0])


def section(source: Source, number: int) -> Section:
    """Compute everything that the page shows of a store."""
    name = f"sweep{number}"
    finished = counted(source.last)
    if finished.empty:
        return Section(source, name)
    plan = layout(source.last)
    shown, left_out = quantities(plan)
    return Section(
        source,
        name,
        prose.lead(plan),
        _facts(source, plan),
        prose.constants(plan.runs),
        exponents(plan, "test_error"),
        left_out,
        _data(source, plan, shown, name) if shown else None,
    )


def _facts(source: Source, plan: Layout) -> list[tuple[str, str]]:
    chosen = [("Selection", "; ".join(selection(source.where)))] if source.where else []
    return [*chosen, *prose.facts(plan, source.expected)]


def _data(source: Source, plan: Layout, shown: list[str], name: str) -> dict[str, Any]:
    """Return the numbers that the script draws."""
    rows = source.rows()
    at = moments(plan, rows, shown)
    return {
        "id": name,
        "name": source.name,
        "axes": [_axis(axis) for axis in plan.axes],
        "optimizers": [optimizer_words(optimizer) for optimizer in plan.optimizers],
        "along": _along(plan),
        "pairs": [list(pair) for pair in pairs(plan)],
        "quantities": [{"key": q, "label": words(q), "share": is_share(q)} for q in shown],
        "moments": [{"key": m.key, "label": m.label, "short": m.short} for m in at],
        "grids": {m.key: {q: _grids(plan, m, q) for q in shown} for m in at},
        "trajectories": trajectories(plan, _placed(plan, rows), shown),
    }


def _grids(plan: Layout, moment: Moment, value: str) -> dict[str, Any]:
    return {
        "means": means(plan, moment, value),
        "differences": differences(plan, moment, value),
        "boundaries": boundaries(plan, moment, value),
    }


def _axis(axis: Axis) -> dict[str, Any]:
    values = exact(axis.values) if axis.numeric else [*map(prose.number, axis.values)]
    return {"key": axis.key, "label": words(axis.key), "values": values, "numeric": axis.numeric, "log": axis.log}


def _along(plan: Layout) -> list[list[bool]]:
    """Return for every optimizer which of the axes it has: on another one it is the same everywhere."""
    have = {optimizer: keys for keys, optimizers in plan.groups() for optimizer in optimizers}
    return [[key in have[optimizer] for key in plan.keys] for optimizer in plan.optimizers]


def _placed(plan: Layout, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the recorded steps with the axes and the optimizer of their runs."""
    own = plan.runs[["run_id", OPTIMIZER, *plan.keys]]
    return rows.drop(columns=[c for c in own if c != "run_id"], errors="ignore").merge(own, on="run_id")
