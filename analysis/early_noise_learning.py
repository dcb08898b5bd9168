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
# # Does SAM prevent early noise learning?
#
# Chen et al. 2023 (arXiv 2310.07269) say that SAM generalizes better than SGD because, early in training, it
# deactivates the neurons that would memorize noise. `configs/chen2023_dynamics.yaml` runs their two-phase recipe next
# to plain SGD and to SAM throughout, on the same data, initial weights and mini-batches, seed by seed.
#
# Conventions: 1/m scale, patches summed, no bias, no label flips (test error against observed labels is that against
# true ones); d = 20000, |mu| = 5, n = 20, B = 10, m = 10. Coefficients are gamma and rho of the papers. Differences
# are paired by seed, and SGD minus the other recipe; every interval is a 95 % Student interval over seeds.

# %%
import os
from pathlib import Path

import pandas as pd

import featlearn as fl

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "40"))  # the test of this notebook takes fewer
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"early_noise_learning_{SEEDS}"

config = fl.load_config(ROOT / "configs" / "chen2023_dynamics.yaml", set={"sweep.seed": {"range": [0, SEEDS]}})
report = fl.sweep(config, STORE, n_jobs=1 if SEEDS < 40 else 2)
rows = fl.load(STORE)
rows["optimizer"] = fl.tables.optimizer_labels(rows)
rows["recipe"] = rows["optimizer"].map(
    lambda name: "SGD" if name == "sgd" else "two-phase" if "stop" in name else "SAM"
)
report


def interval(values):
    """Mean and 95 % interval over seeds, as text."""
    mean, _, low, high = fl.tables.mean_interval(values)
    return f"{mean:+.4f}  [{low:+.4f}, {high:+.4f}]"


def gap(table, column, second):
    """The paired differences SGD minus ``second``, and the number of pairs as text."""
    pairs = fl.tables.paired_difference(table, column, by="recipe", first="SGD", second=second, keys=[])
    return pairs["difference"].dropna()


# %% [markdown]
# ## Final values

# %%
ENDS = ["train_loss", "test_error", "signal_coef_mean", "noise_coef_pos_mean"]
RECIPES = ["SGD", "two-phase", "SAM"]
last = fl.tables.last_rows(rows)
ends = {recipe: {c: interval(last.loc[last["recipe"] == recipe, c]) for c in ENDS} for recipe in RECIPES}
ends |= {f"SGD - {recipe}": {c: interval(gap(last, c, recipe)) for c in ENDS} for recipe in RECIPES[1:]}
ends = pd.DataFrame(ends).T
ends

# %% [markdown]
# ## The coefficients over the steps

# %%
ax = fl.plots.dynamics(rows, ["signal_coef_mean", "noise_coef_pos_mean"])

# %% [markdown]
# ## Early: at equal steps

# %%
STEPS = [4, 20, 40, 100, 400]
NOISE = "noise_coef_pos_mean"
early = {
    step: {
        **{r: at_step.loc[at_step["recipe"] == r, NOISE].mean().round(3) for r in RECIPES},
        **{f"SGD - {r}": interval(gap(at_step, NOISE, r)) for r in RECIPES[1:]},
    }
    for step, at_step in ((step, rows[rows["step"] == step]) for step in STEPS)
}
early = pd.DataFrame(early).T
early

# %% [markdown]
# ## Late: at equal train loss
#
# The runs are read where their train loss first falls to a level, so that all are equally trained. A run that never
# reaches it drops out with its pair; `n` counts the remaining pairs. `SGD` is SGD's mean.

# %%
LEVELS = [0.3, 0.1, 0.03, 0.01]
READ = ["signal_coef_mean", NOISE, "test_error"]
recipe_of = last.set_index("run_id")["recipe"]


def at_level(level, second):
    """SGD minus ``second`` at one train loss."""
    read = fl.tables.at_train_loss(rows, level, READ)
    read["recipe"] = read["run_id"].map(recipe_of)
    own = read.loc[read["recipe"] == "SGD", NOISE].mean()
    gaps = {column: gap(read, column, second) for column in READ}
    n = len(gaps[NOISE])
    return {"n": n, f"SGD {NOISE}": f"{own:.2f}", **{c: interval(values) for c, values in gaps.items()}}


equal_loss = pd.DataFrame({(r, level): at_level(level, r) for r in RECIPES[1:] for level in LEVELS}).T
equal_loss

# %% [markdown]
# ## The mechanism: deactivation at the perturbed point
#
# Under SGD the perturbed point equals the weights: 0 off, 1 kept.

# %%
mechanism = {
    (recipe, step): {c: interval(part[c]) for c in ("noise_deactivated", "signal_kept")}
    for recipe in RECIPES[1:]
    for step, part in rows[rows["recipe"] == recipe].groupby("step")
    if step in (0, 4, 20, 36, 40, 400)
}
mechanism = pd.DataFrame(mechanism).T
mechanism

# %% [markdown]
# ## When each is learned: the step of half the final value

# %%
signal, noise = (fl.tables.half_time(rows, c) for c in ("signal_coef_mean", NOISE))
half = signal.assign(signal=signal["half_time"], noise=noise["half_time"])
half = half.assign(later=half["noise"] - half["signal"], recipe=half["run_id"].map(recipe_of))
TIMES = ["signal", "noise", "later"]
half_times = {recipe: {c: interval(half.loc[half["recipe"] == recipe, c]) for c in TIMES} for recipe in RECIPES}
half_times |= {f"SGD - {recipe}": {c: interval(gap(half, c, recipe)) for c in TIMES} for recipe in RECIPES[1:]}
half_times = pd.DataFrame(half_times).T
half_times

# %% [markdown]
# ## Results
#
# Measured with 40 seeds (2026-11-21, featlearn 0.1.0, CPU, float64); the cells above recompute it.
#
# * **The recipe works.** Two-phase SAM ends at test error .012 [.009, .015] where SGD ends at .198 [.193, .203], at
#   train losses .0026 and .0025. Its mean signal coefficient is .539 against .146.
# * **Early, SAM suppresses the noise.** At equal steps SGD's mean noise coefficient is larger by 1.39 [1.37, 1.41]
#   after 4 steps (1.445 against .057) and by 3.00 [2.94, 3.07] when the SAM phase ends at step 40. In that phase 88 to
#   99.6 % of the active same-sign noise activations are off at the perturbed point; the signal's are kept (55 % at the
#   first step, 97 % after four, then all). Two-phase learns half its signal by step 23 and half its noise by step 62;
#   SGD learns both by step 21.
# * **Late, little of this remains.** The SGD phase memorizes the noise that the SAM phase suppressed: at equal train
#   loss SGD's noise coefficient is larger by .30 of .90 (train loss .3), .35 of 2.06 (.1), .40 of 3.26 (.03) and .41 of
#   4.34 (.01): 33 % less noise shrinks to 9 %. The signal coefficient stays .40 larger.
# * **SAM throughout, at a quarter of the radius, has not memorized less at equal train loss.** At train loss .1 it has
#   memorized MORE than SGD (by .37 [.27, .48]) and errs less (by .21), with more signal. It fits slowly: 27 of 40 runs
#   reach train loss .03 and 11 reach .01 within 400 steps, so those two rows describe the runs that fit fastest. Its
#   noise is half learned 41 steps BEFORE its signal.
#
# So "SAM prevents early noise learning" holds for the theorem's recipe, as a statement about the time. As a statement
# about the amount memorized once the data are fitted it holds weakly (two-phase, 8 to 9 % less) or not (throughout).
