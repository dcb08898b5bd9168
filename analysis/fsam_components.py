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
# # Is SAM's full-gradient part harmful, and does it help to remove it?
#
# Li et al. 2024 (arXiv 2403.12350) decompose SAM's perturbation: perturbing along the full gradient alone degrades
# generalization, removing the full gradient improves it (F-SAM). `configs/fsam_components.yaml` runs SAM, F-SAM and
# their four perturbations on the same data, initial weights and mini-batches, seed by seed, each at the same radii.
#
# Regime: 1/m scale, patches summed, no bias; d = 2000, |mu| = 2.5, noise_std = 1, n = 20, B = 5, m = 10, lr = .1,
# init_std = 1/(P noise_std sqrt(d)) = .011; 100 epochs of the rule, then SGD, until the train loss is .03. All is read
# there, at equal train loss. The regime was chosen on other seeds (1000 and up), so that SGD errs in a fifth.
#
# Statistic, fixed after a pilot on those seeds and before these runs: test error of a rule minus SAM's at the same
# radius, paired by seed, with its 95 % Student interval over 60 seeds, first at c = .5 (rho = .125) without flips.
# The claim holds if the interval lies above zero for the full gradient alone, and below for a rule without it. Then
# with every rule at the radius that is best for it on seeds 0 to 19, compared on the other 40. No correction is made
# for the number of intervals. The checks of other settings were added later.

# %%
import os
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

import featlearn as fl
from featlearn.plots.style import PALETTE, label, paper

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "60"))
QUICK = SEEDS < 60  # the test of this notebook takes fewer seeds and radii
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"fsam_components_{SEEDS}"
FIGURES = STORE if QUICK else ROOT / "analysis" / "figures"
CONFIG = ROOT / "configs" / "fsam_components.yaml"
RULES = {
    "sam": "SAM",
    "f_sam": "F-SAM",
    "full": "full gradient only",
    "noise": "batch minus full",
    "orthogonal": "batch orthogonal to full",
    "other_batch": "another batch",
}
OTHERS = [rule for rule in RULES.values() if rule != "SAM"]
C = "optimizer.rho.theory"
SIGNAL, NOISE = "signal_coef_mean", "noise_coef_pos_mean"


def swept(name, seeds, **changes):
    """Run the config with other keys; return one row per run and recorded step, with the rule as text."""
    settings = {"sweep.seed": {"range": [0, seeds]}, **changes}
    settings |= {"train.stop_at_train_loss": 0.3} if QUICK else {}
    fl.sweep(fl.load_config(CONFIG, set=settings), STORE / name, n_jobs=1 if QUICK else 2)
    rows = fl.load(STORE / name)
    names = rows.get("optimizer.component", rows["optimizer.name"]).fillna(rows["optimizer.name"])
    return rows.assign(rule=names.map(RULES))


rows = swept("main", SEEDS, **({"sweep.optimizer.rho": [{"theory": c} for c in (0, 0.5, 1)]} if QUICK else {}))
last = fl.tables.last_rows(rows)
print(last.groupby("data.flip_prob")["status"].value_counts())
last = last[last["status"] == "fitted"]  # a run that has not reached the train loss drops out, and its pairs with it

# %% [markdown]
# ## At one radius


# %%
def interval(values):
    """Mean and 95 % interval over seeds, as text."""
    mean, _, low, high = fl.tables.mean_interval(values)
    return f"{mean:+.4f}  [{low:+.4f}, {high:+.4f}]"


def gap(runs, column, rule):
    """`rule` minus SAM, pair by pair."""
    pairs = fl.tables.paired_difference(runs, column, by="rule", first=rule, second="SAM", keys=[])
    return pairs["difference"].dropna()


def against_sam(runs, columns=("test_error", SIGNAL, NOISE)):
    """SAM's means, then every other rule minus SAM; one row per rule."""
    own = {"SAM": {column: interval(runs.loc[runs["rule"] == "SAM", column]) for column in columns}}
    rules = [rule for rule in OTHERS if rule in set(runs["rule"])]
    return pd.DataFrame(own | {rule: {c: interval(gap(runs, c, rule)) for c in columns} for rule in rules}).T


def at(c, flips=0.0):
    return last[(last[C] == c) & (last["data.flip_prob"] == flips)]


pd.concat({flips: against_sam(at(0.5, flips)) for flips in (0.0, 0.1)}, names=["flips"])

# %% [markdown]
# ## At every radius
#
# Test error minus SAM's at the same radius. c = 0 is SGD under every rule.

