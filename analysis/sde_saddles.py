# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which saddles hold SAM, and for how long?
#
# Compagnoni et al. 2023 (arXiv 2301.08203): the flows and SDEs of SAM are attracted to saddles under realistic
# conditions. Kim, Park, Choi & Lee 2026 (arXiv 2301.06308) state when, and how far noise has carried the rule away by
# then. Rule, flow and SDE are compared at saddles of quadratics, where theory is exact or nearly so, and at one
# embedded in a function with minima; `sde_saddles_basins.py` and `sde_saddles_landscapes.py` go on. All dynamics of a
# seed share the start and the noise Z of the gradient, g + s Z. The SDE takes k = 8 Euler-Maruyama steps in a step of
# the rule, to first order in rho, with complete covariance; "sampled" is that of `expansion: exact` (k = 4), whose
# mean and covariance are estimated from draws of Z. On a quadratic both have the drift of the rule.
#
# Statistics, fixed before the runs of full size. **Threshold** of a radius: where the rate of growth of the mean
# along a negative eigenvalue, fitted as a line in rho, is 0; 95 % Student intervals over ten groups of seeds. It
# holds if it agrees with theory to 5 %. **Escape**: the first time with |y| = 1, log |y| linear between records;
# medians over 200 paths, with 95 % intervals by order statistics. **Variances** over 4096 paths, with standard error
# v sqrt(2 / 4096): a formula holds within 2 of these, and fails beyond 10. A path **stays** at the embedded saddle if
# |x| < .3 at the end.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

import featlearn as fl
from featlearn.plots.style import GREY, INK, PALETTE, paper
from featlearn.theory.noisy_gradients import mean_unit_slope
from featlearn.theory.saddles import kim_variance, noisy_sam_radius, saddle_variance, usam_escape_rate

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "200"))
QUICK = SEEDS < 200  # the test of this notebook takes fewer seeds and steps
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"sde_saddles_{SEEDS}"
FIGURES = STORE if QUICK else ROOT / "analysis" / "figures"
LR, RHO, KIND, NAME = "optimizer.lr", "optimizer.rho", "optimizer.dynamics", "optimizer.name"
MARKS = {"rule": "o", "flow": "x", "sde": "^", "sde, sampled": "s"}


def swept(config, store, seeds=0, **settings):
    """Run a config with other keys; return one row per run and recorded step, with the time lr * steps."""
    settings |= {"sweep.seed": {"range": [0, seeds]}} if seeds else {}
    settings |= {"train.n_steps": 8, "record.every": 4} if QUICK else {}
    loaded = fl.load_config(ROOT / "configs" / f"sde_saddle_{config}.yaml", set=settings)
    fl.sweep(loaded, STORE / store, n_jobs=1 if QUICK else 2)
    rows = fl.load(STORE / store).sort_values(["run_id", "step"])
    return rows.assign(time=rows["step"] * rows[LR])


def ends(rows):
    """Return the first and the last row of every run."""
    groups = rows.groupby("run_id", sort=False)
    return groups.first(), groups.last()


def points(ax, x, y, kind, colour=INK, **more):
    """Draw open marks, one shape for each kind of dynamics."""
    ax.plot(x, y, MARKS[kind], ms=4, mfc="none", mew=0.8, color=colour, **more)


def growth(rows, column):
    """Return the rate of growth of the mean, by rho and group of seeds."""
    first, last = ends(rows)
    by = [last[RHO], last["seed"] % min(10, SEEDS)]
    grown = last.groupby(by)[column].mean() / first.groupby(by)[column].mean()
    return (np.log(grown.abs()) / last["time"].iloc[0]).unstack()


def threshold(rates):
    """Return where the line through the rates is 0: mean and 95 % interval over the groups."""
    zeros = [-b / a for a, b in (np.polyfit(rates.index, rates[group], 1) for group in rates)]
    return fl.tables.mean_interval(zeros)


# %% [markdown]
# ## USAM: every negative direction must turn

