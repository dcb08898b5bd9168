"""Phase diagrams as tables: the mean of every cell, where it crosses a level, and the law that fits."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from featlearn.tables.columns import config_columns, counted, places, refuse_twins, require, varying
from featlearn.tables.dtypes import plain, refuse_names
from featlearn.tables.intervals import moments
from featlearn.theory.boundaries import BoundaryLaw
from featlearn.theory.laws import LAWS, NORM, Law

GRID = ("mean", "se", "n", "diverged", "failed")


class Constant(NamedTuple):
    """The fitted constant of a law, its standard error, and the number of points it was fitted to."""

    c: float
    se: float
    n: int


def phase_grid(summary: pd.DataFrame, x: str, y: str, value: str) -> pd.DataFrame:
    """Average over seeds, one row per cell that holds a run: x, y, mean, se, n, diverged, failed.

    n is the number of runs in the mean, se the standard error over them (NaN for n = 1); a cell without a
    counted run has a NaN mean, one with an infinite value an infinite mean and no se. As a matrix:
    `grid.pivot(index=y, columns=x, values="mean")`.
    """
    require(summary, ["status", "seed", x, y, value])
    refuse_names([x, y], GRID)
    runs = places(plain(summary).dropna(subset=[x, y]), [x, y])
    refuse_twins(runs, [x, y, "seed"])
    ends = {end: (runs["status"] == end).groupby([runs[x], runs[y]]).sum() for end in ("diverged", "failed")}
    table = pd.DataFrame(ends).join(moments(counted(runs), [x, y], value)).reset_index()
    table["n"] = table["n"].fillna(0).astype(int)
    return table[list(dict.fromkeys([x, y, *GRID]))]


def boundary(
    summary: pd.DataFrame, x: str, y: str, value: str, level: float, *, log: bool | None = None
) -> pd.DataFrame:
    """Find, for every x, the y at which the seed mean crosses `level`.

    The table has the columns x, y, `crossings`, and those of `data.*` that hold one value. The mean is
    taken linear in log y between neighbouring cells that have one and lie above zero, as power laws are fitted, and
    linear in y beside a cell at or below zero; with `log` False everywhere in y. The first crossing
    from small y is taken; `crossings` counts them all, so that noise shows. y is NaN where there is none.
    Raises ValueError where a y is not positive and `log` is True.
    """
    refuse_names([x, y], ["crossings"])
    summary = plain(summary)
    grid = phase_grid(summary, x, y, value).dropna(subset="mean")
    if log and (grid[y] <= 0).any():
        raise ValueError(f"{y} has no logarithm at {grid[y].min():g}")
    rows = []
    for place, column in grid.groupby(x):
        height = column["mean"].to_numpy(dtype=float) - level
        found = crossings(column[y], height, log=log is not False)
        rows.append((place, found[0] if len(found) else np.nan, len(found)))
    table = pd.DataFrame(rows, columns=[x, y, "crossings"])
    free = {x, y, *varying(summary)}
    fixed = [c for c in config_columns(summary) if c.startswith("data.") and c not in free]
    return table.assign(**{c: summary[c].iloc[0] for c in fixed})


def fit_constant(boundary_table: pd.DataFrame, law: BoundaryLaw | Law) -> Constant:
    """Fit the constant of a theory law to a measured boundary: the geometric mean of measured / law(c = 1).

    law: one of `featlearn.theory.LAWS`, or its function, which is linear in c. Its arguments are read from their
    columns; the measured strength is the law's own, for a signal norm also `data.snr` made into one. The standard error
    is that of the points' spread around the law (NaN for one point), not of the seeds. Raises ValueError
    if no point has a crossing.
    """
    law = law if isinstance(law, Law) else _law_of(law)
    by_ratio = law.strength == NORM and NORM not in boundary_table
    strength, columns = "data.snr" if by_ratio else law.strength, [*law.arguments.values()]
    require(boundary_table, [strength, *columns])
    points = plain(boundary_table).dropna(subset=[strength, *columns]).astype({c: float for c in (strength, *columns)})
    if points.empty:
        raise ValueError("the measured boundary has no crossing: there is no constant to fit")
    unit = points["data.noise_std"] * points["data.dim"] ** 0.5 if by_ratio else 1.0
    shape = law(1.0, **{name: points[column].to_numpy(dtype=float) for name, column in law.arguments.items()})
    ratio = np.log(points[strength] * unit / shape)
    c = float(np.exp(ratio.mean()))
    return Constant(c, c * float(ratio.sem()), len(points))


def _law_of(boundary: BoundaryLaw) -> Law:
    """Return the law of a function; one that is in no law is a signal norm over the arguments of sgd_boundary."""
    own = (law for law in LAWS.values() if law.boundary is boundary)
    return next(own, replace(LAWS["sgd"], boundary=boundary))


def crossings(position: ArrayLike, height: NDArray[np.float64], *, log: bool = True) -> NDArray[np.float64]:
    """Return the places where a line through (position, height) changes side of zero, in order.

    It is straight in the logarithm of the position between two positive ones if `log`, elsewhere in the position.
    Beside an infinite height the place is at the finite one, halfway between two.
    """
    at, height = np.asarray(position, dtype=float), np.nan_to_num(height, nan=np.nan, posinf=1e300, neginf=-1e300)
    left = np.flatnonzero((height[1:] > 0) != (height[:-1] > 0))
    share = height[left] / (height[left] - height[left + 1])
    first, second = at[left], at[left + 1]
    found = first + share * (second - first)
    if log:
        above = first > 0
        a, b = np.log(first[above]), np.log(second[above])
        found[above] = np.exp(a + share[above] * (b - a))
    return np.asarray(found)
