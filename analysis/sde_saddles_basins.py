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
# # From where does SAM go to a saddle or a maximum, and what of that do flow and SDE show?
#
# The part of `sde_saddles.py` without noise, or nearly so. Compagnoni et al. 2023 (arXiv 2301.08203): on a quadratic,
# the flow of SAM is attracted from every w with |H w| < rho |lam|, lam the negative eigenvalue nearest to 0; in one
# dimension that is exactly |x| < rho. What the steps add: they jump within lr rho |lam|, and on diag(L, -m) they
# leave again unless m > lr L^2 / (2 - lr L). "SAM can hallucinate minimizers" (arXiv 2509.21818): on 1 - cos x it
# stops where the gradient of the perturbed point vanishes and its own does not.
#
# Statistics, fixed before the runs. Bounds hold if no run contradicts them from 1 % on. A run is **held** in one
# dimension if |x| < rho / 2 at the end, in the plane if |w| < rho, on diag(L, -m) if |y| does not grow in the second
# half of the steps. On 1 - cos x a run is **at the maximum** if it ends within .3 of it, and at a **hallucinated**
# minimizer if the gradient of its perturbed point is below 1e-6, and its own above .01.

# %%
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

import featlearn as fl
from featlearn.plots.style import INK, LIGHT, PALETTE, paper
from featlearn.theory.saddles import hallucinated_points, sam_basin, sam_confinement, sam_saddle_curvature, usam_traps

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "200"))
QUICK = SEEDS < 200  # the test of this notebook takes fewer seeds and steps
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"sde_saddles_basins_{SEEDS}"
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


# %% [markdown]
# ## The step size of USAM
#
# The rule also needs lr lam (1 + rho lam) < 2 along the positive eigenvalue: which of 140 settings hold it at diag(2,
# -1/2, -1)?

# %%
GRID = {"sweep.optimizer.dynamics": ["rule"], "train.gradient_noise": 0.0, "train.n_steps": 400}
GRID |= {"sweep.optimizer.lr": [0.02, 0.1, 0.2, 0.3, 0.4], "sweep.optimizer.rho": {"linspace": [0.25, 4.75, 28]}}
first, last = ends(swept("usam", "grid", 1, **GRID | {"record.every": 400}))
held = (last[["x0", "x1", "x2"]].abs().max(axis=1) < 0.3) & (last["status"] == "ok")
says = usam_traps(last[RHO], [2.0, -0.5, -1.0], last[LR])
print(f"held: {held.sum()} of {len(held)}; as theory says: {(held == says).sum()}")
last[held].groupby(LR)[RHO].agg(["min", "max"])

# %% [markdown]
# ## SAM without noise: basins

# %%
line = swept("sam", "line")
first, last = ends(line)
late = line[line["step"] >= line["step"].max() - 10].groupby("run_id")["x0"].agg(lambda x: x.abs().max())
table = last.assign(start=first["x0"] / 0.3, largest=late / sam_confinement(0.01, 0.3, -1.0))
print("theory: held iff start < 1, and then within largest <= 1; basin", sam_basin(0.3, [-1.0]))
table.pivot_table(index="start", columns=KIND, values="largest").round(4)

# %%
NOISY = {"train.gradient_noise": 0.05, "sweep.optimizer.dynamics": ["rule", "sde"]}
starts, last = ends(swept("sam", "noisy", SEEDS, **NOISY | {"record.every": 1000}))
table = last.assign(start=starts["x0"] / 0.3, held=last["x0"].abs() < 0.15)
noisy = table.groupby(["start", KIND])["held"].mean().unstack()
noisy

# %%
ACROSS, ALONG = np.linspace(-3, 3, 5 if QUICK else 31), np.linspace(-1.2, 1.2, 5 if QUICK else 121)
PLANE = {"network.spectrum": [1.0, -1.0], "network.start": [0.015, 5e-5]}
PLANE |= {"record.trackers": [{"name": "position", "n_coordinates": 2}]}
MAP = {"sweep.network.start": [[0.3 * float(x), 0.3 * float(y)] for x in ACROSS for y in ALONG]}
MAP |= {LR: 0.05, "train.n_steps": 400, "record.every": 400}
first, last = ends(swept("sam", "map", **PLANE, **MAP))
basin = pd.DataFrame({"kind": last[KIND], "x": first["x0"] / 0.3, "y": first["x1"] / 0.3})
basin["held"] = np.hypot(last["x0"], last["x1"]) < 0.3
basin["inside"] = np.hypot(basin["x"], basin["y"]) < 1
print(basin.groupby(["kind", "inside"])["held"].agg(["mean", "sum", "count"]))

# %% [markdown]
# On diag(L, -m) the rule is held iff m > lr L^2 / (2 - lr L), whatever rho is. The flow, integrated with k Euler steps,
# is the rule with lr/k, and has the threshold of that.

