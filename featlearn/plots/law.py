"""A theory boundary over a phase diagram: its constant given, or fitted to where the mean crosses a level."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass

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
from featlearn.theory.boundaries import ARGUMENTS, BOUNDARIES, SETTINGS
from featlearn.theory.scales import sam_radius

FORMULAS = {
    "sgd": r"C\,(d/n)^{1/4}P\sigma_p",
    "sam": r"C\,P\sigma_p",
    "power": r"C\,\sigma_p d^{1/2} n^{-1/3}",
}

FACTORS = {  # of the radius that SAM's theorem supposes, with their columns
    "n_filters": "network.n_filters",
    "batch_size": "train.batch_size",
    "n_patches": "data.n_patches",
    "noise_std": "data.noise_std",
    "dim": "data.dim",
}
RADIUS = r"m\sqrt{B}/(P\sigma_p\sqrt{d})", "m sqrt(B) / (P noise_std sqrt(dim))"


@dataclass(frozen=True)
class LawLine:
    """A law in the plane of a phase diagram, with its constant and whether that was fitted."""

    law: str
    c: float
    fitted: bool
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    @property
    def label(self) -> str:
        """Return the formula and its constant, for a legend."""
        return f"{self.formula}, $C = {self.c:.3g}$ {'fitted' if self.fitted else 'given'}"

    @property
    def formula(self) -> str:
        """Return the formula, for a legend."""
        return rf"theory $\|\mu\| = {FORMULAS[self.law]}$"

    def draw(self, ax: Axes, whose: str = "", *, one_of_many: bool = False) -> None:
        """Draw the line, white between dark edges, without moving the limits of the axes; `whose` goes in its label.

        The label of `one_of_many` has no constant.
        """
        words = self.formula if one_of_many else self.label
        limits = ax.get_xlim(), ax.get_ylim()
        edge = [withStroke(linewidth=2.4, foreground=INK)]
        ax.plot(self.x, self.y, color="white", lw=1.2, path_effects=edge, label=whose + words, zorder=4)
        ax.set(xlim=limits[0], ylim=limits[1])


@dataclass(frozen=True)
class Overlay:
    """Which law to lay over a diagram, and how its constant is found.

    theory: a law of `featlearn.theory.BOUNDARIES`, `none` (or None), or `auto`: the optimizer's own,
    where it applies. constant: the law's constant, or None to fit it. level: where the mean is measured,
    or None for 0.1 above the floor of a test error (the margin in Chen et al. 2023).
    """

    theory: str | None = "auto"
    constant: float | None = None
    level: float | None = None

    def crossings(self, runs: pd.DataFrame, x: str, y: str, value: str) -> tuple[float | None, pd.DataFrame]:
        """Return the level and where the seed mean crosses it along the signal axis (along x if none is).

        The place between two cells is that of `featlearn.tables.boundary`.
        """
        level = default_level(runs, value) if self.level is None else self.level
        if level is None:
            return None, pd.DataFrame(columns=[x, y])
        along, other = (y, x) if y in SIGNALS else (x, y)
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
        there = self.theory == "auto" and len(points) and (x in SIGNALS) != (y in SIGNALS)
        return why_no_law(runs) if there else ""


def boundary_line(runs: pd.DataFrame, x: str, y: str, law: str, c: float | None, points: pd.DataFrame) -> LawLine:
    """Return a law's line over x and y, with constant c, or fitted to the measured points.

    Raises ValueError if the law is unknown, if it is SAM's and the radius does not follow it, if not exactly one axis
    is the signal, if what the law needs is neither an axis nor one number, or if there is no point to fit to.
    """
    if law not in BOUNDARIES:
        raise ValueError(f"no theory {law!r}; there are {', '.join(BOUNDARIES)}")
    if unmet := _unmet(runs, {"data.model": SETTINGS[law]["data.model"]}):
        raise ValueError(f"the law {law!r} cannot be drawn: {unmet}")
    if law == "sam" and not radius_follows(runs):
        radii = listed(runs["optimizer.rho"])
        raise ValueError(f"SAM's law supposes a radius in proportion to {RADIUS[1]}; here optimizer.rho takes {radii}")
    if (x in SIGNALS) == (y in SIGNALS):
        raise ValueError(f"a theory boundary needs the signal on one axis: {' or '.join(SIGNALS)}")
    along, other = (x, y) if x in SIGNALS else (y, x)
    if c is None and len(points) == 1:
        raise ValueError("a single crossing fits any law: give its constant")
    constant = fit_constant(points, BOUNDARIES[law]).c if c is None else c
    place = _fine(runs[other])
    numbers = {name: place if f"data.{name}" == other else _one(runs, f"data.{name}") for name in ARGUMENTS}
    norm = BOUNDARIES[law](constant, **numbers) * np.ones_like(place)
    unit = numbers["noise_std"] * numbers["dim"] ** 0.5 if along == "data.snr" else 1.0
    ends = (norm / unit, place) if along == x else (place, norm / unit)
    return LawLine(law, constant, c is None, *ends)


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
    """Return the law whose theorem is about the one optimizer of these runs."""
    names = optimizer_names(runs).unique().tolist()
    return next((law for law, setting in SETTINGS.items() if names == [setting.get("optimizer.name")]), None)


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
