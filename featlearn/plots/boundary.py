"""Boundary scaling: where an error crosses a level over the dimension, with the fitted exponent beside the theory's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import cycle
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Transform
from numpy.typing import NDArray

from featlearn.plots.caption import loss_range, moment, seeds
from featlearn.plots.law import default_level, own_law, why_no_law
from featlearn.plots.mesh import log_ticks, require_numbers, shifted
from featlearn.plots.panels import SheetOptions, finish, legend_inside, new_word, panels, refuse_sheet
from featlearn.plots.style import fresh, label, marker, on_dark, page, paper, title
from featlearn.tables.columns import by_optimizer, last_rows, select
from featlearn.tables.labels import Label
from featlearn.tables.scaling import Scaling, boundary_scaling, fitted
from featlearn.theory.laws import LAWS, NORM

SYMBOLS = {"data.dim": "d", "data.n_samples": "n", "data.n_patches": "P", "data.noise_std": r"\sigma_p"}
ASIDE = 0.75  # the slope of a theory is drawn this factor below the points
DODGE = 2.5  # points between optimizers at one x, so that their intervals do not overlap


@dataclass(frozen=True)
class Curve:
    """One optimizer's boundary over x, and the exponent that theory gives it, if any."""

    optimizer: Label
    scaling: Scaling
    theory: float | None
    no_law: str  # why theory gives none, where the optimizer has a law
    seeds: pd.Series[int]  # how many there are in each cell

    @property
    def open(self) -> bool:
        """Whether an end of an interval, of a point or of the exponent, lies beyond the sweep."""
        points, fit = self.scaling.points.query("beyond == ''"), self.scaling.exponent
        return bool(np.isinf([fit.low, fit.high, *points["high"]]).any() or (points["low"] == 0).any())

    def table(self) -> pd.DataFrame:
        """Return the boundary that is drawn, with its exponents."""
        fit = self.scaling.exponent
        ends = {"exponent": fit.exponent, "exponent_low": fit.low, "exponent_high": fit.high, "theory": self.theory}
        return self.scaling.points.assign(optimizer=str(self.optimizer), **ends)

    def draw(self, ax: Axes, colour: Any, aside: float) -> None:
        """Draw the points with their intervals, `aside` points from their x, and the fitted law."""
        x, fit, shift = self._points()[0], self.scaling.exponent, partial(shifted, ax, aside)
        self._draw_intervals(ax, colour, shift)
        for side, edge, triangle in (("below", "first", "v"), ("above", "last", "^")):
            points = self.scaling.points
            lost = points.loc[points["beyond"] == side, [points.columns[0], edge]].to_numpy(dtype=float)
            ax.plot(*lost.T, triangle, ms=4, mfc=page().ground, mew=0.9, color=colour, transform=shift(0))
            ax.update_datalim(lost)
        words = f"fitted: {self._power(f'{fit.exponent:.3f}')}{_interval(fit.low, fit.high)}"
        named: dict[str, Any] = {"label": new_word(ax, f"{title(self.optimizer)}, {words}")}
        named |= {"marker": marker(colour), "ms": 3.5, "mfc": page().ground, "markevery": []}  # in the legend alone
        ax.plot(x, fit.factor * x**fit.exponent, color=colour, lw=1.2, zorder=1.5, **named)

    def _draw_intervals(self, ax: Axes, colour: Any, shift: Callable[[float], Transform]) -> None:
        """Draw points and bars: a cap closes an end, an arrow at the end of the sweep leaves it open."""
        x, y, low, high, first, last = self._points()
        ends = np.clip([low, high], first, last)
        style = {"fmt": marker(colour), "ms": 3.5, "mfc": page().ground, "mew": 0.9, "lw": 0.9, "color": colour}
        ax.errorbar(x, y, abs(y - ends), transform=shift(0), **style)
        for end, edge, arrow, up in ((low, first, "v", -2), (high, last, "^", 2)):
            shut, far = (first <= end) & (end <= last), (end < first) | (last < end)
            ax.plot(x[shut], end[shut], "_", ms=4, mew=0.9, color=colour, transform=shift(0))
            ax.plot(x[far], edge[far], arrow, ms=3, mew=0, color=colour, transform=shift(up))
        ax.update_datalim(np.column_stack([np.tile(x, 2), ends.ravel()]))  # matplotlib ignores shifted artists

    def draw_theory(self, ax: Axes, colour: Any) -> None:
        """Draw the slope of the theory, if any, below the points."""
        if self.theory is None:
            return
        x, y, *_ = self._points()
        middle = np.exp(np.log(y).mean() - self.theory * np.log(x).mean())
        words = f"theory: {self._power(str(Fraction(self.theory).limit_denominator(100)))}"
        dashes = (0, (4, 2.5))
        ax.plot(x, ASIDE * middle * x**self.theory, color=colour, lw=0.9, ls=dashes, label=words)

    def _points(self) -> NDArray[np.float64]:
        """Return x, y, the ends of y's interval and those of the sweep, where there is a crossing."""
        points = self.scaling.points
        x, y = points.columns[:2]
        return points.loc[points[y].notna(), [x, y, "low", "high", "first", "last"]].to_numpy(dtype=float).T

    def _power(self, exponent: str) -> str:
        symbol = SYMBOLS.get(str(self.scaling.points.columns[0]), "x")
        return rf"${symbol}^{{\,{exponent.replace('-', '{-}')}}}$"


