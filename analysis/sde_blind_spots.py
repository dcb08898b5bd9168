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
# # What can flows and SDEs not see of SAM?
#
# Compagnoni et al. 2026 (arXiv 2506.00181): modified equations do not carry the step-size limits of the discrete rule.
# For SAM the rule has an edge of stability (Long & Bartlett 2024, arXiv 2309.12488), and in a valley a 2-cycle, of
# amplitude lr rho lam / (2 - lr lam), by which it drifts to smaller curvature (Bartlett, Long & Bousquet 2023, arXiv
# 2210.01513). `configs/sde_blind_spots.yaml` compares rule, flow and SDE on the valley (1 + y) x^2 / 2, lam = 1 + y, at
# lr lam = .2 to 1.8, without and with the noise s Z of the gradient, for each expansion in rho, with k substeps.
#
# Derived here: to first order in rho the direction of SAM's flow at x -> 0 is (lam (x + rho sign x), x^2/2 + rho |x|),
# to second order and exactly (lam (x + rho sign x), (|x| + rho)^2 / 2), x^3 neglected. So both reach x = 0 in finite
# time; there the first has no drift along the valley, the second -lr rho^2 / 2 a step. The Euler scheme with k substeps
# chatters about x = 0 like the rule of learning rate lr / k, and so adds a drift that vanishes like 1/k.
#
# Statistics, fixed after pilots with other seeds and before the run of full size. **Drift**: displacement of y over
# steps 200 to 300, divided by -lr rho^2 / 2 a step; it agrees with a law if both agree to 1 %. **With noise**, over
# steps 80 to 140, from x = rho, 95 % intervals over 256 paths: the mean loss; the **lag-1 autocorrelation** sum x_t
# x_(t+1) / sum x_t^2; the **drift due to the radius**, that of SAM minus that of its twin with rho = 0, of the same
# seed, dynamics, expansion and k, whose noise along y is the same. **Edge**: the median of lam over SAM's edge at the
# current |g|; and where the rule of gradient descent and of USAM leaves lam = 1: by more than 1 % in 400 steps.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

import featlearn as fl
from featlearn.plots.style import GREY, INK, PALETTE, paper
from featlearn.theory.edges import cycle_amplitude, valley_drift

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "256"))
QUICK = SEEDS < 256  # the test of this notebook takes fewer paths and settings
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"sde_blind_spots_{SEEDS}"
FIGURES = STORE if QUICK else ROOT / "analysis" / "figures"
FIRST = int(os.environ.get("FEATLEARN_FIRST_SEED", "0"))  # pilots take other seeds
LR, RHO, NOISE = "optimizer.lr", "optimizer.rho", "train.gradient_noise"
RADIUS = 0.002


def swept(store, optimizers=None, **settings):
    """Run the config with other keys; return the rows, with the kind of dynamics, "order" and k."""
    settings |= {"sweep.optimizer": optimizers} if optimizers else {}
    config = fl.load_config(ROOT / "configs" / "sde_blind_spots.yaml", set=settings)
    fl.sweep(config, STORE / store, n_jobs=1 if QUICK else 2)
    rows = fl.load(STORE / store).sort_values(["run_id", "step"])
    rule = rows["optimizer.dynamics"] == "rule"
    kind = rows["optimizer.dynamics"].where(rule, rows["optimizer.dynamics"] + " " + rows["optimizer.expansion"])
    k = rows["optimizer.substeps"].where(~rule, 0).astype(int)
    return rows.assign(rule=rows["optimizer.name"], kind=kind, k=k, lam=1 + rows["x1"])


# %% [markdown]
# ## Drift, amplitude and 2-cycle without noise

