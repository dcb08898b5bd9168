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
# # Does SAM settle at its edge of stability, and where does it drift from there?
#
# Cohen et al. 2021 (arXiv 2103.00065): full-batch gradient descent sharpens until the largest eigenvalue of the Hessian
# is 2/lr, and stays there. Long & Bartlett 2024 (arXiv 2309.12488): so does SAM, at a smaller edge that depends on the
# gradient norm, |g|/(2 rho) (sqrt(1 + 8 rho/(lr |g|)) - 1). Bartlett, Long & Bousquet 2023 (arXiv 2210.01513): once in
# a valley, SAM bounces across and drifts along it, towards smaller sharpness.
#
# `configs/edge_chebyshev.yaml` (20 points of a polynomial, 1-40-1 tanh network, mean r^2/2), `configs/edge_digits.yaml`
# (200 images of digits, 64-40-10 tanh network, half the square) and `configs/edge_valley.yaml` ((5 + y) x^2 / 2) run it
# on the full batch with constant lr, no momentum, no weight decay; rho = 0 is gradient descent. All is measured at the
# current iterate, the Hessian exactly.
#
# Statistic, fixed after a pilot on other seeds (1000 to 1002) and before these runs: a run has **reached** its edge if
# at some record of the first half of its steps the sharpness is at or above the edge of its rule. Its **ratio** is the
# median of sharpness/edge over the records of the second half. So nothing that makes a run count also makes its ratio
# 1. The claim holds if the ratio of every run that has reached its edge lies in [.95, 1.08]. Negative control: at lr =
# .02, where gradient descent and SAM of a tiny radius have not reached theirs, the ratio must lie below .95. Intervals
# are 95 % Student intervals over seeds.

# %%
import os
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

import featlearn as fl
from featlearn.plots.style import PALETTE, paper
from featlearn.theory.edges import valley_drift

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "10"))
QUICK = SEEDS < 10  # the test of this notebook takes fewer seeds and steps
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"edge_of_stability_{SEEDS}"
FIGURES = STORE if QUICK else ROOT / "analysis" / "figures"
LR, RHO = "optimizer.lr", "optimizer.rho"
CELLS = {"sweep.optimizer.lr": [0.1, 0.4], "sweep.optimizer.rho": [0.0, 0.1]}
SHORT = {
    "chebyshev": {"train.n_steps": 40, "record.every": 15, "network.width": 4, **CELLS},
    "digits": {"train.n_steps": 8, "record.every": 3, "data.n_samples": 10, "network.width": 1, **CELLS},
    "valley": {"sweep.network.y": [0.0], "sweep.optimizer.lr": [0.05]},
}


def swept(config, store, **settings):
    """Run a config with other keys; return one row per run and recorded step."""
    settings = (SHORT[config] if QUICK else {}) | settings
    loaded = fl.load_config(ROOT / "configs" / f"edge_{config}.yaml", set=settings)
    fl.sweep(loaded, STORE / store, n_jobs=1 if QUICK else 2)
    return fl.load(STORE / store)


def ratios(rows):
    """Return the ratios of all runs, and for every cell their mean with its interval and the extremes."""
    runs = fl.tables.edge_ratio(rows)
    ends = fl.tables.last_rows(rows).groupby(fl.tables.cell_columns(rows), sort=False)
    cells = fl.tables.edge_ratio_grid(runs).set_index(fl.tables.cell_columns(rows))
    return runs, cells.assign(train_loss=ends["train_loss"].mean(), sharpness=ends["sharpness"].mean())


def drawn(rows, name):
    """Draw sharpness and edges, and save the figure."""
    figure, _ = fl.plots.edge_figure(rows)
    with paper():
        figure.savefig(FIGURES / f"{name}.png", metadata={"Software": None}, dpi=200)


# %% [markdown]
# ## Chebyshev points

