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
# Compagnoni et al. 2023 (arXiv 2301.08203): flows and SDEs of SAM are attracted to saddles under realistic conditions.
# Kim, Park, Choi & Lee 2026 (arXiv 2301.06308) state when, and how far noise has carried the rule away by then. Here on
# quadratics, where theory is exact or nearly so; `sde_saddles_landscapes.py` goes on with other functions. Rule, flow and
# SDE are compared throughout, on the same starts and, for noise s Z on the gradient, on the same Z. An SDE takes k = 8
# Euler-Maruyama steps in each step of the rule (4 where its covariance is sampled), to first order in rho, with the
# complete covariance; on a quadratic its drift is that of the rule.
#
# Statistics, fixed before the runs of full size. **Thresholds** of a radius: where the rate of growth of the mean along a
# negative eigenvalue, fitted as a line in rho, is 0; 95 % Student intervals over ten groups of seeds. Without noise: the
# smallest value at which no run leaves. They hold if they agree with theory to 5 %. **Escape**: the first time with |y| =
# 1, log |y| linear between records; medians with 95 % intervals by order statistics. **Variances**: of 4096 paths, with
# standard error v sqrt(2 / 4096); a formula holds within 2, and fails beyond 10.

# %%
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

import featlearn as fl
from featlearn.plots.style import GREY, INK, LIGHT, PALETTE, paper
from featlearn.theory.noisy_gradients import mean_unit_slope
from featlearn.theory.saddles import (
    kim_variance,
    noisy_sam_radius,
    saddle_variance,
    sam_basin,
    sam_confinement,
    sam_saddle_curvature,
    usam_escape_rate,
    usam_traps,
)

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "200"))
QUICK = SEEDS < 200  # the test of this notebook takes fewer seeds and steps
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"sde_saddles_{SEEDS}"
FIGURES = STORE if QUICK else ROOT / "analysis" / "figures"
LR, RHO, KIND = "optimizer.lr", "optimizer.rho", "optimizer.dynamics"
STYLES = {"rule": "o", "flow": "x", "sde": "^"}
SHORT = {"train.n_steps": 8, "record.every": 4}


def swept(config, store, seeds=SEEDS, **settings):
    """Run a config with other keys; return one row per run and recorded step, with the time lr * steps."""
    settings |= ({"sweep.seed": {"range": [0, seeds]}} if seeds else {}) | (SHORT if QUICK else {})
    loaded = fl.load_config(ROOT / "configs" / f"sde_saddle_{config}.yaml", set=settings)
    fl.sweep(loaded, STORE / store, n_jobs=1 if QUICK else 2)
    rows = fl.load(STORE / store)
    return rows.assign(time=rows["step"] * rows[LR])


def ends(rows):
    """Return the first and the last row of every run."""
    groups = rows.sort_values("step", kind="stable").groupby("run_id", sort=False)
    return groups.first(), groups.last()


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
usam = swept("usam", "usam")
rates = {(kind, x): growth(part, x) for kind, part in usam.groupby(KIND) for x in ("x1", "x2")}
for (kind, x), rate in rates.items():
    theory = usam_escape_rate(rate.index, {"x1": -0.5, "x2": -1.0}[x])
    mean, _, low, high = threshold(rate)
    error = np.abs(rate.mean(axis=1) - theory).max()
    print(f"{kind} lam {dict(x1=-0.5, x2=-1)[x]}: rho = {mean:.4f} [{low:.4f}, {high:.4f}], rate off by {error:.4f}")

# %% [markdown]
# The rule also needs lr lam (1 + rho lam) < 2 for the positive eigenvalue, 2: which of 140 settings hold it?

# %%
GRID = {"sweep.optimizer.dynamics": ["rule"], "train.gradient_noise": 0.0, "train.n_steps": 400}
GRID |= {"sweep.optimizer.lr": [0.02, 0.1, 0.2, 0.3, 0.4], "sweep.optimizer.rho": {"linspace": [0.25, 4.75, 28]}}
first, last = ends(swept("usam", "grid", 1, **GRID | {"record.every": 400}))
held = (last[["x0", "x1", "x2"]].abs().max(axis=1) < 0.3) & (last["status"] == "ok")
says = usam_traps(last[RHO], [2.0, -0.5, -1.0], last[LR])
print(f"held: {held.sum()} of {len(held)}; as theory says: {(held == says).sum()}")
last[held].groupby(LR)[RHO].agg(["min", "max"])

# %% [markdown]
# ## SAM without noise: basins, and the curvature that discrete SAM leaves

