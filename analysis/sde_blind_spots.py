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
# 2210.01513). `configs/sde_blind_spots.yaml` compares rule, flow and SDE on the valley (1 + y) x^2 / 2, with lam = 1 + y,
# at lr lam = .2 to 1.8, without and with the noise s Z of the gradient, for each expansion in rho and with k substeps.
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
quiet = swept("quiet", SMALL if QUICK else None)
start, before, last = (quiet[quiet["step"] == step].set_index("run_id") for step in (200, 299, 300))
middle = (start["lam"] + last["lam"]) / 2
unit = -last[LR] * RADIUS**2 / 2
drifts = last.assign(
    drift=(last["x1"] - start["x1"]) / 100 / unit,
    law=valley_drift(last[LR], RADIUS, middle, 1.0) / unit,
    amplitude=last["x0"].abs() / RADIUS,
    cycle=cycle_amplitude(last[LR], RADIUS, last["lam"]) / RADIUS,
    lag=before["x0"] * last["x0"] / last["x0"] ** 2,
    edge=last["lam"] / last["sam_edge"],
)
SHOWN = ["drift", "law", "amplitude", "cycle", "lag", "edge", "lam"]
drifts = drifts.sort_values(["rule", RHO, "kind", "k", LR]).set_index(["rule", RHO, "kind", "k", LR])[SHOWN]
drifts.round(4)

# %% [markdown]
# The laws: of the rule, and of the flows by Euler's scheme, that of the rule at lr / k, less 1 to first order.

# %%
sam = drifts.xs(("sam", RADIUS)).reset_index()
expected = (1 - sam[LR] * sam["lam"] / 2 / sam["k"].clip(lower=1)) ** -2.0 - (sam["kind"] == "flow first")
sam["error"] = (sam["drift"] / expected - 1).abs()
print(sam.groupby(["kind", "k"])["error"].max().unstack().to_string(float_format="%.1e"))
both = sam[sam["kind"] != "rule"].pivot_table(index=["k", LR], columns="kind", values="drift")
if "flow second" in both:
    print("second against exact, largest difference:", (both["flow second"] - both["flow exact"]).abs().max())

# %% [markdown]
# ## With noise: stationary loss, autocorrelation and drift
#
# s / rho = .1, .5 and 2. USAM has the radius .2, that is rho lam = .2. `sde exact` is sampled.

# %%
LEVELS = [0.0002, 0.001, 0.004]
RATES = [0.8] if QUICK else [0.2, 0.8, 1.6]
ENTRIES = [
    {"name": "sam", "rho": [0.0, RADIUS]},
    {"name": "sam", "rho": [0.0, RADIUS], "dynamics": "sde", "substeps": [1, 8, 32]},
    {"name": "sam", "rho": [0.0, RADIUS], "dynamics": "sde", "expansion": "exact", "substeps": [8, 32]},
    {"name": "usam", "rho": 0.2, "dynamics": ["rule", "sde"]},
]
noisy = {"train.n_steps": 140, "record.every": [*range(80, 141)], "sweep.seed": {"range": [FIRST, FIRST + SEEDS]}}
noisy |= {"sweep.train.gradient_noise": LEVELS[:1] if QUICK else LEVELS}
if QUICK:
    noisy |= {"train.n_steps": 6, "record.every": 1}
rows = swept("noisy", [entry | {"lr": RATES} for entry in ENTRIES], **noisy)
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
KINDS = {("rule", 0): ("o", INK, "rule"), ("sde first", 8): ("^", BLUE, "SDE, first order")}
KINDS |= {("sde exact", 8): ("s", RED, "SDE, exact"), ("sde first", 1): ("x", GREEN, r"SDE, first, $k$ = 1")}
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
        ("flow exact", 64, "D", RED, r"$k$ = 64"),
        ("flow first", 8, "^", BLUE, r"flow, first order, $k$ = 8"),
        ("flow first", 64, "v", BLUE, r"$k$ = 64"),
    ):
        part = sam[(sam["kind"] == kind) & (sam["k"] == k)]
        a.plot(part[LR], part["drift"], mark, ms=4, mfc="none", mew=0.8, color=colour, label=label)
    a.set(yscale="log", ylim=(1e-3, 3e4), xlabel=r"$\eta\lambda$", ylabel=r"drift / $(-\eta\rho^2/2)$")
    a.set_title("(a) drift without noise")
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
    b.set(yscale="log", ylim=(6e-3, 3e3), xlabel=r"$\eta\lambda$", ylabel=r"mean loss / $\rho^2$")
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