# %%
SMALL = [
    {"name": "sam", "lr": [0.8], "rho": [0.0, RADIUS]},
    {"name": "sam", "lr": [0.8], "rho": RADIUS, "dynamics": "flow", "expansion": ["first", "exact"]},
]
TIMES = [20, 29, 30] if QUICK else [200, 299, 300]
quiet = swept("quiet", SMALL if QUICK else None, **{"train.n_steps": TIMES[-1], "record.every": TIMES})
start, before, last = (quiet[quiet["step"] == step].set_index("run_id") for step in TIMES)
middle = (start["lam"] + last["lam"]) / 2
unit = -last[LR] * RADIUS**2 / 2
drifts = last.assign(
    drift=(last["x1"] - start["x1"]) / (TIMES[2] - TIMES[0]) / unit,
    law=valley_drift(last[LR], RADIUS, middle, 1.0) / unit,
    amplitude=last["x0"].abs() / RADIUS,
    cycle=cycle_amplitude(last[LR], RADIUS, last["lam"]) / RADIUS,
    lag=before["x0"] * last["x0"] / last["x0"] ** 2,
    edge=last["lam"] / last["sam_edge"],
    middle=middle,
)
SHOWN = ["drift", "law", "amplitude", "cycle", "lag", "edge", "lam", "middle"]
drifts = drifts.sort_values(["rule", RHO, "kind", "k", LR]).set_index(["rule", RHO, "kind", "k", LR])[SHOWN]
print(drifts.round(4).to_string())

# %% [markdown]
# The laws: of the rule, and of the flows by Euler's scheme, that of the rule at lr / k, less 1 to first order.

# %%
sam = drifts.xs(("sam", RADIUS)).reset_index()
expected = (1 - sam[LR] * sam["middle"] / 2 / sam["k"].clip(lower=1)) ** -2.0 - (sam["kind"] == "flow first")
sam["error"] = (sam["drift"] / expected - 1).abs()
print(sam.groupby(["kind", "k"])["error"].max().unstack().to_string(float_format="%.1e"))
both = sam.pivot_table(index=["k", LR], columns="kind", values="drift")
print("second against exact:", (both.get("flow second", both["flow exact"]) - both["flow exact"]).abs().max())

# %% [markdown]
# ## With noise: stationary loss, autocorrelation and drift
#
# s / rho = .1, .5 and 2. USAM has the radius .2, that is rho lam = .2. `sde exact` is sampled.

# %%
LEVELS = [0.0002, 0.001, 0.004]
RATES = [0.8] if QUICK else [0.2, 0.8, 1.6]
ENTRIES = [
    {"name": "sam", "rho": [0.0, RADIUS]},
    {"name": "sam", "rho": [0.0, RADIUS], "dynamics": "sde", "substeps": [1] if QUICK else [1, 8, 32]},
    {
        "name": "sam",
        "rho": [0.0, RADIUS],
        "dynamics": "sde",
        "expansion": "exact",
        "substeps": [8] if QUICK else [8, 32],
    },
    {"name": "usam", "rho": 0.2, "dynamics": ["rule", "sde"]},
]
noisy = {"train.n_steps": 140, "record.every": [*range(80, 141)], "sweep.seed": {"range": [FIRST, FIRST + SEEDS]}}
noisy |= {"sweep.train.gradient_noise": LEVELS[:1] if QUICK else LEVELS}
if QUICK:
    noisy |= {"train.n_steps": 6, "record.every": 1}
rows = swept("noisy", [entry | {"lr": RATES} for entry in ENTRIES], **noisy)
rows = rows[rows["step"] >= (2 if QUICK else 80)]  # step 0 is recorded too
CELL = ["rule", RHO, NOISE, LR, "kind", "k"]
DYNAMICS = [NOISE, LR, "kind", "k", "seed"]
rows["next"] = rows.groupby("run_id")["x0"].shift(-1)
rows["product"], rows["square"] = rows["x0"] * rows["next"], rows["x0"] ** 2 * rows["next"].notna()
rows["edge"] = rows["lam"] / rows["sam_edge"]
paths = rows.groupby([*CELL, "seed", "run_id"]).agg(
    loss=("train_loss", "mean"),
    product=("product", "sum"),
    square=("square", "sum"),
    edge=("edge", "median"),
    first=("x1", "first"),
    last=("x1", "last"),
)
paths = paths.reset_index()
duration = rows["step"].max() - rows["step"].min()
paths["moved"] = (paths["last"] - paths["first"]) / duration / (-paths[LR] * RADIUS**2 / 2)
twins = paths[(paths["rule"] == "sam") & (paths[RHO] == 0)].set_index(DYNAMICS)["moved"]
keys = pd.MultiIndex.from_frame(paths[DYNAMICS])
paths["drift"] = (paths["moved"] - twins.reindex(keys).to_numpy()).where(paths["rule"] == "sam")
paths["loss"] /= RADIUS**2


