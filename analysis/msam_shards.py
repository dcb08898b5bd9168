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
# # Is mSAM flatter than SAM, and does it generalize better?
#
# Behdin et al. 2023 (arXiv 2302.09693) cut the mini-batch into shards, perturb each along its own gradient, and report
# flatter minima and better test accuracy than SAM's. `configs/msam_shards.yaml` goes from SAM (1 shard) to 1-SAM (16
# shards of one sample) on the same data, initial weights and mini-batches, seed by seed, each at the same radii.
#
# Regime: 1/m scale, patches summed, no bias; d = 2000, |mu| = 2.5, noise_std = 1, n = 32, B = 16, m = 10, lr = .2,
# init_std = 1/(P noise_std sqrt(d)) = .011; 100 epochs of the rule, then SGD, until the train loss is .03. All is read
# there, at equal train loss. The regime was chosen on other seeds (1000 and up).
#
# Statistic, fixed after a pilot on those seeds and before these runs: test error, and largest Hessian eigenvalue, of
# mSAM minus SAM's at the same radius, paired by seed, with the 95 % Student interval over 60 seeds, first at c = .125
# (rho = .056) without flips. The claim holds if both lie below zero for every number of shards. Then with every
# number of shards at the radius that is best for it on seeds 0 to 19, compared on the other 40. No correction is made
# for the number of intervals. The checks of other settings were added later.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

import featlearn as fl
from featlearn.plots.style import label, paper, sequential

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "60"))
QUICK = SEEDS < 60  # the test of this notebook takes fewer seeds and radii, and trains less
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"msam_shards_{SEEDS}"
FIGURES = STORE if QUICK else ROOT / "analysis" / "figures"
CONFIG = ROOT / "configs" / "msam_shards.yaml"
C, SHARDS = "optimizer.rho.theory", "optimizer.n_shards"
COLUMNS = ["test_error", "signal_coef_mean", "noise_coef_pos_mean", "sharpness", "hessian_trace"]


def radii(*values):
    return {"sweep.optimizer.rho": [{"theory": c} for c in values]}


def swept(name, seeds, **changes):
    """Run the config with other keys; return one row per run, at its last step."""
    settings = {"sweep.seed": {"range": [0, seeds]}, **changes}
    settings |= {"train.stop_at_train_loss": 0.3} if QUICK else {}
    fl.sweep(fl.load_config(CONFIG, set=settings), STORE / name, n_jobs=1 if QUICK else 2)
    return fl.summary(STORE / name)


runs = swept("main", SEEDS, **(radii(0, 0.125, 0.25) if QUICK else {}))
print(runs.groupby("data.flip_prob")["status"].value_counts())
runs[runs["status"] != "fitted"].groupby([SHARDS, C]).size()

# %% [markdown]
# Runs that have not reached the train loss drop out, and their pairs with them.

# %%
runs = runs[runs["status"] == "fitted"]
ALL = sorted(runs[SHARDS].unique())
RADII = sorted(set(runs[C]) - {0})


def interval(values):
    """Mean and 95 % interval over seeds, as text."""
    mean, _, low, high = fl.tables.mean_interval(values)
    return f"{mean:+.4f}  [{low:+.4f}, {high:+.4f}]"


def gap(part, column, shards):
    """`shards` minus SAM, pair by pair."""
    pairs = fl.tables.paired_difference(part, column, by=SHARDS, first=shards, second=1, keys=[])
    return pairs["difference"].dropna()


def against_sam(part):
    """SAM's means, then mSAM minus SAM; one row per number of shards."""
    own = {1: {column: interval(part.loc[part[SHARDS] == 1, column]) for column in COLUMNS}}
    others = [int(s) for s in sorted(part[SHARDS].unique()) if s > 1]
    return pd.DataFrame(own | {s: {c: interval(gap(part, c, s)) for c in COLUMNS} for s in others}).T


def at(c, flips=0.0):
    return runs[(runs[C] == c) & (runs["data.flip_prob"] == flips)]


# %% [markdown]
# ## SGD

# %%
pd.DataFrame({flips: {c: interval(at(0, flips).query(f"`{SHARDS}` == 1")[c]) for c in COLUMNS} for flips in (0.0, 0.1)})

# %% [markdown]
# ## At one radius

# %%
pd.concat({flips: against_sam(at(0.125, flips)) for flips in (0.0, 0.1)}, names=["flips"])

# %% [markdown]
# ## At every radius
#
# mSAM minus SAM at the same radius, without flips.


