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
# # Which SAM lowers the largest eigenvalue, and which the trace?
#
# Wen, Ma and Li 2022 (arXiv 2211.05729): for smooth losses, small radii and slow motion along a manifold of minima,
# full-batch SAM descends the largest eigenvalue of the Hessian, 1-SAM (every sample perturbed along its own gradient)
# its trace. `configs/flatness_cnn.yaml` asks the signal-noise CNN, with ReLU and with softplus, whose loss has no
# minimum; `configs/flatness_students.yaml` students with tanh and with ReLU, whose loss has a manifold of minima.
#
# Everything is read at equal train loss (.03; 1e-5) and paired by seed with GD. Piloted on seeds 1000 to 1007, where
# lr, radii and lengths were chosen. Statistic, fixed after that and before these runs, with the 95 % Student interval
# over 20 seeds:
#
# 1. lambda and trace: the rule's minus GD's, over GD's mean. SAM "lowers lambda" and 1-SAM "lowers the trace" where the
#    interval lies below zero.
# 2. 1-SAM minus SAM at the same radius, both over GD's mean. The literal prediction of the theorem is
#    lambda above zero and trace below.
# 3. lambda over trace, the rule's minus GD's: SAM should lower that share more than 1-SAM does.

# %%
import os
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

import featlearn as fl
from featlearn.plots.style import PALETTE, paper

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "20"))
QUICK = SEEDS < 20  # the test of this notebook takes fewer seeds and radii, and trains less
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"flatness_{SEEDS}"
FIGURES = STORE if QUICK else ROOT / "analysis" / "figures"
ACT, SHARDS, RADIUS, TRACE = "network.activation", "optimizer.n_shards", "radius", "hessian_trace"
COLUMNS = {"lambda": "sharpness", "trace": TRACE, "lambda / trace": "share"}


def swept(name, config, quick, **changes):
    """Run a config; return the last row of the runs that reached the train loss, and say how many did not.

    radius is c if it was given as {theory: c}, else rho; 0 is GD.
    """
    settings = {"sweep.seed": {"range": [0, SEEDS]}, **changes, **(quick if QUICK else {})}
    fl.sweep(fl.load_config(ROOT / "configs" / f"{config}.yaml", set=settings), STORE / name, n_jobs=1 if QUICK else 2)
    runs = fl.summary(STORE / name)
    print(name, runs["status"].value_counts().to_dict())
    runs = runs[runs["status"] == "fitted"]
    radius = runs.get("optimizer.rho.theory", runs["optimizer.rho"])
    return runs.assign(radius=radius, share=runs["sharpness"] / runs[TRACE])


def interval(values, digits=3):
    """Mean and 95 % interval over seeds, as text."""
    mean, _, low, high = fl.tables.mean_interval(values)
    return f"{mean:+.{digits}f}  [{low:+.{digits}f}, {high:+.{digits}f}]"


def cell(part, column, shards, radius):
    """The runs of one activation, number of shards and radius, by seed."""
    return part[(part[SHARDS] == shards) & (part[RADIUS] == radius)].set_index("seed")[column]


def change(part, column, rule, other=(1, 0)):
    """``rule`` minus ``other`` (GD), each a (shards, radius), pair by pair; over GD's mean unless a share."""
    scale = 1 if column == "share" else cell(part, column, 1, 0).mean()
    return ((cell(part, column, *rule) - cell(part, column, *other)) / scale).dropna()


def rules(part):
    """The pairs (shards, radius) that are not GD."""
    return sorted({*zip(part[SHARDS], part[RADIUS], strict=True)} - {(1, 0)})


def against_gd(runs):
    """The change of every rule relative to GD; one row per rule."""
    table = {}
    for act, part in runs.groupby(ACT):
        for shards, radius in rules(part):
            row = {name: interval(change(part, column, (shards, radius))) for name, column in COLUMNS.items()}
            row |= {"n": len(change(part, TRACE, (shards, radius)))}
            row |= {"lambda < 0": int((cell(part, "sharpness", shards, radius) < 0).sum())}
            table[act, f"{radius:g}", int(shards)] = row
    return pd.DataFrame(table).T