# %%
usam = swept("usam", "usam", SEEDS)
rates = {(kind, x): growth(part, x) for kind, part in usam.groupby(KIND) for x in ("x1", "x2")}
for (kind, x), rate in rates.items():
    theory = usam_escape_rate(rate.index, {"x1": -0.5, "x2": -1.0}[x])
    mean, _, low, high = threshold(rate)
    error = np.abs(rate.mean(axis=1) - theory).max()
    print(f"{kind} lam {dict(x1=-0.5, x2=-1)[x]}: rho = {mean:.4f} [{low:.4f}, {high:.4f}], rate off by {error:.4f}")

# %% [markdown]
# ## SAM with noise: USAM with the radius rho c(d) / s

# %%
NOISE = 0.3
rows = []
for d in (1, 2) if QUICK else (1, 2, 10, 50):
    critical = float(noisy_sam_radius(-1.0, NOISE, d))
    settings = {"network.spectrum": [1.0] * (d - 1) + [-1.0], "network.start": [0.0] * (d - 1) + [0.05]}
    settings |= {"sweep.optimizer.rho": {"linspace": [0.6 * critical, 1.4 * critical, 5]}}
    settings |= {"record.trackers": [{"name": "position", "n_coordinates": d}]}
    for kind, part in swept("noisy_sam", f"noisy_{d}", SEEDS, **settings).groupby(KIND):
        mean, _, low, high = threshold(growth(part, f"x{d - 1}"))
        rows.append((d, kind, critical, mean / critical, low / critical, high / critical))
radii = pd.DataFrame(rows, columns=["d", "kind", "theory", "ratio", "low", "high"])
radii.round(4)

# %% [markdown]
# ## Escape times

# %%
ENTRY = {"name": "sam", "lr": 0.01, "rho": [0.1, 0.6], "dynamics": ["rule", "sde"]}
walks = swept("escape", "escape", SEEDS, **({"sweep.optimizer": [ENTRY]} if QUICK else {}))
SLOPE = float(mean_unit_slope(2)) / NOISE  # c(d) / s


def escapes(rows):
    """Return one row per run, with the first time at which |y| = 1, inf if there is none."""
    height = np.log(rows["x1"].abs().clip(lower=1e-12))
    runs = rows["run_id"]
    step = rows["time"].groupby(runs).diff() * height / (height - height.groupby(runs).shift())
    crossed = (rows["time"] - step)[height >= 0].groupby(runs).first()
    return ends(rows)[1].assign(escape=crossed).fillna({"escape": np.inf})