# %%
line = swept("sam", "line", 0)
first, last = ends(line)
late = line[line["step"] >= line["step"].max() - 10].groupby("run_id")["x0"].agg(lambda x: x.abs().max())
table = last.assign(start=first["x0"] / 0.3, largest=late / sam_confinement(0.01, 0.3, -1.0))
print("theory: held iff start < 1, and then within largest <= 1; basin", sam_basin(0.3, [-1.0]))
table.pivot_table(index="start", columns=KIND, values="largest").round(4)

# %%
NOISY = {"train.gradient_noise": 0.05, "train.n_steps": 1000, "sweep.optimizer.dynamics": ["rule", "sde"]}
noisy = ends(swept("sam", "noisy", SEEDS, **NOISY | {"record.every": 1000}))
table = noisy[1].assign(start=noisy[0]["x0"] / 0.3, held=noisy[1]["x0"].abs() < 0.15)
table.groupby(["start", KIND])["held"].mean().unstack()

# %%
SIDE = 5 if QUICK else 61
PLACES = np.linspace(-1.2, 1.2, SIDE)
PLANE = {"network.spectrum": [1.0, -1.0], "network.start": [0.015, 5e-5]}
PLANE |= {"record.trackers": [{"name": "position", "n_coordinates": 2}]}
MAP = {"sweep.network.start": [[0.3 * float(x), 0.3 * float(y)] for x in PLACES for y in PLACES]}
MAP |= {LR: 0.05, "train.n_steps": 400, "record.every": 400}
first, last = ends(swept("sam", "map", 0, **PLANE, **MAP))
basin = pd.DataFrame({"kind": last[KIND], "x": first["x0"] / 0.3, "y": first["x1"] / 0.3})
basin["held"] = np.hypot(last["x0"], last["x1"]) < 0.3
basin["inside"] = np.hypot(basin["x"], basin["y"]) < 1
print(basin.groupby(["kind", "inside"])["held"].agg(["mean", "sum", "count"]))

# %% [markdown]
# On diag(L, -m) the rule is held iff m > lr L^2 / (2 - lr L), whatever rho is. The flow, integrated with k Euler steps,
# is the rule with lr/k, and has the threshold of that.

# %%
RATIOS = (0.5, 0.9, 0.95, 0.98, 0.99, 1.01, 1.02, 1.05, 1.1, 1.5)
BOWLS = [
    (L, -r * float(sam_saddle_curvature(lr, L))) for lr in (0.1, 0.0125) for L in (2.0, 5.0, 10.0, 15.0) for r in RATIOS
]
CYCLE = {"sweep": {"optimizer.dynamics": ["rule", "flow"], "optimizer.rho": [0.05, 1.0], "network.spectrum": BOWLS}}
CYCLE |= {LR: 0.1, "train.n_steps": 4000, "record.every": [2000, 4000]}
cycle = swept("sam", "cycle", 0, **PLANE, **CYCLE)
last, before = (cycle[cycle["step"] == n].set_index("run_id") for n in sorted(cycle["step"].unique())[:0:-1])
bowls = np.array([json.loads(text) for text in last["network.spectrum"]])
euler = np.where(last[KIND] == "rule", 0.1, 0.0125)
table = last.assign(L=bowls[:, 0], ratio=-bowls[:, 1] / sam_saddle_curvature(euler, bowls[:, 0]))
table["held"] = last["x1"].abs() <= before["x1"].abs()
print(f"{(table['held'] == (table['ratio'] > 1)).sum()} of {len(table)} runs that do not overflow are as theory says")
pd.DataFrame(
    {
        "held from": table[table["held"]].groupby([KIND, "L"])["ratio"].min(),
        "left up to": table[~table["held"]].groupby([KIND, "L"])["ratio"].max(),
    }
)

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
    for kind, part in swept("noisy_sam", f"noisy_{d}", **settings).groupby(KIND):
        mean, _, low, high = threshold(growth(part, f"x{d - 1}"))
        rows.append((d, kind, critical, mean / critical, low / critical, high / critical))
radii = pd.DataFrame(rows, columns=["d", "kind", "theory", "ratio", "low", "high"])
radii.round(4)

# %% [markdown]
# ## Escape times

# %%
FEW = (
    {"sweep.optimizer": [{"name": "sam", "lr": 0.01, "rho": [0.1, 0.6], "dynamics": ["rule", "sde"]}]} if QUICK else {}
)
walks = swept("escape", "escape", **FEW)


