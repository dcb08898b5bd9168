"""The kinds of figure that the command line knows by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from featlearn.lookup import spelled
from featlearn.plots.boundary import boundary_figure
from featlearn.plots.caption import kept
from featlearn.plots.curve import curve_figure
from featlearn.plots.difference import difference_figure
from featlearn.plots.dynamics import dynamics_figure
from featlearn.plots.edge import edge_figure
from featlearn.plots.panels import SheetOptions
from featlearn.plots.phase import phase_figure

Draw = Callable[[pd.DataFrame, Mapping[str, Any]], tuple[Figure, pd.DataFrame]]


def kind(figure: Callable[..., tuple[Figure, pd.DataFrame]]) -> Draw:
    """Return `draw(rows, options)` for a figure, with its keyword arguments as a mapping.

    An option that is None counts as not given. `draw` raises ValueError for an option that the figure
    does not have.
    """
    own = [name for name, p in signature(figure).parameters.items() if p.kind is p.KEYWORD_ONLY]
    known = [name for name in (*own, *SheetOptions.__annotations__) if name != "kept"]

    def draw(rows: pd.DataFrame, options: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
        given = {name: value for name, value in options.items() if value is not None}
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ValueError(f"this figure has no option {unknown[0]!r}; it has {', '.join(known)}")
        where = given.get("where", {})
        drawn, table = figure(rows, **given, kept=kept(where))
        return drawn, table.assign(**{key: _one(value) for key, value in where.items() if key not in table})

    return draw


def _one(value: Any) -> Any:
    """Return the value that a condition keeps, of several their list as text."""
    several = value if isinstance(value, list | tuple) else [value]
    return several[0] if len(several) == 1 else ", ".join(spelled(several))


KINDS: dict[str, Draw] = {
    "curve": kind(curve_figure),
    "phase": kind(phase_figure),
    "difference": kind(difference_figure),
    "dynamics": kind(dynamics_figure),
    "boundary": kind(boundary_figure),
    "edge": kind(edge_figure),
}