def median(times):
    """Return the median, its 95 % interval by order statistics, and the share that has escaped."""
    ordered, n = np.sort(times), len(times)
    low, high = (int(np.clip(n / 2 + sign * 0.98 * np.sqrt(n), 0, n - 1)) for sign in (-1, 1))
    words = {"median": ordered[n // 2], "low": ordered[low], "high": ordered[high]}
    return pd.Series(words | {"escaped": np.isfinite(times).mean()})


def expected(name, rho, lr=0.01):
    """Median time of linear theory: of a normal law of variance lr v (exp(2 k t) - 1) / (2 k), v that of a step."""
    radius = rho if name == "usam" else rho * SLOPE
    v = NOISE**2 * (1 - radius) ** 2 if name == "usam" else NOISE**2 * (1 - 2 * radius) + rho**2 / 2
    k = 1 - radius
    return np.where(k > 0, np.log1p(2 * k / (0.6745**2 * lr * v)) / (2 * k), np.inf)


runs = escapes(walks)
sampled = runs.get("optimizer.expansion", runs[KIND]) == "exact"
runs["kind"] = runs[KIND].mask(sampled, "sde, sampled")
times = runs.groupby([NAME, RHO, "kind"])["escape"].apply(median).unstack().reset_index()
theory = {name: times[NAME].eq(name) for name in ("usam", "sam")}
times["theory"] = np.select([*theory.values()], [expected(name, times[RHO]) for name in theory], np.nan)
print(times.round(3).to_string())

# %% [markdown]
# Theory has USAM of radius .9 leave after 54, beyond T = 30; T = 120, and the spread of those that stay:

# %%
FAR = {"sweep.optimizer": [{"name": "usam", "lr": 0.01, "rho": [0.9], "dynamics": ["rule", "sde"]}]}
far = escapes(swept("escape", "far", SEEDS, **FAR, **{"train.n_steps": 12000, "record.every": 200}))
print(far.groupby(KIND)["escape"].apply(median).unstack().round(2).to_string())
spread = runs[runs[RHO].isin([0.5, 0.6, 0.8, 0.9, 1.1]) & np.isinf(runs["escape"])]
spread.groupby([NAME, RHO, "kind"])["x1"].std().unstack().round(4)

# %% [markdown]
# ## Two published variances

# %%
WORDS = "derived", "published"
PATHS = SEEDS if QUICK else 4096
paths = swept("variance", "variance", PATHS)
law = paths.groupby([KIND, RHO, "time"])["x0"].var().unstack(0)
place = law.index.to_frame()
law["derived"] = saddle_variance(place["time"], 0.001, place[RHO], -1.0, 8)
law["published"] = kim_variance(place["time"], 0.001, place[RHO], -1.0, 8)
final = law[place["time"] == place["time"].max()].droplevel("time")
print((final * 1e4).round(4))
for kind in ("rule", "sde"):
    away = {word: ((final[kind] - final[word]) / (final[kind] * np.sqrt(2 / PATHS))).round(2) for word in WORDS}
    print(kind, "in standard errors from", {word: values.to_dict() for word, values in away.items()})

# %% [markdown]
# What rho takes away from the variance of SGD: 2 lr rho lam^2 t / B at first order by the rule, 2 lr rho |lam|^3 t^2
# / B as published. The paths of all radii share their Z.

# %%
gap = (law.loc[0.0] - law.loc[0.2]).iloc[1:]
early = np.log(gap.iloc[: max(len(gap) // 3, 2)].abs())
print(
    "slope in t, t <= .3:",
    {word: round(float(np.polyfit(early.index.map(np.log), early[word], 1)[0]), 3) for word in gap},
)
gap

# %% [markdown]
# ## The embedded saddle

# %%
ENTRY = {"name": "usam", "lr": 0.05, "rho": [0.5, 1.5], "dynamics": ["rule", "flow", "sde"]}
PLACES = min(SEEDS, 100)
_, embedded = ends(swept("embedded", "embedded", PLACES, **({"sweep.optimizer": [ENTRY]} if QUICK else {})))
embedded["stays"] = embedded["x0"].abs() < 0.3
embedded["deeper"] = (embedded["x0"] > 0).where(~embedded["stays"])
stays = embedded.groupby([NAME, KIND, RHO])["stays"].mean().unstack()
print(stays.to_string(), "\n\nstatus:", embedded["status"].value_counts().to_dict())
print("\nof those that leave, to the deeper minimum:")
print(embedded.groupby([NAME, KIND, RHO])["deeper"].mean().unstack().round(2).to_string())

# %% [markdown]
# ## Figure

# %%
BLUE, RED = PALETTE[0], PALETTE[3]
with paper():
    figure, axes = plt.subplots(2, 3, figsize=(6.9, 4.8), layout="constrained")
    a, b, c, d, e, f = axes.flat
    for (kind, x), rate in rates.items():
        points(a, rate.index, rate.mean(axis=1), kind, BLUE if x == "x2" else RED)
    grid = np.linspace(0.25, 2.5)
    a.plot(grid, usam_escape_rate(grid, -1.0), color=BLUE, lw=0.9, label=r"$\lambda = -1$")
    a.plot(grid, usam_escape_rate(grid, -0.5), "--", color=RED, lw=0.9, label=r"$\lambda = -1/2$")
    a.axhline(0, color=GREY, lw=0.6)
    a.set(xlabel=r"radius $\rho$", ylabel="growth of the mean", title="(a) USAM")
    for kind, part in radii.groupby("kind"):
        height = part[["ratio", "low", "high"]].mul(part["theory"] / NOISE, axis=0)
        shifted = part["d"] * (1.08 if kind == "sde" else 0.93)
        b.vlines(shifted, height["low"], height["high"], color=INK, lw=0.8)
        points(b, shifted, height["ratio"], kind)
    grid = np.geomspace(0.9, 60)
    b.plot(grid, 1 / mean_unit_slope(grid), color=INK, lw=0.9, label="$1/c(d)$")
    b.set(
        xscale="log",
        yscale="log",
        xlabel="dimension $d$",
        ylabel=r"threshold of $\rho|\lambda|/s$",
        title="(b) noisy SAM",
    )
    b.set_yticks([2, 4, 6], ["2", "4", "6"])
    b.set_yticks([], minor=True)
    for name, colour, scale, dash in (("usam", BLUE, 1.0, "-"), ("sam", RED, SLOPE, "--")):
        for kind, part in times[times[NAME] == name].groupby("kind"):
            points(c, part[RHO] * scale, part["median"].clip(upper=30), kind, colour, clip_on=False)
        grid = np.linspace(0, 0.99, 200)
        c.plot(grid, expected(name, grid / scale), dash, lw=0.9, color=colour, label=name.upper())
    c.axhline(30, color=GREY, lw=0.6, ls=":")
    c.set(
        ylim=(0, 31),
        xlabel=r"$\rho$ (USAM), $\rho\,c/s$ (SAM)",
        ylabel="median escape time",
        title="(c) escape; top: after $T$ = 30",
    )
    grid = np.linspace(0, 1)
    for rho, colour in ((0.2, BLUE), (0.5, RED)):
        points(d, law.loc[rho].index, law.loc[rho, "rule"] * 1e4, "rule", colour)
        points(d, law.loc[rho].index, law.loc[rho, "sde"] * 1e4, "sde", colour)
        derived = saddle_variance(grid, 0.001, rho, -1.0, 8)
        d.plot(grid, derived * 1e4, color=colour, lw=0.9, label=rf"$\rho$ = {rho:g}, derived")
        published = kim_variance(grid, 0.001, rho, -1.0, 8)
        d.plot(grid, published * 1e4, "--", color=colour, lw=0.9, label=rf"$\rho$ = {rho:g}, published")
    d.set(xlabel="time $t$", ylabel=r"variance $\times\,10^4$", title="(d) variance, USAM")
    points(e, gap.index, gap["rule"], "rule")
    e.plot(gap.index, gap["derived"], color=INK, lw=0.9, label="derived")
    e.plot(gap.index, gap["published"], "--", color=INK, lw=0.9, label="published")
    e.set(xscale="log", yscale="log", xlabel="time $t$", ylabel=r"variance, SGD $-$ USAM(.2)", title="(e) gap to SGD")
    thresholds = {"usam": 1.0, "sam": float(noisy_sam_radius(-1.0, 0.1, 2))}
    for (name, kind), row in stays.groupby([NAME, KIND]):
        known = row.iloc[0].dropna()
        colour = BLUE if name == "usam" else RED
        points(f, known.index / thresholds[name], known, kind, colour)
        f.plot(known.index / thresholds[name], known, "-" if name == "usam" else "--", color=colour, lw=0.6)
    f.plot([], [], "-", color=BLUE, lw=0.9, label="USAM")
    f.plot([], [], "--", color=RED, lw=0.9, label="SAM")
    f.axvline(1, color=GREY, lw=0.8, ls="--")
    f.set(xlabel=r"$\rho$ / threshold", ylabel="share that stays", title="(f) embedded saddle", xlim=(-0.1, 2.1))
    for ax, place in zip(axes.flat, ("best", "best", "best", "upper left", "best", (0.03, 0.52)), strict=True):
        ax.legend(fontsize=7 if ax is not d else 6.5, loc=place)
    names = {"rule": "rule", "flow": "flow", "sde": "SDE", "sde, sampled": "SDE, covariance sampled"}
    marks = [plt.Line2D([], [], ls="", marker=MARKS[k], ms=4, mfc="none", mew=0.8, color=INK) for k in names]
    figure.legend(marks, names.values(), loc="outside lower center", ncols=4, fontsize=7.5)
    figure.savefig(FIGURES / "sde_saddles.png", metadata={"Software": None}, dpi=200)

# %% [markdown]
# ## Results
#
# Measured with 200 seeds (variances 4096, embedded saddle 100) on 2026-11-30, featlearn 0.1.0, CPU, float64.
#
# * **USAM is attracted iff rho > 1/|lam| for every negative eigenvalue.** The rate of growth changes sign along lam =
#   -1/2 at rho = 2.0001 [1.9998, 2.0004] for the rule, 2.0003 [2.0000, 2.0006] for the SDE, 2.0000 for the flow; along
#   -1 at .9975 [.9957, .9992], .9991 [.9974, 1.0009] and .9998. Theory: 2 and 1. Between these radii the saddle still
#   lets go, along the flatter direction only. Rates differ from |lam|(1 - rho |lam|) by at most .024 (rule, of order
#   lr).
# * **SAM with noise is trapped iff rho c(d)|lam|/s > 1.** Threshold over theory: rule 1.017 [.970, 1.065], .984 [.949,
#   1.020], .996 [.983, 1.009], 1.000 [.993, 1.007] at d = 1, 2, 10, 50; SDE within .6 % at all four. So it needs a
#   radius 5.7 times larger at d = 50 than at 1.
# * **Escape times.** GD leaves after 4.34 [4.15, 4.47], USAM(.5) after 9.33 [9.03, 9.61], SAM(.1) after 5.51 [5.30,
#   5.74], SAM(.3) after 10.8 [10.4, 11.1]; no path of SAM(.5) or larger leaves by T = 30. Linear theory gives 4.25,
#   9.19, 5.51, 11.9 and never. It is exact for USAM; for SAM it is 10 % too long at .3 and 33 % at .4 (18.8 [18.0,
#   19.6]), because the pull of SAM weakens as |g| grows.
# * **"Never" depends on T.** No path of USAM(.9) leaves by T = 30, yet .9 is below its threshold: with T = 120 all
#   leave, after 53.24 [51.71, 54.68] (rule) and 53.21 [51.69, 54.65] (SDE), linear theory 53.98.
# * **Here the SDE fails.** With s = .3 a radius of .3 is no small one. The SDE has the rule's drift, but its
#   covariance is of first order in the response of u: (I + rho H J) Sigma (I + rho H J)' leaves out the rest of rho^2
#   Cov(u). At SAM(.4) it escapes after 25.5 [24.3, 26.8] (rule 18.8), and at SAM(.5) the paths that stay have a
#   standard deviation of .0044 along y where the rule has .070. With the covariance sampled they are 19.2 [18.6, 19.9]
#   and .068. For USAM, whose response is exact, rule and SDE agree: 9.33 and 9.31.
# * **DNSAM is thrown out.** 62 % of the paths have left by T = 30 at rho = .1 (SDE 34 %), 44 % at .3 (21 %), where
#   noisy SAM of these radii leaves earlier; its SDE, with noise of order rho/|g|, leaves later.
# * **The published variance fails.** At T = 1 the rule's variance is 2.01e-4 for rho = .2 and 5.48e-5 for .5: .8 and
#   .9 standard errors from the SDE's law (1.98e-4, 5.37e-5), 12 and 89 from the published one (2.54e-4, 1.62e-4). At
#   rho = 0, where both agree, it is .7 from them. The SDE itself gives 2.01e-4 and 5.48e-5. What rho takes away from
#   SGD's variance by t <= .3 grows like t^1.26 (derived law 1.25, published 2.20); at t = .1 it is ten times what is
#   published.
# * **The embedded saddle** (lr = .05, T = 40): of the rule, USAM keeps 0, .03, .71, .99 and 1 of the paths at rho =
#   .8, .9, 1, 1.1 and 1.2, the SDE .01, .03, .47, .90, .97, the flow .00, .05, .47, .90, .97. So the threshold of the
#   quadratic, 1, holds; the rule is held more firmly, by the terms of higher order in rho. SAM with noise s = .1 is
#   held from rho = .2 on (.78 of the paths, SDE .73), theory .16. Those that leave are shared between the two minima
#   as they started, 50 to 53 % to the deeper one below the threshold; near it those that start on the left leave more
#   easily.
