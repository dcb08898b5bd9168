"""A theory boundary over a phase diagram: its constant given, or fitted to where the mean crosses a level."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from featlearn.plots.mesh import edges, geometric
from featlearn.plots.style import INK
from featlearn.tables.cells import boundary, fit_constant
from featlearn.tables.columns import SIGNALS, listed
from featlearn.tables.continuous import optimizer_names
from featlearn.theory.laws import LAWS, NORM, SETTINGS, Law
from featlearn.theory.scales import sam_radius

FACTORS = {  # of the radius that SAM's theorem supposes, with their columns
    "n_filters": "network.n_filters",
    "batch_size": "train.batch_size",
    "n_patches": "data.n_patches",
    "noise_std": "data.noise_std",
    "dim": "data.dim",
}
OUTSIDE = "the theorem's conditions do not hold"
RADIUS = r"m\sqrt{B}/(P\sigma_p\sqrt{d})", "m sqrt(B) / (P noise_std sqrt(dim))"


@dataclass(frozen=True)
class LawLine:
    """A law in the plane of a phase diagram, with its constant and whether that was fitted.

    outside: places x [k] and y [l], and whether the law's conditions fail there [l, k]; None where it states none.
    """

    law: str
    c: float
    fitted: bool
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    outside: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]] | None = None

    @property
    def label(self) -> str:
        """Return the formula and its constant, for a legend."""
        return f"{self.formula}, $C = {self.c:.3g}$ {'fitted' if self.fitted else 'given'}"

    @property
    def formula(self) -> str:
        """Return the formula, for a legend."""
        law = LAWS[self.law]
        return rf"theory ${law.symbol} = C\,{law.formula}$"

    def draw(self, ax: Axes, whose: str = "", *, one_of_many: bool = False) -> None:
        """Draw the line, white between dark edges, without moving the limits of the axes; `whose` goes in its label.

        The label of `one_of_many` has no constant.
        """
        words = self.formula if one_of_many else self.label
        limits = ax.get_xlim(), ax.get_ylim()
        edge = [withStroke(linewidth=2.4, foreground=INK)]
        ax.plot(self.x, self.y, color="white", lw=1.2, path_effects=edge, label=whose + words, zorder=4)
        self._shade(ax)
        ax.set(xlim=limits[0], ylim=limits[1])

    def _shade(self, ax: Axes) -> None:
        """Shade where the conditions fail, with dots."""
        if self.outside is None or not self.outside[2].any():
            return
        x, y, fails = self.outside
        grey = (0.6, 0.6, 0.6, 0.5)
        cells = ax.contourf(x, y, fails.astype(float), levels=[0.5, 1.5], colors=[grey], hatches=["...."], zorder=3)
        cells.set(edgecolor="white", linewidth=0)
        nowhere = [np.nan] * 3  # for the legend
        ax.fill(nowhere, nowhere, facecolor=grey, edgecolor="white", lw=0, hatch="....", label=OUTSIDE)


@dataclass(frozen=True)
class Overlay:
    """Which law to lay over a diagram, and how its constant is found.

    theory: a law of `featlearn.theory.LAWS`, `none` (or None), or `auto`: the optimizer's own,
    where it applies. constant: the law's constant, or None to fit it. level: where the mean is measured,
    or None for 0.1 above the floor of a test error (the margin in Chen et al. 2023).
    """

    theory: str | None = "auto"
    constant: float | None = None
    level: float | None = None

    def crossings(self, runs: pd.DataFrame, x: str, y: str, value: str) -> tuple[float | None, pd.DataFrame]:
        """Return the level and where the seed mean crosses it along the strength's axis (along x if none is).

        The place between two cells is that of `featlearn.tables.boundary`.
        """
        level = default_level(runs, value) if self.level is None else self.level
        if level is None:
            return None, pd.DataFrame(columns=[x, y])
        along, other = (y, x) if y in strengths(runs) else (x, y)
        points = boundary(runs, other, along, value, level)
        return level, points.dropna(subset=[x, y])

    def line(self, runs: pd.DataFrame, x: str, y: str, points: pd.DataFrame) -> LawLine | None:
        """Return the law's line, or None; a law requested by name raises ValueError where it fails."""
        law = own_law(runs) if self.theory == "auto" else self.theory
        if law is None or law == "none":
            return None
        with suppress(ValueError) if self.theory == "auto" else nullcontext():
            return boundary_line(runs, x, y, law, self.constant, points)
        return None

    def why_none(self, runs: pd.DataFrame, x: str, y: str, points: pd.DataFrame) -> str:
        """Return why the optimizer's own law is not drawn where its axes and crossings are there; "" elsewhere."""
        there = self.theory == "auto" and len(points) and (x in strengths(runs)) != (y in strengths(runs))
        return why_no_law(runs) if there else ""


