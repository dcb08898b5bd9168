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
# Chen et al. 2023 (arXiv 2310.07269) say that SAM generalizes better than SGD because, early in training, it switches
# off the neurons that would memorize noise. `configs/chen2023_dynamics.yaml` runs their two-phase recipe next to plain
# SGD and to SAM throughout, on the same data, initial weights and mini-batches, seed by seed.
#
# Conventions: 1/m scale, patches summed, no bias, no label flips (test error against observed labels is that against
# true ones); d = 20000, |mu| = 5, n = 20, B = 10, m = 10. Coefficients are gamma and rho of the papers. Every interval
# is a 95% Student interval over seeds; every comparison is paired by seed.

# %%
import os
from pathlib import Path

import pandas as pd

import featlearn as fl

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "40"))  # the test of this notebook takes fewer
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"early_noise_learning_{SEEDS}"

config = fl.load_config(ROOT / "configs" / "chen2023_dynamics.yaml", set={"sweep.seed": {"range": [0, SEEDS]}})
report = fl.sweep(config, STORE, n_jobs=2)
rows = fl.load(STORE)
rows["optimizer"] = fl.tables.optimizer_labels(rows)
rows["recipe"] = rows["optimizer"].map(
    lambda name: "SGD" if name == "sgd" else "two-phase" if "stop" in name else "SAM"
)
report

# %% [markdown]
# ## Where they end

# %%
ENDS = ["train_loss", "test_error", "signal_coef_mean", "noise_coef_pos_mean"]
last = fl.tables.last_rows(rows)


def intervals(table, by, columns):
    """Mean and 95% interval over seeds, one row a group."""
    cells = {
        group: {
            c: "{0.mean:.4f}  [{0.low:.4f}, {0.high:.4f}]".format(fl.tables.mean_interval(part[c])) for c in columns
        }
        for group, part in table.groupby(by, sort=False)
    }
    return pd.DataFrame(cells).T


intervals(last, "recipe", ENDS)

# %% [markdown]
# ## The coefficients over the steps

# %%
ax = fl.plots.dynamics(rows, ["signal_coef_mean", "noise_coef_pos_mean"])

# %% [markdown]
# ## At equal train loss
#
# The runs are read where their train loss first falls to a level, so that nobody is compared half-trained. A run that
# never gets there drops out with its pair; `n` counts the pairs that are left.

# %%
LEVELS = [0.3, 0.1, 0.03, 0.01]
READ = ["signal_coef_mean", "noise_coef_pos_mean", "test_error", "step"]


def paired_at(level, second, columns=READ):
    """SGD minus ``second`` at one train loss, paired by seed."""
    read = fl.tables.at_train_loss(rows, level, columns)
    read["recipe"] = read["run_id"].map(last.set_index("run_id")["recipe"])
    out = {}
    for column in columns:
        pairs = fl.tables.paired_difference(read, column, by="recipe", first="SGD", second=second, keys=[])
        gap = fl.tables.mean_interval(pairs["difference"])
        out |= {column: f"{gap.mean:+.3f}  [{gap.low:+.3f}, {gap.high:+.3f}]", "n": pairs["difference"].notna().sum()}
    return out


equal_loss = pd.DataFrame({(s, level): paired_at(level, s) for s in ("two-phase", "SAM") for level in LEVELS}).T
equal_loss

# %% [markdown]
# ## The mechanism: who is switched off at the perturbed point

# %%
steps = [0, 4, 20, 36, 40, 100, 400]
mechanism = rows[rows["step"].isin(steps) & (rows["recipe"] != "SGD")]
mechanism = mechanism.groupby(["recipe", "step"])[["noise_deactivated", "signal_kept"]].agg(["mean", "sem"])
mechanism.round(3)

# %% [markdown]
# ## When each is learned: the step of half the final value

# %%
signal, noise = (fl.tables.half_time(rows, c) for c in ("signal_coef_mean", "noise_coef_pos_mean"))
half = signal[["run_id", "seed"]].assign(
    signal=signal["half_time"], noise=noise["half_time"], later=noise["half_time"] - signal["half_time"]
)
half["recipe"] = half["run_id"].map(last.set_index("run_id")["recipe"])
half_times = intervals(half, "recipe", ["signal", "noise", "later"])
half_times

# %% [markdown]
# ## What it says
#
# Measured with 40 seeds (2026-11-21, featlearn 0.1.0, CPU, float64); the cells above recompute it.
#
# * **The recipe works.** Two-phase SAM ends at test error .0134 [.0112, .0156] where SGD ends at .1935 [.1874, .1997],
#   at train losses .0026 and .0025. The mean signal coefficient is .539 against .146.
# * **Early, yes; in the end, hardly.** During the SAM phase 88 to 99.6 % of the active same-sign noise activations are
#   off at the perturbed point, and the signal's stay on once it has been met (55 % at the first step, 97 % after four).
#   The signal is half learned at step 23 and the noise at step 62, where SGD learns both by step 21. But the SGD phase
#   then memorizes: noise ends at 5.24 against 5.71. At equal train loss SGD's mean noise coefficient is larger by .30
#   to .41 of about 5, while its signal coefficient is smaller by .40 of .54. The difference in test error is made by
#   the signal learned meanwhile, not by noise kept out for good.
# * **SAM throughout, at a quarter of the radius, does not learn less noise at equal train loss.** At train loss .1 it
#   has memorized MORE than SGD (by .37 [.27, .48]) and still errs less (by .22), again with more signal. It fits
#   slowly: 27 of 40 runs reach train loss .03 and 11 reach .01 within 400 steps, so those two rows speak of the runs
#   that fit fastest.
#
# So "SAM prevents early noise learning" holds for the theorem's recipe, as a statement about order in time. As a
# statement about how much noise is memorized once the data are fitted it does not hold here.