def escapes(rows):
    """Return the first time with |y| = 1 of every run, inf if there is none."""
    times = rows.sort_values(["run_id", "step"])
    y = np.log(times["x1"].abs().clip(lower=1e-12))
    before = y.groupby(times["run_id"]).shift()
    share = (0 - before) / (y - before)
    crossed = times["time"] - (1 - share) * times["time"].groupby(times["run_id"]).diff()
    runs = times[(y >= 0)].assign(escape=crossed).drop_duplicates("run_id").set_index("run_id")["escape"]
    return ends(rows)[1].assign(escape=runs).fillna({"escape": np.inf})


def median(times):
    """Return the median and its 95 % interval by order statistics."""
    ordered, n = np.sort(times), len(times)
    half = 0.98 * np.sqrt(n)
    low, high = int(max(n / 2 - half, 0)), int(min(np.ceil(n / 2 + half), n - 1))
    return pd.Series(
        {"median": ordered[n // 2], "low": ordered[low], "high": ordered[high], "escaped": np.isfinite(times).mean()}
    )


def expected(effective, variance, lr=0.01):
    """Median time of linear theory: of the Gaussian law with variance lr v (exp(2 k t) - 1) / (2 k), k = 1 - effective."""
    k = 1 - effective
    return np.where(k > 0, np.log1p(2 * k / (0.6745**2 * lr * variance)) / (2 * k), np.inf)


runs = escapes(walks)
SLOPE = float(mean_unit_slope(2)) / NOISE
runs["effective"] = runs[RHO] * runs["optimizer.name"].map({"usam": 1.0, "sam": SLOPE, "dnsam": np.nan})
of_rule = {"usam": lambda r: NOISE**2 * (1 - r) ** 2, "sam": lambda r: NOISE**2 * (1 - 2 * r * SLOPE) + r**2 / 2}
kinds = runs[KIND].where(runs.get("optimizer.expansion", runs[KIND]) != "exact", "sde, sampled")
times = runs.groupby(["optimizer.name", RHO, kinds])["escape"].apply(median).unstack()
for (name, rho), kind in {key[:2]: key[2] for key in times.index if key[0] in of_rule}.items():
    scale = 1.0 if name == "usam" else SLOPE
    times.loc[(name, rho), "theory"] = float(expected(rho * scale, of_rule[name](rho)))
times.round(3)

# %% [markdown]
# ## Two published variances

# %%
PATHS = SEEDS if QUICK else 4096
paths = swept("variance", "variance", PATHS)
law = paths.groupby([KIND, RHO, "time"])["x0"].var().unstack(0)
place = law.index.to_frame()
law["derived"] = saddle_variance(place["time"], 0.001, place[RHO], -1.0, 8)
law["published"] = kim_variance(place["time"], 0.001, place[RHO], -1.0, 8)
final = law[place["time"] == place["time"].max()].droplevel("time")
print((final * 1e4).round(4))
for kind in ("rule", "sde"):
    error = final[kind] * np.sqrt(2 / PATHS)
    print(
        kind,
        "deviation in standard errors",
        ((final[kind] - final["derived"]) / error).round(2).tolist(),
        "derived,",
        ((final[kind] - final["published"]) / error).round(1).tolist(),
        "published",
    )

# %% [markdown]
# What rho takes away from the variance of SGD: 2 lr rho lam^2 t / B at first order by the rule, 2 lr rho |lam|^3 t^2 / B as
# published. The paths of all radii share their Z.

# %%
gap = (law.loc[0.0] - law.loc[0.2]).iloc[1:]
early = gap.iloc[: max(len(gap) // 3, 2)]
print(
    "slope in t of the early gap:",
    {c: round(float(np.polyfit(np.log(early.index), np.log(early[c].abs()), 1)[0]), 3) for c in gap},
)
gap

# %% [markdown]
# ## Figure


# %%
def finish(ax, **settings):
    ax.set(**settings)
    ax.title.set_size(9)


with paper():
    figure, axes = plt.subplots(2, 3, figsize=(6.9, 4.6), layout="constrained")
    a, b, c, d, e, f = axes.flat
    for (kind, x), rate in rates.items():
        colour = PALETTE[0] if x == "x2" else PALETTE[3]
        a.plot(rate.index, rate.mean(axis=1), STYLES[kind], ms=4, mfc="none", mew=0.8, color=colour)
    grid = np.linspace(0.25, 2.5)
    a.plot(grid, usam_escape_rate(grid, -1.0), color=PALETTE[0], lw=0.9, label=r"$\lambda = -1$")
    a.plot(grid, usam_escape_rate(grid, -0.5), color=PALETTE[3], lw=0.9, ls="--", label=r"$\lambda = -1/2$")
    a.axhline(0, color=GREY, lw=0.6)
    finish(a, xlabel=r"radius $\rho$", ylabel="growth of the mean", title="(a) USAM at a saddle")
    a.legend()
    for kind, part in radii.groupby("kind"):
        offset = 1.04 if kind == "sde" else 0.96
        error = [
            (part["ratio"] - part["low"]) * part["theory"] / NOISE,
            (part["high"] - part["ratio"]) * part["theory"] / NOISE,
        ]
        b.errorbar(
            part["d"] * offset,
            part["ratio"] * part["theory"] / NOISE,
            error,
            fmt=STYLES[kind],
            ms=4,
            mfc="none",
            mew=0.8,
            lw=0.8,
            color=INK,
            label=kind.replace("sde", "SDE"),
        )
    dims = np.geomspace(1, 60)
    b.plot(dims, 1 / mean_unit_slope(dims), color=INK, lw=0.9, label=r"$1/c(d)$")
    finish(
        b,
        xscale="log",
        yscale="log",
        xlabel="dimension $d$",
        ylabel=r"threshold $\rho|\lambda|/s$",
        title="(b) SAM with noise",
    )
    b.legend()
    lines = {"usam": ("-", PALETTE[0], 1.0), "sam": ("--", PALETTE[3], SLOPE)}
    marks = {"rule": "o", "sde": "^", "sde, sampled": "s"}
    for (name, rho, kind), row in times.iterrows():
        if name in lines:
            never = not np.isfinite(row["median"])
            c.plot(
                rho * lines[name][2],
                30 if never else row["median"],
                marks[kind],
                ms=4,
                mew=0.8,
                color=lines[name][1],
                mfc="none",
                clip_on=False,
            )
    for name, (dash, colour, scale) in lines.items():
        r = np.linspace(0, 0.97, 100)
        c.plot(r, expected(r, of_rule[name](r / scale)), dash, lw=0.9, color=colour, label=name.upper())
    finish(
        c,
        ylim=(0, 30),
        xlim=(-0.05, 1.8),
        xlabel=r"$\rho$, or $\rho\,c(d)/s$",
        ylabel="median escape time",
        title="(c) escape; at the top: never",
    )
    c.legend(loc="lower right")
    t = np.linspace(0, 1)
    for rho, colour, dash in ((0.2, PALETTE[0], "-"), (0.5, PALETTE[3], "-")):
        v = law.loc[rho]
        d.plot(v.index, v["rule"] * 1e4, "o", ms=4, mfc="none", mew=0.8, color=colour, label=rf"rule, $\rho$ = {rho:g}")
        d.plot(v.index, v["sde"] * 1e4, "^", ms=3, mfc="none", mew=0.6, color=colour)
        d.plot(t, saddle_variance(t, 0.001, rho, -1.0, 8) * 1e4, color=colour, lw=0.9)
        d.plot(t, kim_variance(t, 0.001, rho, -1.0, 8) * 1e4, "--", color=colour, lw=0.9)
    finish(d, xlabel="time $t$", ylabel=r"variance $\times 10^4$", title="(d) derived, and published (dashed)")
    d.legend()
    e.plot(gap.index, gap["rule"], "o", ms=4, mfc="none", mew=0.8, color=INK, label="rule")
    e.plot(gap.index, gap["derived"], color=INK, lw=0.9, label="derived")
    e.plot(gap.index, gap["published"], "--", color=INK, lw=0.9, label="published")
    finish(
        e,
        xscale="log",
        yscale="log",
        xlabel="time $t$",
        ylabel=r"variance, SGD $-$ USAM(.2)",
        title="(e) the gap is of order $t$",
    )
    e.legend()
    for kind, part in basin.groupby("kind"):
        image = part.pivot(index="y", columns="x", values="held").astype(float)
        if kind == "flow":
            f.contourf(image.columns, image.index, image, levels=[0.5, 1.5], colors=[LIGHT])
        else:
            f.contour(image.columns, image.index, image, levels=[0.5], colors=[INK], linewidths=0.9)
    f.add_patch(plt.Circle((0, 0), 1, fill=False, ls="--", lw=0.9, color=PALETTE[3]))
    finish(f, xlabel=r"$x/\rho$", ylabel=r"$y/\rho$", title=r"(f) SAM, $(x^2 - y^2)/2$", aspect="equal")
    figure.savefig(FIGURES / "sde_saddles.png", metadata={"Software": None}, dpi=200)