# %%
def by_radius(column, flips=0.0):
    """mSAM minus SAM at every radius; one row per radius."""
    return pd.DataFrame({c: {int(s): interval(gap(at(c, flips), column, s)) for s in ALL if s > 1} for c in RADII}).T


pd.concat({column: by_radius(column) for column in COLUMNS})

# %% [markdown]
# With flips:

# %%
by_radius("test_error", 0.1)

# %% [markdown]
# ## Every number of shards at its own best radius

# %%
CHOOSING = 20 if SEEDS > 20 else 1


def tuned(flips):
    """mSAM minus SAM, each at the radius of least mean test error on the first seeds, on the other seeds."""
    part = runs[(runs["data.flip_prob"] == flips) & (runs[C] > 0)]
    means = part[part["seed"] < CHOOSING].groupby([SHARDS, C])["test_error"].mean()
    best = means.groupby(SHARDS).idxmin().map(lambda place: place[1])
    chosen = part[(part["seed"] >= CHOOSING) & (part[C] == part[SHARDS].map(best))]
    return against_sam(chosen).assign(c=best)


pd.concat({flips: tuned(flips) for flips in (0.0, 0.1)}, names=["flips"])

# %% [markdown]
# ## More shards, or only a larger radius?
#
# A shard of b samples puts 1/sqrt(b) of its perturbation on the noise of each: s shards at radius rho act on a sample's
# noise as SAM does at sqrt(s) rho. mSAM minus SAM at that radius:

# %%
scaled = {
    (s, c): pd.concat([at(c).query(f"`{SHARDS}` == {s}"), at(c * s**0.5).query(f"`{SHARDS}` == 1")])
    for s in (4, 16)
    for c in RADII
    if c * s**0.5 in RADII
}
pd.DataFrame({place: {c: interval(gap(part, c, place[0])) for c in COLUMNS} for place, part in scaled.items()}).T

# %% [markdown]
# ## The rule throughout; the full batch and a smooth activation
#
# Wen, Ma and Li 2022 (arXiv 2211.05729), for smooth losses and small radii at a minimum: full-batch SAM lowers the
# largest eigenvalue of the Hessian, 1-SAM its trace. Here with softplus, 1 to 32 shards of the full batch, no last
# phase of SGD, read at the same train loss; n = 32 and c is a larger radius by sqrt(2).

# %%
FEW = min(SEEDS, 40)
NO_FLIPS = {"sweep.data.flip_prob": [0.0]}
ALONE = {"optimizer.stop": None}
throughout = swept("throughout", FEW, **NO_FLIPS, **ALONE, **radii(0.125))
print(throughout["status"].value_counts())
against_sam(throughout)

# %%
SMOOTH = {"network.activation": "softplus", "train.batch_size": "full", f"sweep.{SHARDS}": [1, 2, 8, 32]}
smooth = swept("softplus", FEW, **NO_FLIPS, **ALONE, **SMOOTH, **radii(0, 0.0625, 0.25, 1))
print(smooth["status"].value_counts())
pd.concat({c: against_sam(smooth[smooth[C] == c]) for c in (0.0625, 0.25, 1)})

# %%
pd.DataFrame(
    {
        (c, s): {
            column: interval(
                part.loc[(part[C] == c) & (part[SHARDS] == s)].set_index("seed")[column]
                - part.loc[(part[C] == 0) & (part[SHARDS] == s)].set_index("seed")[column]
            )
            for column in ("sharpness", "hessian_trace")
        }
        for part in [smooth]
        for c in (0.0625, 0.25, 1)
        for s in (1, 32)
    }
).T

# %% [markdown]
# ## Figure

# %%
COLOURS = dict(zip(ALL, sequential()(np.linspace(0.15, 1, len(ALL))), strict=True))


def over_radius(ax, column):
    """Draw the mean over radius for every number of shards, with its 95 % band, and SGD's; no flips."""
    part = runs[runs["data.flip_prob"] == 0]
    for shards, colour in COLOURS.items():
        cells = part[(part[SHARDS] == shards) & (part[C] > 0)].groupby("optimizer.rho")[column]
        bands = pd.DataFrame({rho: fl.tables.mean_interval(values)._asdict() for rho, values in cells}).T
        ax.plot(bands.index, bands["mean"], "o-", ms=3, lw=1.1, color=colour, label=f"{shards:g}")
        ax.fill_between(bands.index, bands["low"], bands["high"], color=colour, alpha=0.18, lw=0)
    ax.axhline(part.loc[part[C] == 0, column].mean(), color="0.45", lw=0.9, ls="--", label="SGD")
    ax.set(xscale="log", xlabel=label("optimizer.rho").removeprefix("SAM "), ylabel=label(column))


