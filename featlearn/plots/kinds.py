"""The kinds of figure that the command line knows by name, and the options of each, read from its function."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import getdoc, signature
from typing import Any, get_type_hints

import pandas as pd
from matplotlib.figure import Figure

from featlearn.lookup import spelled
from featlearn.plots.boundary import boundary_figure
from featlearn.plots.caption import kept
from featlearn.plots.compare import compare_figure
from featlearn.plots.curve import curve_figure
from featlearn.plots.difference import difference_figure
from featlearn.plots.dynamics import dynamics_figure
from featlearn.plots.edge import edge_figure
from featlearn.plots.panels import SheetOptions
from featlearn.plots.phase import phase_figure
from featlearn.tables.steps import at_step
from featlearn.tables.times import at_train_loss as rows_at_train_loss

MEANING = re.compile(r"^(\w+): (.*(?:\n(?!\w+: ).+)*)", re.MULTILINE)  # of an option, in a docstring


@dataclass(frozen=True)
class Option:
    """A keyword argument of a function: its annotation, its default, and its line of the docstring."""

    annotation: Any
    default: Any
    meaning: str


def options(function: Callable[..., Any]) -> dict[str, Option]:
    """Return the keyword arguments of a function by name."""
    parameters = signature(function).parameters.items()
    return _described(function, {name: p.default for name, p in parameters if p.kind is p.KEYWORD_ONLY})


def _described(source: Any, defaults: Mapping[str, Any]) -> dict[str, Option]:
    """Return options by name, their annotations and meanings from the function or class that has them."""
    hints, meanings = get_type_hints(source), dict(MEANING.findall(getdoc(source) or ""))
    texts = {name: " ".join(meanings.get(name, "").split()) for name in defaults}
    return {name: Option(hints[name], default, texts[name]) for name, default in defaults.items()}


NOT_GIVEN: dict[str, Any] = {"title": None, "size": None, "dark": False, "caption": None}
SHEET = _described(SheetOptions, NOT_GIVEN)


@dataclass(frozen=True)
class Kind:
    """A kind of figure: the function that draws it from rows of a store, and its options.

    over_steps: whether it shows runs over all recorded steps; any other reads each run once, at its last step unless
        the options `step` or `at_train_loss` choose another.
    """

    figure: Callable[..., tuple[Figure, pd.DataFrame]]
    over_steps: bool = False

    @cached_property
    def options(self) -> dict[str, Option]:
        """Return the options by name: those of the function, of reading a run once, and of the sheet."""
        return options(self.figure) | ({} if self.over_steps else options(read_once)) | SHEET

    @property
    def summary(self) -> str:
        """Return what the figure shows, the first paragraph of its docstring."""
        return " ".join((getdoc(self.figure) or "").partition("\n\n")[0].split())

    def __call__(self, rows: pd.DataFrame, options: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
        """Draw the figure; return it and the table that it shows. An option that is None counts as not given.

        Raises ValueError for an option that the figure does not have.
        """
        given = {name: value for name, value in options.items() if value is not None}
        unknown = [name for name in given if name not in self.options]
        if unknown:
            raise ValueError(f"this figure has no option {unknown[0]!r}; it has {', '.join(self.options)}")
        if not self.over_steps:
            rows = read_once(rows, step=given.pop("step", None), at_train_loss=given.pop("at_train_loss", None))
        where = given.get("where", {})
        drawn, table = self.figure(rows, **given, kept=kept(where))
        return drawn, table.assign(**{key: _one(value) for key, value in where.items() if key not in table})


def read_once(rows: pd.DataFrame, *, step: int | None = None, at_train_loss: float | None = None) -> pd.DataFrame:
    """Return the rows at which every run is read: all of them, of which figures draw the last, if nothing is given.

    step: read runs at this step, not at their last.
    at_train_loss: read runs when their train loss first reaches this.

    Raises ValueError if both are given, or if no run was recorded there.
    """
    if step is not None and at_train_loss is not None:
        raise ValueError("--step and --at-train-loss both choose where a run is read: give one of them")
    if step is not None:
        return at_step(rows, step)
    return rows if at_train_loss is None else _reached(rows, at_train_loss)


def _reached(rows: pd.DataFrame, loss: float) -> pd.DataFrame:
    """Read the runs at a train loss. Raises ValueError if none reaches it."""
    table = rows_at_train_loss(rows, loss)
    if not table["reached"].any():
        least = rows["train_loss"].min()
        raise ValueError(f"no run reaches a train loss of {loss:g}; the smallest that was recorded is {least:g}")
    return table


def _one(value: Any) -> Any:
    """Return the value that a condition keeps, of several their list as text."""
    several = value if isinstance(value, list | tuple) else [value]
    return several[0] if len(several) == 1 else ", ".join(spelled(several))


KINDS: dict[str, Kind] = {
    "curve": Kind(curve_figure),
    "phase": Kind(phase_figure),
    "difference": Kind(difference_figure),
    "dynamics": Kind(dynamics_figure, over_steps=True),
    "compare": Kind(compare_figure, over_steps=True),
    "boundary": Kind(boundary_figure),
    "edge": Kind(edge_figure, over_steps=True),
}