# %%
RADII = sorted(set(last[C]) - {0})
by_radius = {
    (flips, c): {rule: interval(gap(at(c, flips), "test_error", rule)) for rule in OTHERS}
    for flips in (0.0, 0.1)
    for c in RADII
}
pd.DataFrame(by_radius).T

# %% [markdown]
# ## Every rule at its own best radius

# %%
CHOOSING = 20 if SEEDS > 20 else 1


def tuned(flips):
    """The runs of every rule at the radius of least mean test error on the first seeds, on the other seeds."""
    runs = last[(last["data.flip_prob"] == flips) & (last[C] > 0)]
    means = runs[runs["seed"] < CHOOSING].groupby(["rule", C])["test_error"].mean()
    best = means.groupby("rule").idxmin().map(lambda place: place[1])
    chosen = runs[(runs["seed"] >= CHOOSING) & (runs[C] == runs["rule"].map(best))]
    return against_sam(chosen).assign(c=best)


pd.concat({flips: tuned(flips) for flips in (0.0, 0.1)}, names=["flips"])

# %% [markdown]
# ## Why: how much of the batch's own noise is deactivated
#
# The component of the perturbation along a sample's noise deactivates it. At one radius SAM puts 1/sqrt(B) of it on
# each sample of the batch; the full gradient, spread over all samples, 1/sqrt(n), here half of that; batch minus full
# sqrt(1/B - 1/n), 87 %; another batch, nothing on most. So the full gradient at radius 2 rho should do as SAM at rho.

# %%
EARLY = 4
CONTROL = [c for c in RADII if 2 * c in RADII]
early = rows[(rows["step"] == EARLY) & (rows["data.flip_prob"] == 0)]
share = early.groupby([C, "rule"])["noise_deactivated"].mean().unstack()[[*RULES.values()]]
kept = early.groupby([C, "rule"])["signal_kept"].mean().unstack()[[*RULES.values()]]
pd.concat({"noise off": share.round(3), "signal kept": kept.round(3)})

# %%
doubled = {
    c: pd.concat([at(c).query("rule == 'SAM'"), at(2 * c).query("rule == 'full gradient only'")]) for c in CONTROL
}
pd.concat({c: against_sam(runs) for c, runs in doubled.items()})

# %% [markdown]
# ## Would another average, batch, phase or a far larger radius change it?
#
# At c = .5 without flips: F-SAM with a shorter or longer average; the rule throughout; half of the data in a batch.
# And radii so large that SAM's perturbation deactivates the signal too, which lies along the full gradient.

# %%
FEW = min(SEEDS, 40)
HALF = {"sweep.data.flip_prob": [0.0], "sweep.optimizer.rho": [{"theory": 0.5}]}
lists = {
    lam: [{"name": "sam", "lr": 0.1, "stop": 400}, {"name": "f_sam", "lr": 0.1, "stop": 400, "lam": lam}]
    for lam in (0.6, 0.95)
}
checks = {
    f"lam = {lam}": swept(f"lam_{lam}", FEW, **HALF, **{"sweep.optimizer": rules}) for lam, rules in lists.items()
}
checks["throughout"] = swept("throughout", FEW, **HALF, **{"sweep.optimizer.stop": [4000]})
FAR = (32, 128)
far = swept("far", FEW, **HALF | {"sweep.optimizer.rho": [{"theory": c} for c in FAR]})
checks |= {f"c = {c}": far[far[C] == c] for c in FAR}
checks["B = 10"] = swept("half", FEW, **HALF, **{"train.batch_size": 10})
ends = {name: fl.tables.last_rows(found) for name, found in checks.items()}
print(pd.concat({name: runs["status"].value_counts() for name, runs in ends.items()}))
pd.concat({name: against_sam(runs) for name, runs in ends.items()})

# %% [markdown]
# ## Figure

# %%
COLOURS = dict(zip(RULES.values(), PALETTE, strict=False))


def over_radius(ax, flips):
    """Draw the mean test error of every rule over its radius, with its 95 % band, and SGD's."""
    runs = last[last["data.flip_prob"] == flips]
    for rule, colour in COLOURS.items():
        cells = runs[(runs["rule"] == rule) & (runs[C] > 0)].groupby("optimizer.rho")["test_error"]
        bands = pd.DataFrame(
            {rho: fl.tables.mean_interval(values) for rho, values in cells}, index=["mean", "se", "low", "high"]
        ).T
        ax.plot(bands.index, bands["mean"], "o-", ms=3, lw=1.1, color=colour, label=rule)
        ax.fill_between(bands.index, bands["low"], bands["high"], color=colour, alpha=0.15, lw=0)
    ax.axhline(runs.loc[runs[C] == 0, "test_error"].mean(), color="0.45", lw=0.9, ls="--", label="SGD")
    ax.set(xscale="log", yscale="log", xlabel=r"radius $\rho$", title=f"flips $p$ = {flips:g}")