def boundary_line(runs: pd.DataFrame, x: str, y: str, law: str, c: float | None, points: pd.DataFrame) -> LawLine:
    """Return a law's line over x and y, with constant c, or fitted to the measured points.

    Raises ValueError if the law is unknown, if it is SAM's and the radius does not follow it, if not exactly one axis
    is the signal, if what the law needs is neither an axis nor one number, or if there is no point to fit to.
    """
    if law not in LAWS:
        raise ValueError(f"no theory {law!r}; there are {', '.join(LAWS)}")
    if unmet := _unmet(runs, {"data.model": SETTINGS[law]["data.model"]}):
        raise ValueError(f"the law {law!r} cannot be drawn: {unmet}")
    if law == "sam" and not radius_follows(runs):
        radii = listed(runs["optimizer.rho"])
        raise ValueError(f"SAM's law supposes a radius in proportion to {RADIUS[1]}; here optimizer.rho takes {radii}")
    theory, names = LAWS[law], _names(law)
    if (x in names) == (y in names):
        what = "the signal" if theory.strength == NORM else theory.strength
        raise ValueError(f"a theory boundary needs {what} on one axis: {' or '.join(names)}")
    along, other = (x, y) if x in names else (y, x)
    if c is None and len(points) == 1:
        raise ValueError("a single crossing fits any law: give its constant")
    fixed = {column: _one(runs, column) for column in theory.arguments.values() if column != other}
    points = points.assign(**{column: value for column, value in fixed.items() if column not in points})
    constant = fit_constant(points, theory).c if c is None else c
    place = _fine(runs[other])
    numbers = {name: place if column == other else fixed[column] for name, column in theory.arguments.items()}
    strength = theory(constant, **numbers) * np.ones_like(place)
    unit = numbers["noise_std"] * numbers["dim"] ** 0.5 if along == "data.snr" else 1.0
    line_x, line_y = (strength / unit, place) if along == x else (place, strength / unit)
    outside = _outside(theory, _fine(runs[along]), unit, numbers, along == x)
    return LawLine(law, constant, c is None, line_x, line_y, outside)


def _outside(
    law: Law, along: NDArray[np.float64], unit: Any, numbers: Mapping[str, Any], turned: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]] | None:
    """Return where a law's conditions fail, at strengths ``along`` in some unit and arguments, one of them an array.

    turned: whether the strength is the horizontal axis.
    """
    if law.conditions is None:
        return None
    (place,) = (x for x in numbers.values() if isinstance(x, np.ndarray))
    fails = ~law.conditions(along[:, None] * unit, **numbers)
    fails = np.broadcast_to(fails, (len(along), len(place)))
    return (along, place, fails.T) if turned else (place, along, fails)


def own_law(runs: pd.DataFrame) -> str | None:
    """Return the law that a theorem states for these runs, SAM's only where the radius follows it; None without one."""
    law = _law_of_optimizer(runs)
    if law is None or _unmet(runs, SETTINGS[law]):
        return None
    return None if law == "sam" and not ("optimizer.rho" in runs and radius_follows(runs)) else law