def boundary(
    table: pd.DataFrame,
    x: str = "data.dim",
    y: str = "data.signal_norm",
    value: str = "test_error",
    *,
    level: float | None = None,
    optimizer: str | Collection[str] | None = None,
    ax: Axes | None = None,
    **sheet: Unpack[SheetOptions],
) -> Axes:
    """Draw the y at which the seed mean of `value` crosses `level`, over x, with its power law; return the Axes.

    One colour per optimizer; `optimizer` alone if given. Only runs that fitted count, and the intervals are bootstraps
    over seeds (`featlearn.tables.boundary_scaling`). Without a level, a test error is measured at 0.1 above its
    floor. On an `ax` that holds boundaries, these take other colours. For `sheet` see `phase_diagram`. Raises
    ValueError where there is no level, or where an optimizer crosses it at fewer than two x.
    """
    runs = last_rows(table)
    level, curves = _measure(runs, x, y, value, optimizer, level)
    if ax is None:
        return _figure(runs, curves, value, level, sheet).axes[0]
    refuse_sheet(sheet)
    with paper(on_dark(ax)):
        _draw(curves, ax)
        legend_inside(ax)
    return ax


def boundary_figure(
    rows: pd.DataFrame,
    *,
    x: str = "data.dim",
    y: str = "data.signal_norm",
    value: str = "test_error",
    where: Mapping[str, Any] | None = None,
    optimizer: str | Collection[str] | None = None,
    level: float | None = None,
    **sheet: Unpack[SheetOptions],
) -> tuple[Figure, pd.DataFrame]:
    """Draw where a mean crosses a level, over one axis of a sweep. A line is the fitted power law.

    Return the figure of `boundary` and the crossings it shows.

    x: column of the horizontal axis.
    y: column of the vertical axis, along which the value crosses the level.
    value: column that crosses the level.
    where: keep the runs with this value of a column, or with one of these values.
    optimizer: draw this optimizer only.
    level: value at which the boundary is measured; 0.1 above the share of flipped labels for a test error.
    """
    runs = last_rows(select(rows, where or {}))
    level, curves = _measure(runs, x, y, value, optimizer, level)
    table = pd.concat([curve.table() for curve in curves], ignore_index=True)
    return _figure(runs, curves, value, level, sheet), table.assign(value=value, level=level)