def one_sam_against_sam(runs):
    """1-SAM minus SAM at the same radius, over GD's mean; one row per radius."""
    table = {}
    for act, part in runs.groupby(ACT):
        for shards, radius in rules(part):
            if shards == part[SHARDS].max():
                pair = ((shards, radius), (1, radius))
                table[act, f"{radius:g}"] = {n: interval(change(part, c, *pair)) for n, c in COLUMNS.items()}
    return pd.DataFrame(table).T


# %% [markdown]
# ## Students: a manifold of minima

# %%
QUICKLY = {"optimizer.stop": 10, "record.every": [0], "train.n_steps": 30, "train.stop_at_train_loss": 0.1}
students = swept("students", "flatness_students", QUICKLY)
students[students[RADIUS] == 0].groupby(ACT)[["sharpness", TRACE, "share"]].mean()

# %%
early = students[(students[RADIUS] > 0) & (students["step"] < 3000)]
print("at the train loss before the first phase was over:", early.groupby([ACT, SHARDS, RADIUS]).size().to_dict())
against_gd(students)

# %%
one_sam_against_sam(students)

# %% [markdown]
# The theorem's 1-SAM draws one sample per step: the same, relative to SGD with batch size 1 (tanh).

# %%
ONE = {
    "train.batch_size": 1,
    f"sweep.{ACT}": ["tanh"],
    "sweep.zip": {SHARDS: [1, 1, 1], "optimizer.rho": [0, 0.05, 0.1]},
}
one = swept("one_sample", "flatness_students", QUICKLY, **ONE)
against_gd(one)

# %% [markdown]
# ## The signal-noise network: no minimum

# %%
FEWER = {"sweep.zip": {SHARDS: [1, 1, 20], "optimizer.rho": [{"theory": c} for c in (0, 0.25, 0.25)]}}
network = swept("network", "flatness_cnn", FEWER | {"train.stop_at_train_loss": 0.4, "optimizer.lr": 0.5})
network[network[RADIUS] == 0].groupby(ACT)[["train_loss", "sharpness", TRACE, "share", "test_error"]].mean()

# %%
against_gd(network)

# %% [markdown]
# Both fall with the loss, so a rule measured at a slightly lower loss would look flatter. The losses, and the same
# table for lambda and trace divided by the loss:

# %%
losses = network.groupby([ACT, RADIUS, SHARDS])["train_loss"].agg(["min", "mean", "max"])
over_loss = {column: network[column] / network["train_loss"] for column in ("sharpness", TRACE)}
losses, against_gd(network.assign(**over_loss))

# %%
one_sam_against_sam(network)

# %% [markdown]
# ## Figure
#
# The change of lambda and of the trace relative to GD, over GD's mean, with 95 % intervals. Below -1 the eigenvalue of
# largest size, or the trace, is negative.


# %%
def name_of(part, shards):
    """SAM, 1-SAM, or mSAM with its number of shards."""
    return {1: "SAM", part[SHARDS].max(): "1-SAM"}.get(shards, f"mSAM, {shards:g} shards")


def forest(ax, part, symbol):
    """Draw a line of two points for every rule: its change of lambda and of the trace."""
    lines = rules(part)
    for column, colour, mark, lift in (("sharpness", PALETTE[0], "o", -0.14), (TRACE, PALETTE[3], "s", 0.14)):
        moved = [fl.tables.mean_interval(change(part, column, rule)) for rule in lines]
        means = [interval.mean for interval in moved]
        halves = [interval.mean - interval.low for interval in moved]
        heights = [i + lift for i in range(len(lines))]
        ax.errorbar(means, heights, xerr=halves, fmt=mark, ms=3.5, lw=0.9, color=colour)
    words = [f"{name_of(part, shards)}, {symbol} = {radius:g}" for shards, radius in lines]
    ax.set_yticks(range(len(lines)), words)
    ax.axvline(0, color="0.6", lw=0.8, zorder=0)
    ax.set_ylim(len(lines) - 0.4, -0.6)