def why_no_law(runs: pd.DataFrame) -> str:
    """Return, as a sentence, in what these runs differ from the setting of their optimizer's law; "" if in nothing."""
    law = _law_of_optimizer(runs)
    unmet = _unmet(runs, SETTINGS[law]) if law else ""
    return f"No law is drawn: {unmet}." if unmet else ""


def _law_of_optimizer(runs: pd.DataFrame) -> str | None:
    """Return the law whose theorem is about the one optimizer of these runs, and if there is one, about their data."""
    names = optimizer_names(runs).unique().tolist()
    own = [law for law, setting in SETTINGS.items() if names == [setting.get("optimizer.name")]]
    of_data = [law for law in own if not _unmet(runs, {"data.model": SETTINGS[law]["data.model"]})]
    return next(iter([*of_data, *own]), None)


def strengths(runs: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns in which a boundary of these runs may be: the signal's, and that of their data model's law."""
    law = _law_of_optimizer(runs)
    return SIGNALS if law is None else (*dict.fromkeys((*SIGNALS, *_names(law))),)


def _names(law: str) -> tuple[str, ...]:
    """Return the columns that hold a law's strength."""
    return SIGNALS if LAWS[law].strength == NORM else (LAWS[law].strength,)


def _unmet(runs: pd.DataFrame, setting: Mapping[str, str]) -> str:
    """Return the first key in which runs differ from the setting of a theorem; a key that their table lacks is met."""
    for key, word in setting.items():
        found = runs[key].dropna() if key in runs else runs.iloc[:0, 0]
        if not found.eq(word).all():
            return f"the theorem supposes {key} = {word}, and here it is {listed(found)}"
    return ""


def radius_follows(runs: pd.DataFrame) -> bool:
    """Whether rho is everywhere the same multiple of `featlearn.theory.sam_radius`, as SAM's theorem supposes.

    So it is where it is given as one `{theory: c}`. Factors that the table does not hold are taken to be constant.
    Runs without a radius have none that could follow.
    """
    theory = runs.get("optimizer.rho.theory")
    if theory is not None and theory.notna().all():
        return bool(theory.nunique() == 1)
    if "optimizer.rho" not in runs:
        return True
    factors = [_numbers(runs, column) for column in FACTORS.values()]
    radii = [sam_radius(1.0, **dict(zip(FACTORS, run, strict=True))) for run in zip(*factors, strict=True)]
    multiples = runs["optimizer.rho"].astype(float) / radii
    return not multiples.max() > multiples.min() * (1 + 1e-6)


def _numbers(runs: pd.DataFrame, column: str) -> list[float]:
    """Return a column's numbers, ones where it is missing or holds none."""
    known = column in runs and pd.api.types.is_numeric_dtype(runs[column])
    return runs[column].astype(float).tolist() if known else [1.0] * len(runs)


def default_level(runs: pd.DataFrame, value: str) -> float | None:
    """Return 0.1 above the floor of a test error, the share of flipped labels; None for another value."""
    floors = runs["data.flip_prob"].unique() if value == "test_error" and "data.flip_prob" in runs else [0.0]
    return float(floors[0]) + 0.1 if value.startswith("test_error") and len(floors) == 1 else None


def _fine(column: pd.Series[float]) -> NDArray[np.float64]:
    """Return 200 points from the first to the last edge of a column's cells, those above zero: laws are of sizes."""
    centres = np.unique(column.dropna())
    log = geometric(centres)
    ends = edges(centres, log=log)
    spaced = np.geomspace if log else np.linspace
    points = np.asarray(spaced(ends[0], ends[-1], 200))
    return points[points > 0]


def _one(runs: pd.DataFrame, column: str) -> float:
    if column not in runs or runs[column].nunique() != 1:
        raise ValueError(f"a theory boundary needs one value of {column}, or it on an axis")
    return float(runs[column].iloc[0])