# %%
RATIOS = (0.5, 0.9, 0.95, 0.98, 0.99, 1.01, 1.02, 1.05, 1.1, 1.5)
SHARP = (5.0,) if QUICK else (2.0, 5.0, 10.0, 15.0)
BOWLS = [[L, -r * float(sam_saddle_curvature(lr, L))] for lr in (0.1, 0.0125) for L in SHARP for r in RATIOS]
CYCLE = {"sweep": {KIND: ["rule", "flow"], RHO: [0.05, 1.0], "network.spectrum": BOWLS}, LR: 0.1}
cycle = swept("sam", "cycle", **PLANE, **CYCLE, **{"train.n_steps": 2000, "record.every": 1000})
half = cycle[cycle["step"] == cycle["step"].max() // 2].set_index("run_id")["x1"].abs()
_, last = ends(cycle)
sharp, m = np.array([json.loads(text) for text in last["network.spectrum"]]).T
bounds = {"rule": sam_saddle_curvature(0.1, sharp), "flow": sam_saddle_curvature(0.0125, sharp)}
last = last.assign(L=sharp, ratio=-m / np.where(last[KIND] == "rule", bounds["rule"], bounds["flow"]))
last["held"] = (last["x1"].abs() <= half.reindex(last.index)) & (last["status"] == "ok")
jump = np.where(last[KIND] == "rule", 0.1, 0.0125) * m * (last["ratio"] - 1)  # beyond 2 the motion has a finite size
print(f"as theory says: {(last['held'] == ((last['ratio'] > 1) & (jump < 2))).sum()} of {len(last)}")
near = last[last["ratio"].between(0.4, 1.6)].groupby([KIND, "L", "held"])["ratio"].agg(["min", "max"])
near.unstack().round(3)

# %% [markdown]
# ## Hallucinated minimizers

# %%
STARTS = {"linspace": [0.01, 6.27, 11 if QUICK else 314]}
start, end = ends(swept("bump", "bump", **{"sweep.network.x": STARTS}))
expansion = end.get("optimizer.expansion", pd.Series("", end.index)).fillna("")
bump = end.assign(start=start["x0"], kind=(end[KIND] + " " + expansion).str.strip())
bump["perturbed"] = np.sin(bump["x0"] + bump[RHO] * np.sign(np.sin(bump["x0"])))
bump["maximum"] = (bump["x0"] - np.pi).abs() < 0.3
bump["hallucinated"] = (bump["perturbed"].abs() < 1e-6) & (bump["grad_norm"] > 0.01)
bump["minimum"] = np.cos(bump["x0"]) > np.cos(0.3)
print(bump.groupby(["kind", RHO])[["maximum", "hallucinated", "minimum"]].mean().unstack().round(3).to_string())
edges = bump[bump["maximum"]].groupby(["kind", RHO])["start"].agg(lambda x: (x - np.pi).abs().max()).unstack()
print("\nfarthest start that ends at the maximum, theory: rho < pi\n", edges.round(3).to_string())
bump[bump["hallucinated"]].groupby(["kind", RHO])[["x0", "grad_norm", "perturbed", "train_loss"]].agg(["min", "max"]).T

# %% [markdown]
# Gradient descent in the first steps leads away from the maximum, tan(distance / 2) growing by exp(lr) a step: SAM of
# radius rho ends there from a share 2 arctan(tan(rho / 2) exp(-lr start)) / pi of all starts.

# %%
STEPS = [0, 5] if QUICK else [0, 5, 10, 15, 20, 30, 40]
LATE = {"sweep": {"optimizer.start": STEPS, RHO: [1.0, 2.0], "network.x": STARTS}}
_, late = ends(swept("bump", "late", **LATE))
late["maximum"] = (late["x0"] - np.pi).abs() < 0.3
late = late.groupby([RHO, "optimizer.start"])["maximum"].mean().unstack(0)


def share(rho, start, lr=0.1):
    """Share of starts from which SAM ends at the maximum, after ``start`` steps of the gradient flow."""
    return 2 * np.arctan(np.tan(rho / 2) * np.exp(-lr * start)) / np.pi


late.assign(**{f"theory {rho:g}": share(rho, late.index.to_numpy()) for rho in late.columns}).round(3)

# %% [markdown]
# ## Figure

# %%
BLUE, RED = PALETTE[0], PALETTE[3]
with paper():
    figure, axes = plt.subplots(2, 2, figsize=(5.2, 4.6), layout="constrained")
    a, b, c, d = axes.flat
    image = {
        kind: part.pivot(index="y", columns="x", values="held").astype(float) for kind, part in basin.groupby("kind")
    }
    flow, rule = image["flow"], image["rule"]
    a.contourf(flow.columns, flow.index, flow, levels=[0.5, 1.5], colors=[LIGHT])
    a.contour(rule.columns, rule.index, rule, levels=[0.5], colors=[INK], linewidths=0.9)
    a.add_patch(plt.Circle((0, 0), 1, fill=False, ls="--", lw=0.9, color=RED))
    a.set(xlabel=r"$x/\rho$", ylabel=r"$y/\rho$", title=r"(a) basin of SAM, $(x^2 - y^2)/2$", xlim=(-3, 3))
    a.set_ylim(-1.2, 2.2)
    a.set_yticks([-1, 0, 1])
    keys = [plt.Rectangle((0, 0), 1, 1, fc=LIGHT), plt.Line2D([], [], color=INK, lw=0.9)]
    keys.append(plt.Line2D([], [], color=RED, ls="--", lw=0.9))
    a.legend(
        keys,
        ["held by the flow", "border of the rule", r"bound $|Hw| = \rho|\lambda|$"],
        loc="upper center",
        fontsize=7,
    )
    for kind, part in noisy.items():
        points(b, part.index, part, kind, label=kind.replace("sde", "SDE"))
    b.axvline(1, color=RED, lw=0.9, ls="--", label=r"$|x| = \rho$")
    b.set(xlabel=r"start $x/\rho$", ylabel="share held", title=r"(b) $-x^2/2$, noise $s = \rho/6$", xlim=(0.85, 1.15))
    b.legend()
    for rho, colour in ((1.0, BLUE), (2.0, RED)):
        points(c, late.index, late[rho], "rule", colour, label=rf"rule, $\rho$ = {rho:g}")
        grid = np.linspace(0, max(STEPS))
        c.plot(grid, share(rho, grid), color=colour, lw=0.9, label=rf"formula, $\rho$ = {rho:g}")
    c.set(xlabel="steps of GD before SAM", ylabel="share at the maximum", title=r"(c) $1 - \cos x$")
    c.legend()
    stopped = bump[(bump[RHO] == 4.0) & (bump["kind"] == "rule")]
    x = np.linspace(0, 2 * np.pi, 200)
    d.plot(x, 1 - np.cos(x), color=INK, lw=0.9)
    points(d, stopped["x0"], 1 - np.cos(stopped["x0"]), "rule", RED, label="ends of the rule")
    for x in (hallucinated_points(2 * np.pi, 4.0)[0], hallucinated_points(0.0, 4.0)[1]):
        line = d.axvline(float(x), color=BLUE, lw=0.8, ls=":")
    line.set_label(r"theory, $x_{\min} \mp \rho$")
    d.legend(fontsize=7, loc="lower center", frameon=True, facecolor="white", edgecolor="none", framealpha=1)
    d.set(xlabel="$x$", ylabel=r"$1 - \cos x$", title=r"(d) where SAM stops, $\rho$ = 4", xlim=(0, 2 * np.pi))
    figure.savefig(FIGURES / "sde_saddles_basins.png", metadata={"Software": None}, dpi=200)

# %% [markdown]
# ## Results
#
# Measured with 200 seeds (one path a start where there is no noise) on 2026-11-30, featlearn 0.1.0, CPU, float64.
#
# * **Thresholds of USAM.** All 140 runs of the rule, over rho and lr, are held or released as theory says.
# * **The basin of SAM in one dimension is |x| < rho.** Rule and flow hold every start up to .99 rho and release every
#   start from 1.01 rho on. The rule then jumps within lr rho |lam| (all late |x| at most 1.000 of it); the flow comes
#   to rest, to the resolution of its Euler steps. With noise s = rho/6 the border is blurred, for rule and SDE alike:
#   .83 are held from .99 rho, .21 from 1.01 rho, none from 1.05 rho.
# * **In the plane the bound is sufficient and far from necessary**: all 755 starts with |H w| < rho |lam| are held,
#   and so are 61 % of the 2996 outside, the same ones by rule and flow.
# * **The rule on diag(L, -m) is held iff m > lr L^2 / (2 - lr L)**: 309 of 320 runs agree, from 1 % of the threshold
#   on. The others are at lr L = 1.5 and 1.5 times the threshold, where the motion along -m has a finite size. The flow
#   has the same threshold at the step lr/k: it is a property of the step, and the continuous flow has none.
# * **Hallucinated minimizers.** At rho = 4 every start of the rule ends at 2.2832 = 2 pi - 4 or at 4, where the own
#   gradient is .757 and the perturbed one is below 4e-14. They lie at x_min -+ rho beyond a maximum; x_max -+ rho,
#   where the perturbed gradient vanishes too, repels, and bounds the basin of the maximum: its farthest start lies at
#   .492, .992 and 1.992 for rho = .5, 1 and 2 (grid .02). **The papers' SDE cannot see them**: the flow to first order
#   in rho ends at a hallucinated point from no start, and the one to second order neither; only the flow with
#   `expansion: exact` does, with the rule's own shares. At rho = 1 the first-order basin of the maximum is .77 instead
#   of .99.
# * **A start with gradient descent avoids the maximum**: after 0, 10, 20 and 40 steps SAM (rho = 2) ends there from
#   .637, .331, .140 and .019 of all starts; the formula gives .637, .331, .132 and .018.