def summary(part):
    """Means of a cell with the half widths of their 95 % intervals."""
    half = 1.96 / np.sqrt(len(part))
    lag = part["product"].sum() / part["square"].sum()
    away = (part["product"] - lag * part["square"]) / part["square"].mean()
    return pd.Series(
        {
            "loss": part["loss"].mean(),
            "loss +-": half * part["loss"].std(),
            "lag": lag,
            "lag +-": half * away.std(),
            "drift": part["drift"].mean(),
            "drift +-": half * part["drift"].std(),
            "edge": part["edge"].median(),
        }
    )


cells = paths.groupby(CELL)[[*paths.columns.difference(CELL)]].apply(summary)
print(cells.round(4).to_string())

# %% [markdown]
# Loss of the rule over that of the SDEs, and whether the rule and the control k = 1 agree.

# %%
loss = cells["loss"].unstack(["kind", "k"])
over = pd.DataFrame({column: loss["rule", 0] / loss[column] for column in loss.columns})
over.round(3)

# %% [markdown]
# ## Edges
#
# Gradient descent, USAM of radius .4, whose edge from lam = 1 is lr (1 + rho) = 2, and SAM of radius .02, from lam = 1.

# %%
BEYOND = [1.2, 1.6] if QUICK else [round(0.1 * i, 1) for i in range(8, 25)]
ENTRIES = [
    {"name": "usam", "lr": BEYOND, "rho": [0.0, 0.4], "dynamics": ["rule", "flow"]},
    {"name": "sam", "lr": BEYOND, "rho": 0.02, "dynamics": ["rule", "flow"], "expansion": "exact"},
]
edges = swept("edges", ENTRIES, **{"train.n_steps": 20 if QUICK else 400, "record.every": [20] if QUICK else [400]})
edges = edges.drop_duplicates("run_id", keep="last")
ends = edges.pivot_table(index=LR, columns=["rule", RHO, "kind"], values="lam")
print(ends.round(4).to_string(), "\n", edges["status"].value_counts().to_dict())

# %% [markdown]
# ## Figure