# %%
points = swept("chebyshev", "chebyshev", **{"sweep.seed": {"range": [0, SEEDS]}})
runs, cells = ratios(points)
cells.round(4)

# %%
reached = runs[runs["reached"]]
held = reached["ratio"].between(0.95, 1.08).sum()
print(f"{len(reached)} of {len(runs)} runs reached their edge, {held} of them stay within [.95, 1.08]")
drawn(points[points[RHO].isin([0, 0.01, 0.1])], "edge_of_stability")

# %% [markdown]
# When the edge is first reached, in steps:

# %%
at_edge = points[points["sharpness"] >= fl.tables.edge_in_use(points)].drop_duplicates("run_id")
at_edge.groupby([RHO, LR])["step"].agg(["count", "min", "median", "max"])

# %% [markdown]
# ## Negative control: a learning rate below the edge
#
# SAM with a large radius is added to the two controls, to show its behaviour at this lr.

# %%
below = {"sweep.seed": {"range": [0, SEEDS]}, "sweep.optimizer.lr": [0.02], "sweep.optimizer.rho": [0.0, 0.001, 0.1]}
slow = swept("chebyshev", "below", **below)
control_runs, control = ratios(slow)
drawn(slow, "edge_of_stability_below")
control.round(4)

# %% [markdown]
# ## Digits

# %%
FEW = min(SEEDS, 5)
digits = swept("digits", "digits", **{"sweep.seed": {"range": [0, FEW]}})
digit_runs, digit_cells = ratios(digits)
drawn(digits, "edge_of_stability_digits")
digit_cells.round(4)

# %% [markdown]
# ## Digits with cross-entropy
#
# Its Hessian vanishes with the loss, so that a fitted network need not stay at any edge.

# %%
fitted = {"network.loss": "cross_entropy", "sweep.optimizer.lr": [2.0, 8.0], "sweep.optimizer.rho": [0.0, 0.1]}
entropy = swept("digits", "cross_entropy", **fitted, **{"sweep.seed": {"range": [0, FEW]}})
entropy_runs, entropy_cells = ratios(entropy)
entropy_cells.round(4)

# %% [markdown]
# ## Figure of the ratios

# %%
NAMES = {0.0: "GD", 0.001: r"SAM $\rho$ = .001", 0.01: ".01", 0.03: ".03", 0.1: ".1"}
COLOURS = dict(zip(NAMES, PALETTE, strict=False))


def dots(near, far, runs, name):
    """Draw the ratio of every run, cell by cell, filled if the edge was reached; far smaller ones apart."""
    runs = runs.sort_values([RHO, LR], kind="stable")
    groups = runs.groupby([RHO, LR], sort=False)
    colours = runs[RHO].map(COLOURS)
    filled = colours.where(runs["reached"], "none")
    near.axhspan(0.95, 1.08, color="0.88", lw=0, zorder=0)
    for ax, shown in ((near, runs["ratio"] > 0.9), (far, runs["ratio"] <= 0.9)):
        dots = {"s": 9, "c": filled[shown], "edgecolors": colours[shown], "linewidths": 0.7}
        ax.scatter(groups.ngroup()[shown], runs.loc[shown, "ratio"], **dots)
    near.set(ylim=(0.9, 1.15), xlim=(-0.6, groups.ngroups - 0.4), title=name)
    far.set(ylim=(1e-3, 0.9), yscale="log", xlabel=r"learning rate $\eta$")
    far.set_xticks(range(groups.ngroups), [f"{lr:g}" for lr in groups[LR].first()], rotation=90)