def _measure(
    runs: pd.DataFrame, x: str, y: str, value: str, optimizer: str | Collection[str] | None, level: float | None
) -> tuple[float, list[Curve]]:
    """Return the level and every optimizer's boundary at it."""
    require_numbers(runs, [x, y, value])
    level = default_level(runs, value) if level is None else level
    if level is None:
        raise ValueError(f"give the level of {value} at which the boundary is measured")
    curves = []
    for name, part in by_optimizer(runs, optimizer, ignore=(x, y)).items():
        of_law = y == NORM and x in SYMBOLS
        law, no_law = (own_law(part), why_no_law(part)) if of_law else (None, "")
        theory = None if law is None else law_exponent(law, x.removeprefix("data."))
        try:
            scaling = boundary_scaling(part, level, x=x, y=y, value=value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        curves.append(Curve(name, scaling, theory, no_law, fitted(part).groupby([x, y]).size()))
    return level, curves


def law_exponent(law: str, argument: str) -> float:
    """Return the power of an argument in a law of `featlearn.theory.LAWS`."""
    some = dict.fromkeys(LAWS[law].arguments, 4.0)
    ratio = LAWS[law](1.0, **{**some, argument: 8.0}) / LAWS[law](1.0, **some)
    return round(float(np.log2(ratio)), 12)


def _figure(runs: pd.DataFrame, curves: list[Curve], value: str, level: float, sheet: SheetOptions) -> Figure:
    with paper(sheet.get("dark")):
        figure, axes = panels(1, sheet)
        _draw(curves, axes[0])
        finish(axes, _notes(runs, curves, value, level), sheet)
    return figure


def _draw(curves: list[Curve], ax: Axes) -> None:
    """Draw all curves on logarithmic axes, in the order of the legend: the measured ones first."""
    middle = (len(curves) - 1) / 2
    colours = fresh(ax)
    for i, (curve, colour) in enumerate(zip(curves, cycle(colours))):
        curve.draw(ax, colour, DODGE * (i - middle))
    for curve, colour in zip(curves, cycle(colours)):
        curve.draw_theory(ax, colour)
    x, y = curves[0].scaling.points.columns[:2]
    ax.set(xscale="log", yscale="log", xlabel=label(x), ylabel=label(y))
    ax.margins(x=0.05 + DODGE * middle / 180, y=0.06)  # a panel is about 180 points wide
    ax.autoscale_view()
    log_ticks(ax.xaxis)
    log_ticks(ax.yaxis)


def _notes(runs: pd.DataFrame, curves: list[Curve], value: str, level: float) -> list[str]:
    """Return what a point and its interval are, which points are missing, and how many runs are left out."""
    several = any(c.scaling.exponent.n_resamples for c in curves)
    open_ends = any(c.open for c in curves)
    over = seeds(pd.concat([c.seeds for c in curves]))
    return [
        f"Points: where the mean {label(value)} over {over} crosses {level:g}.",
        f"Means {moment(runs)}.",
        "Those at one place are drawn side by side." if len(curves) > 1 else "",
        "Bars (some within the points) and brackets: 95% bootstrap over seeds."
        if several
        else "One seed has no interval.",
        "Arrows, $\\infty$: over 2.5% of the draws do not cross within the sweep." if open_ends else "",
        _missing(curves),
        _left_out(curves),
        loss_range(fitted(runs)),
        "Dashed: slopes of the theory, whose constants are open." if any(c.theory is not None for c in curves) else "",
        *dict.fromkeys(c.no_law for c in curves),
    ]


def _missing(curves: list[Curve]) -> str:
    """Name the places without a crossing, and of which optimizers."""
    missing: dict[str, list[str]] = {}
    for curve in curves:
        points = curve.scaling.points
        for place in points.loc[points["beyond"] != "", points.columns[0]]:
            missing.setdefault(f"{place:g}", []).append(title(curve.optimizer))
    if not missing:
        return ""
    symbol = SYMBOLS.get(str(curves[0].scaling.points.columns[0]), "x")
    places = "; ".join(
        f"${symbol}=${place}" + f" ({', '.join(names)})" * (len(names) < len(curves))
        for place, names in missing.items()
    )
    return f"Triangles, not in the fit: no crossing within the sweep at {places}."


def _left_out(curves: list[Curve]) -> str:
    """Count the runs that did not fit, of the optimizers that have any."""
    sums = {title(c.optimizer): c.scaling.points[["n", "left_out"]].sum() for c in curves}
    counts = [f"{name} {n['left_out']} of {n.sum()}" for name, n in sums.items() if n["left_out"]]
    return f"Left out, not fitted: {', '.join(counts)}." if counts else ""


def _interval(low: float, high: float) -> str:
    """Return the ends of an interval, an open one as infinite; none for NaN."""
    if np.isnan(low):
        return ""
    left = f"[{low:.3f}" if np.isfinite(low) else r"(-\infty"
    right = f"{high:.3f}]" if np.isfinite(high) else r"\infty)"
    return f" ${left},\\,{right}$".replace("-", "{-}")