# %%
BLUE, RED, GREEN = PALETTE[0], PALETTE[3], PALETTE[2]
KINDS = {("rule", 0): ("o", INK, "rule"), ("sde first", 32): ("^", BLUE, r"SDE, first, $k$ = 32")}
KINDS |= {
    ("sde exact", 32): ("s", RED, r"SDE, exact, $k$ = 32"),
    ("sde first", 1): ("x", GREEN, r"SDE, first, $k$ = 1"),
}
LINES = dict(zip(LEVELS, ("-", "--", ":"), strict=True))
with paper():
    figure, axes = plt.subplots(2, 2, figsize=(6.9, 5.2), layout="constrained")
    a, b, c, d = axes.flat
    grid = np.linspace(0.05, 1.9, 200)
    a.plot(grid, (1 - grid / 2) ** -2.0, color=INK, lw=0.9)
    for k, shade in ((8, "-"), (64, "--")):
        a.plot(grid, (1 - grid / 2 / k) ** -2.0, shade, color=RED, lw=0.7)
        a.plot(grid, (1 - grid / 2 / k) ** -2.0 - 1, shade, color=BLUE, lw=0.7)
    for kind, k, mark, colour, label in (
        ("rule", 0, "o", INK, "rule"),
        ("flow exact", 1, "x", GREEN, r"flow, exact, $k$ = 1"),
        ("flow exact", 8, "s", RED, r"flow, exact, $k$ = 8"),
        ("flow exact", 64, "D", RED, r"flow, exact, $k$ = 64"),
        ("flow first", 8, "^", BLUE, r"flow, first, $k$ = 8"),
        ("flow first", 64, "v", BLUE, r"flow, first, $k$ = 64"),
    ):
        part = sam[(sam["kind"] == kind) & (sam["k"] == k)]
        a.plot(part[LR] * part["middle"], part["drift"], mark, ms=4, mfc="none", mew=0.8, color=colour, label=label)
    a.set(yscale="log", ylim=(1e-3, 3e4), xlabel=r"$\eta\lambda$", ylabel=r"drift / $(-\eta\rho^2/2)$")
    a.set_title("(a) drift without noise; lines: theory")
    a.legend(fontsize=6.5, ncols=2, loc="upper left")
    for (rule, rho, noise, kind, k), part in cells.reset_index().groupby(["rule", RHO, NOISE, "kind", "k"]):
        if rule == "sam" and rho and (kind, k) in KINDS:
            mark, colour, label = KINDS[kind, k]
            style = {"marker": mark, "ms": 4, "mfc": "none", "mew": 0.8, "color": colour, "lw": 0.8, "ls": LINES[noise]}
            b.plot(part[LR], part["loss"], **style)
            c.plot(part[LR], part["lag"], **style)
    for mark, colour, label in KINDS.values():
        b.plot([], [], mark, ms=4, mfc="none", color=colour, label=label)
    for noise, dash in LINES.items():
        b.plot([], [], dash, color=INK, lw=0.8, label=rf"$s/\rho$ = {noise / RADIUS:g}")
    b.set(yscale="log", ylim=(2e-3, 2e3), xlabel=r"$\eta\lambda$", ylabel=r"mean loss / $\rho^2$")
    b.set_title("(b) stationary loss of SAM")
    b.legend(fontsize=6.5, ncols=2, loc="upper left")
    c.axhline(0, color=GREY, lw=0.6)
    c.set(ylim=(-1.05, 1.0), xlabel=r"$\eta\lambda$", ylabel="lag-1 autocorrelation of $x$", title="(c) 2-cycle")
    for rule, rho, colour, label in (
        ("usam", 0.0, INK, "GD"),
        ("usam", 0.4, BLUE, r"USAM, $\rho$ = .4"),
        ("sam", 0.02, RED, r"SAM, $\rho$ = .02"),
    ):
        for kind, mark, dash in (("rule", "o", "-"), ("flow", "x", ":")):
            for name in [name for name in ends if name[:2] == (rule, rho) and name[2].startswith(kind)]:
                d.plot(ends.index, ends[name], mark + dash, ms=3.5, mfc="none", lw=0.7, color=colour)
        d.plot([], [], color=colour, label=label)
    d.plot([], [], "o-", ms=3.5, mfc="none", lw=0.7, color=GREY, label="rule")
    d.plot([], [], "x:", ms=3.5, lw=0.7, color=GREY, label="flow")
    for edge in (2 / 1.4, 2):
        d.axvline(edge, color=GREY, lw=0.7, ls="--")
    d.set(ylim=(-0.05, 1.05), xlabel=r"$\eta\lambda$ at the start", ylabel=r"$\lambda$ after 400 steps")
    d.set_title("(d) beyond the edge (dashed)")
    d.legend(fontsize=6.5, loc="lower left")
    figure.savefig(FIGURES / "sde_blind_spots.png", metadata={"Software": None}, dpi=200)