with paper():
    shape = {"width_ratios": (15, 9, 4), "height_ratios": (3, 2), "sharex": "col", "sharey": "row"}
    figure, axes = plt.subplots(2, 3, figsize=(6.9, 3.9), layout="constrained", **shape)
    dots(*axes[:, 0], pd.concat([control_runs, runs]), "Chebyshev points")
    dots(*axes[:, 1], digit_runs, "digits")
    dots(*axes[:, 2], entropy_runs, "cross-entropy")
    figure.supylabel(r"$\lambda_{\max}$ / edge, median of the second half", fontsize=9)
    for rho, name in NAMES.items():
        axes[0, 0].scatter([], [], s=12, color=COLOURS[rho], label=name)
    axes[0, 0].scatter([], [], s=12, color="none", edgecolors="0.4", label="edge not reached")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6, columnspacing=1.0)
    figure.savefig(FIGURES / "edge_of_stability_ratio.png", metadata={"Software": None}, dpi=200)

# %% [markdown]
# ## The drift along a valley
#
# Displacement of y per step over steps 400 to 600, against -2 lr rho^2/(2 - lr lam)^2 grad lam at the midpoint.
# Fixed before the runs: the formula holds where the two agree to 1e-3. It is the leading order in rho.


# %%
def drifts(rows):
    """Measured drift, and its relative excess over theory, one row per run."""
    first, last = (rows[rows["step"] == step].set_index("run_id") for step in (400, 600))
    measured = (last["x1"] - first["x1"]) / (last["step"] - first["step"])
    sharpness = rows["network.curvature"].iloc[0] + (first["x1"] + last["x1"]) / 2
    theory = valley_drift(first[LR], first[RHO], sharpness, 1.0)
    edge = (last["sharpness"] / last["sam_edge"] - 1).abs()
    return first.assign(drift=measured, excess=measured / theory - 1, product=first[LR] * sharpness, off_edge=edge)


valley = drifts(swept("valley", "valley"))
valley.pivot_table(index=["network.y", LR], columns=RHO, values="excess")

# %%
print(valley.loc[(valley[LR] == 0.05) & (valley[RHO] == 0.02), ["network.y", "drift"]].to_string(float_format="%.5e"))
excess = valley["excess"].abs()
print(f"{(excess <= 1e-3).sum()} of {len(valley)} within 1e-3; the largest excess is {excess.max():.2e}")
print("of the 2-cycle: |sharpness / SAM edge - 1| is at most", valley["off_edge"].max())

# %% [markdown]
# The whole descent: y over many steps, and the theoretical recursion.

# %%
LONG = {"sweep.network.y": [1.0], "sweep.optimizer.lr": [0.1], "sweep.optimizer.rho": [0.0, 0.05, 0.1, 0.2]}
STEPS = 200 if QUICK else 2000
way = swept("valley", "way", **LONG | {"train.n_steps": STEPS, "record.every": 20})


def recursion(rho, steps, lr=0.1, y=1.0):
    """Theory's y after every step."""
    path = [y]
    for _ in range(steps):
        path.append(path[-1] + float(valley_drift(lr, rho, 5 + path[-1], 1.0)))
    return path


with paper():
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.9, 2.8), layout="constrained")
    for colour, (rho, run) in zip(PALETTE, way.groupby(RHO), strict=False):
        left.plot(run["step"], run["x1"], color=colour, label=rf"$\rho$ = {rho:g}")
        left.plot(recursion(rho, STEPS), color="0.15", lw=0.9, ls=(0, (1, 1.5)))
    left.plot([], [], color="0.15", lw=0.9, ls=(0, (1, 1.5)), label="theory")
    left.set(xlabel="step", ylabel="$y$, along the valley", title=r"sharpness $5 + y$, $\eta$ = 0.1")
    left.legend(fontsize=7)
    for colour, (lr, part) in zip(PALETTE, valley.groupby(LR), strict=False):
        right.plot(part[RHO], part["excess"].abs(), "o", ms=3, color=colour, label=rf"$\eta$ = {lr:g}")
    right.axhline(1e-3, color="0.45", lw=0.9, ls="--")
    right.set(xscale="log", yscale="log", xlabel=r"radius $\rho$", ylabel="|measured / theory - 1|")
    right.set_title("drift a step")
    right.set_xticks(radii := sorted(valley[RHO].unique()), [f"{rho:g}" for rho in radii])
    right.set_xticks([], minor=True)
    right.legend(fontsize=7)
    figure.savefig(FIGURES / "edge_of_stability_drift.png", metadata={"Software": None}, dpi=200)