def over_share(ax):
    """Draw the mean test error of every rule and radius over the share of deactivated noise activations."""
    error = last[last["data.flip_prob"] == 0].groupby([C, "rule"])["test_error"].mean().unstack()
    for rule, colour in COLOURS.items():
        ax.plot(share.loc[RADII, rule], error.loc[RADII, rule], "o", ms=3.5, color=colour)
    ax.set(yscale="log", xlabel=f"noise activations off at step {EARLY}", title="flips $p$ = 0")


with paper():
    figure, axes = plt.subplots(1, 3, figsize=(6.9, 2.7), layout="constrained")
    over_radius(axes[0], 0.0)
    over_radius(axes[1], 0.1)
    over_share(axes[2])
    axes[0].set_ylabel(label("test_error"))
    for ax, ticks in zip(
        axes, ([0.01, 0.02, 0.05, 0.1, 0.2], [0.1, 0.15, 0.2, 0.3], [0.01, 0.02, 0.05, 0.1, 0.2]), strict=True
    ):
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_yticks([], minor=True)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(FIGURES / "fsam_components.png", metadata={"Software": None})

# %% [markdown]
# ## Results
#
# Measured with 60 seeds (40 in the checks) on 2026-11-21, featlearn 0.1.0, CPU, float64; the cells above recompute
# it. All runs fit but one of 5,760, in which a sample has lost its last filter: it is left out. SGD errs in .222
# [.215, .230] (p = 0) and in .310 [.301, .318] (p = .1, whose floor is .1).
#
# * **Half of the claim holds: the full gradient alone is worse.** At c = .5 its test error is .035 [.028, .041] above
#   SAM's .031, with .55 less signal (of 1.26) and .26 more noise (of 3.32). The same at every radius up to c = 4; at c
#   = 8 the two are equal. With flips it is .024 [.008, .039] above SAM's .163, and equal from c = 2 on.
# * **The other half does not: removing the full gradient does not help.** At c = .5, batch minus full equals SAM
#   (.004 [.000, .008], p = .1: .000 [-.012, .012]), batch orthogonal to full is worse by .022 [.017, .028], F-SAM
#   by .043 [.034, .051], more than the full gradient alone. At none of the seven radii, with or without flips, does
#   the interval of a rule without the full gradient lie below zero. At their best radii (p = 0) F-SAM is worse by
#   .0011 [.0003, .0019]; batch minus full (.0003 [-.0002, .0008]) and the full gradient (.0007 [-.0002, .0017]) do
#   not differ.
# * **The full gradient is not harmful, only short.** It deactivates 57 % of the batch's active noise at step 4 where
#   SAM deactivates 85 %, as its norm is spread over all n samples. At twice the radius, sqrt(n/B), it equals SAM at
#   c = .5 (-.001 [-.008, .006]), better below (-.011 and -.020) and within .004 above. Nearly all
#   rules lie on one curve: the share of deactivated noise determines the error (right panel; F-SAM is slightly better).
#   Another batch, which shares a quarter of the samples by chance, deactivates 6 % and errs .174 more than SAM.
# * **So B/n determines how the parts compare.** Their components along the noise are sqrt(B/n) and sqrt(1 - B/n) of
#   SAM's. At B = n/2, where these are equal, their errors do not differ significantly: .009 [.003, .015] above SAM's
#   for the full gradient, .016 [.008, .024] for batch minus full. Small batches favour removing it, but not beyond SAM.
# * **F-SAM's average is not the full gradient.** It averages over the last batches, including samples of the current
#   one; a shorter average loses less: .026 at lam = .6, .043 at .9, .050 at .95. The rule throughout, without a last
#   phase of SGD, changes nothing: .041 at lam = .9.
# * **What would change this.** The signal lies along the full gradient, and a perturbation could deactivate it: at c =
#   8 SAM keeps 24 % of its activations at step 4, batch minus full 85 %. But they recover without intervention. At c =
#   32, beyond SAM's best radius (.017), F-SAM is better by .0013 [.0004, .0023], the one such interval of this study;
#   at c = 128, where SAM errs in .055, it does not differ, nor does batch minus full (.003 [-.001, .006]), and the full
#   gradient alone is better than SAM (-.032 [-.036, -.028]). The claim was made for deep networks on real data, whose
#   samples share more than one signal; here the perturbation has to act on a sample's own noise.