# %% [markdown]
# ## Results
#
# Measured with 256 paths on 2026-11-30, featlearn 0.1.0, CPU, float64. Drifts are in units of -lr rho^2 / 2 a step;
# three numbers in a row are those at lr lam = .2, .8, 1.6.
#
# * **The drift along the valley is of second order in rho, and the first-order flow has none.** Without noise it is
#   .025, .108, .235 at k = 8 and .003, .013, .025 at k = 64: this is Euler's chatter, and vanishes like 1/k. To second
#   order, which here is exact (equal to rounding), it is 1.025, 1.108, 1.234 with k = 8 and 1.003, 1.013, 1.025 with k
#   = 64: the limit is 1. USAM and gradient descent stand still, as rules and as flows.
# * **The rule drifts 4 / (2 - lr lam)^2 times as fast:** 1.235, 2.774 and 21.72 (theory 1.235, 2.774, 21.69; within .7
#   % at all six learning rates). No expansion in rho shows this factor, because it comes from the step, not from rho.
#   With k = 1 the exact flow is the rule, and the first-order flow lacks the term rho^2 / 2.
# * **There is no 2-cycle in the limit.** The rule has amplitudes of .111, .665 and 3.60 rho and a lag-1 autocorrelation
#   of -1.000. The flow has .0127, .0526, .111 rho at k = 8 and .0016, .0063, .0126 at k = 64, on the same side at every
#   step. With noise s = rho/10 the autocorrelation of the rule is -.08, -.98, -.9986, that of both SDEs (k = 32) .26 to
#   .27, -.01 to .01, -.01 to .00. With s = 2 rho the rule's is .74, .01, -.81, against .77, .35, .12 to .13. Gradient
#   descent, of lag 1 - lr lam, has some of this by itself: -.60 at lr lam = 1.6, its SDE .19.
# * **Stationary loss: the SDEs are too low, up to a factor of hundreds.** Rule over SDE (exact, k = 32): 2.0, 15, 225
#   for s = rho/10; 1.21, 2.9, 35 for rho/2; 1.09, 1.8, 8.8 for 2 rho. To first order: 2.7, 23, 395; 1.39, 3.4, 41;
#   1.18, 2.0, 9.5. With k = 8 and weak noise the SDE seems closer (exact: 1.7, 8.9, 109), because it chatters too. Of
#   USAM(.2), which has no 2-cycle, the ratio is 1.12, 1.80, 22 (theory with k = 8: 1.12, 1.81, 22), of gradient descent
#   about 5 at lr lam = 1.6: part of the gap is the approach to the edge of stability, and not SAM's.
# * **The drift with noise.** s = rho/10: rule .777, 2.71, 23.4 (half widths .007, .004, .08), SDE exact .664, .914,
#   1.12, first order .072, .192, .301. s = 2 rho: rule 1.04, 3.83, 31.0 (+- 2.5), exact .97, 2.18, 3.51, first order
#   .43, 1.55, 2.78. So noise lets the first-order SDE drift, through its larger |x|. The exact SDE is right, within 15
#   %, at lr lam = .2 only; at 1.6 it is 9 to 21 times too slow.
# * **The control k = 1 passes for the rule.** At lr lam = .8 and 1.6 its autocorrelation differs by at most .04, its
#   loss by at most 5 %, whatever the noise; only the drift, .7 to 1.2 too small, tells that it is of first order.
# * **Edges.** The rule sits on SAM's edge: lam / edge = 1.000 without noise, 1.09, 1.00, 1.00 for s = rho/10. The flow
#   has |g| -> 0, and the edge sinks with it: lam / edge is 2.9 to 3.2 at k = 8 and 8.0 to 8.4 at k = 64. Gradient
#   descent holds lam = 1 up to lr = 2.0 and ends at .90, .80, .56 from 2.1, 2.2, 2.4; USAM(.4) holds it up to 1.4 (edge
#   1.43) and ends at .92, .80, .31 from 1.5, 1.6, 1.9 (from 2 on it is thrown beyond lam = 0). Their flows do not leave
#   lam = 1 anywhere. SAM(.02) drifts on both sides of 2, to .210 at 2.0 and .009 at 2.4; its exact flow, which knows no
#   edge, to .797 and .746.
#
# So without noise the first-order SDE shows neither drift, 2-cycle nor edge; the second-order and the exact one add the
# lr -> 0 limit of the drift, and nothing else.