# %% [markdown]
# ## Results
#
# Measured with 10 seeds (5 on digits) on 2026-11-26, featlearn 0.1.0, CPU, float64; the cells above recompute it in 12
# minutes of one core. An exact sharpness costs as much as 72 steps on the Chebyshev points and 120 on the digits:
# recorded as here, a quarter of the time and seven tenths of it.
#
# * **(a) GD and SAM settle at their edge.** On the Chebyshev points all 120 runs reach it in the first half, and in
#   the second the ratio of every one lies in [.990, 1.069]. GD's means are 1.001 [.999, 1.002], 1.009 [1.006, 1.013]
#   and 1.025 [1.009, 1.041] at lr = .1, .2 and .4; SAM's go from 1.001 [1.000, 1.002] (lr = .1, rho = .01) to 1.065
#   [1.063, 1.067] (.4, .1). So training settles slightly above the edge, more so for larger lr and rho. The final
#   sharpness is ordered as the edge: at lr = .1 the sharpness is 20.1, 14.3, 11.8, 5.5 for rho = 0, .01, .03, .1.
# * **Below it the ratio is not 1.** At lr = .02 it is .045 [.041, .049] for GD and .147 [.137, .157] for rho = .001:
#   none of these twenty runs has reached its edge, and none is above .17.
# * **SAM's edge comes down to the sharpness, and can rise again.** GD's sharpness rises to a fixed edge, by step
#   14,300 to 16,100 at lr = .1. SAM's edge falls to the sharpness as |g| falls to that of the 2-cycle, in most
#   runs within 402 steps. This needs no large lr: at lr = .02 and rho = .1 all ten runs reach it where GD is at 4 % of
#   its own. But when learning begins, |g| and with it the edge grow beyond the sharpness: there the ratio of the
#   second half is .889 [.807, .971], for one run .656. Read as "once reached, kept", the claim fails there.
# * **The same holds on the digits, with exceptions.** 31 of the 35 runs that reach their edge stay within [.95, 1.08]:
#   GD at 1.017 [1.015, 1.020] (lr = .4) and 1.047 [1.031, 1.063] (.8), SAM at means of 1.031 to 1.058 in four of five
#   cells. At lr = .8 and rho = .1 it is above: 1.097 [1.081, 1.112], four of five runs beyond 1.08. At lr = .05 GD
#   stays at .155 [.140, .170], and SAM of rho = .03 comes to its edge (1.002 [1.002, 1.003]) only after half of the
#   steps.
# * **With cross-entropy no run stays.** At lr = 2 and 8, 13 of 20 runs start at or above their edge, and all leave it
#   as the loss goes to zero, and the Hessian with it: ratios of .002 to .092. SAM's edge falls as well, but like
#   the square root of |g|.
# * **(d) SAM drifts along the valley as theory predicts.** Of 80 settings (lr .02 to .15, rho .005 to .08, y 0 to 5) 78
#   agree with -2 lr rho^2/(2 - lr lam)^2 grad lam to 1e-3, half of them to 2.3e-6. The other two (lr = .15 from y =
#   5, rho = .04 and .08) are off by 1.08e-3 and 1.06e-3. The excess grows like rho^2 while it is small, as expected
#   of the next order. At lr = .05 and rho = .02 the drift is -1.30564e-5 a step from y = 0 and -1.30937e-5 from
#   .05, read 400 to 600 steps later. GD does not move. Over 2,000 steps the recursion of the formula lies on the
#   measured curve, down to a sharpness of .39 (y = -4.614 against -4.613).