with paper():
    figure, axes = plt.subplots(2, 2, figsize=(6.8, 4.8), layout="constrained", height_ratios=[4, 9])
    panels = [(students, "tanh"), (students, "relu"), (network, "softplus"), (network, "relu")]
    for ax, (runs, act) in zip(axes.flat, panels, strict=True):
        of_students = runs is students
        forest(ax, runs[runs[ACT] == act], r"$\rho$" if of_students else "c")
        ax.set_title(f"{act.replace('relu', 'ReLU')} {'students' if of_students else 'CNN'}", loc="left")
    for ax in axes[:, 1]:
        ax.set_yticklabels([])
    for ax in axes[1]:
        ax.set_xlabel("change next to GD, over GD's mean")
    words = [r"$\lambda_{\max}$", "trace of the Hessian"]
    handles = [plt.Line2D([], [], color=PALETTE[i], marker=m, ms=3.5, lw=0.9) for i, m in ((0, "o"), (3, "s"))]
    figure.legend(handles, words, loc="outside lower center", ncols=2)
    figure.savefig(FIGURES / "flatness.png", metadata={"Software": None})

# %% [markdown]
# ## Results
#
# Measured with 20 seeds on 2026-11-30, featlearn 0.1.0, CPU, float64; the cells above recompute it. Students: 198 of
# 200 runs reach the train loss (the other two are SAM at rho = .1). CNN: 383 of 400 do; the others are 1-SAM with ReLU,
# 2 at c = .25 and 15 at c = 1, whose row has 5 seeds. The losses at which the CNN is read differ by at most 2 %,
# their means by .6 %; per unit of loss all changes are the same within .7 points.
# ReLU students at rho = .1 often fall below the train loss within the first phase (7 with SAM, 18 with 1-SAM), and are
# measured there.
#
# * **On a manifold of minima the theorem's tendency holds, with tanh and with ReLU.** Full-batch SAM lowers lambda by
#   a larger share than the trace: 33 % [13, 53] and 27 % [12, 43] at rho = .05, 57 % [33, 81] and 46 % [28, 64] at .1
#   with tanh, so that lambda's share of the trace falls from .58 by .037 [.023, .051] and .114 [.081, .146]. 1-SAM
#   lowers both by the same share (57 % [39, 75] of the trace and 59 % [37, 81] of lambda at .1); the share falls by
#   .024 [-.010, .058]. ReLU students at rho = .05: SAM 54 % and 40 %, 1-SAM 60 % and 52 %. The theorem assumes a smooth
#   loss; the kinks do not change the tendency.
# * **But 1-SAM lowers both more than SAM at the same radius**: with tanh the trace by another 8.9 % [6.7, 11.1] and
#   11.5 % [8.4, 14.6] of GD's, and lambda, too, by 4.1 % [3.0, 5.1] and 2.0 % [.5, 3.5]. For a small lambda
#   full-batch SAM is no better at an equal radius.
# * **With one sample per step**, the 1-SAM of the theorem, the result is the same: relative to SGD, 57 % [49, 66] of
#   the trace and 59 % [48, 69] of lambda at rho = .1.
# * **On the softplus CNN this holds in part.** At c = .0625 and .25 SAM lowers lambda, by .6 % [.5, .7] and 2.4 %
#   [2.2, 2.6], and 1-SAM the trace, by 11.4 % [11.1, 11.8] and 55.9 % [53.7, 58.2], and raises lambda by 15 % [10, 20]
#   at .25. But SAM, too, lowers the trace by a larger share than lambda (2.2 % and 9.2 %). At c = 1 mSAM and 1-SAM
#   reach the train loss where the trace is negative, and so is the eigenvalue of largest size in every run: far from a
#   minimum.
# * **On the ReLU CNN it does not.** At equal train loss every rule has a larger lambda than GD, at every radius: SAM
#   by 22 % [11, 34], 292 % [205, 379] and 92 % [72, 111] at c = .0625, .25 and 1; 1-SAM by 109 %, 82 % and 53 %. The
#   trace falls at c = .0625 for 4 shards and 1-SAM (by 12 % and 32 %) and at c = .25 for SAM and 4 shards (16 % and
#   11 %), and rises for 4 shards at c = 1 (27 % [20, 34]); else its interval contains zero. Compared with each other
#   the two agree with the theorem at c = .0625 (1-SAM has the larger lambda, by 87 %, and the smaller trace, by 31 %)
#   and contradict it at .25 (-212 % and +13 %).
# * **The kink does not explain the difference**, as the ReLU students show. The CNN is measured while it descends a
#   loss without a minimum, outside the theorem's assumptions; its other differences (logistic loss, fixed second layer,
#   large d) are not separated here.