with paper():
    figure, axes = plt.subplots(2, 2, figsize=(6.0, 4.6), layout="constrained", sharex=True)
    for ax, column in zip(axes.flat, ["test_error", "noise_coef_pos_mean", "sharpness", "hessian_trace"], strict=True):
        over_radius(ax, column)
    ticks = [0.01, 0.02, 0.05, 0.1, 0.2]
    axes[0, 0].set(yscale="log")
    axes[0, 0].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes[0, 0].set_yticks([], minor=True)
    axes[1, 1].set_ylabel("trace of the Hessian")
    for ax in axes[0]:
        ax.set_xlabel("")
    handles, words = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, words, title="shards", loc="outside lower center", ncols=6)
    figure.savefig(FIGURES / "msam_shards.png", metadata={"Software": None})

# %% [markdown]
# ## Results
#
# Measured with 60 seeds (40 in the checks) on 2026-11-21, featlearn 0.1.0, CPU, float64; the cells above recompute
# it. At p = 0 all runs fit; at p = .1 10 of 2,100 do not, all of 8 or 16 shards, and are left out. SGD errs in .157
# [.152, .162] (p = 0) and .260 [.252, .267] (p = .1, whose floor is .1).
#
# * **Better than SAM at the same radius: yes, up to c = .5.** At c = .125, where SAM errs in .099, 2, 4, 8 and 16
#   shards err .025, .050, .069 and .083 [.078, .087] less, with more signal for each (from .46 up to 1.80). Less
#   noise is memorized from c = .25 on for all; at c = .125 only for 16 shards (by 1.04 of 3.06), and a little
#   more for 2 and 4. With flips likewise, but 16 shards lose their advantage above c = .25 (.021 [.009, .034] worse at
#   c = 1).
# * **Better with the radius tuned: no.** At their best radii 2 to 16 shards do not differ from SAM's .0106 (.0001
#   to .0004 above, all intervals contain zero); the best c falls from 2 to .25. With flips 2 to 8 shards are .001 to
#   .003 better than .123, 16 are .021 [.006, .036] worse.
# * **For the error, shards act mostly as a larger radius.** A shard of b samples puts 1/sqrt(b) of its radius on each
#   sample's noise. Next to SAM at sqrt(s) times the radius, 16 shards at c = .0625 err .0075 [.004, .011] less (.082
#   at the same radius), at c = .125 .003 [.001, .005], and above that no less.
# * **Flatter: by the trace at small radii, by lambda_max at larger ones.** At c = .125 the trace is lower for all (by
#   .29 to .93 of 2.55), but lambda_max is higher for 2 and 4 shards (by .07 [.01, .13] and .16 [.09, .23], of .32),
#   equal for 8, lower for 16 (by .15 [.09, .20]). At c = .25 and .5 lambda_max is lower for all (by .18 to .52 of .63
#   at .25); from c = .5 on the trace is higher for 2 to 8. So the claim as fixed fails. Yet here shards do more than
#   a larger radius: next to SAM at sqrt(s) times the radius, 4 and 16 shards have less of both at every radius. At its
#   own best radius 16 has .110 and 2.10 where SAM at its own has .198 and 3.70, at the same error.
# * **Flatness does not predict generalization.** SGD has a lower lambda_max (.121) than SAM at any radius, and errs
#   most.
# * **The rule throughout**, without a last phase of SGD: the same errors within .002, but lambda_max of 8 shards is
#   .16 [.10, .22] above SAM's, and that of 16 equal.
# * **Wen, Ma and Li.** With softplus at c = .25, 1-SAM lowers GD's trace of 11.6 by 9.3, full-batch SAM by 1.2.
#   Full-batch SAM does lower lambda_max (by .0065 [.0060, .0071] of .209), but the trace by a larger share: 11 %
#   against 3 %. Their theorem is about slow motion along minima; here the curvature is measured during descent, and
#   there is no minimum. At large radii some Hessians have their largest eigenvalue, by absolute value, below zero.
# * **What would change this.** If the radius is not tuned: 16 shards need an eighth of SAM's. More samples that can
#   only be memorized count against 1-SAM, which left some of them unfitted.
