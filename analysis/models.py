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
# # Data models: what their papers claim, and what is measured here
#
# One figure a model, and the numbers of [models.md](models.md). `python analysis/models.py` draws all of them anew;
# stored runs are not computed again. Errors are integrals over fresh samples, by kind of sample; intervals are 95 %
# Student intervals over seeds, differences are paired by seed.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

import featlearn as fl
from featlearn.export import export
from featlearn.plots.mesh import log_ticks
from featlearn.plots.style import GREY, INK, PALETTE, paper
from featlearn.theory import LOSS_OF_FILTERS, oscillation_boundary, spurious_boundary

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "10"))
QUICK = SEEDS < 10  # the test of this notebook takes few seeds and small grids
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"models_{SEEDS}"
FIGURES = STORE if QUICK else ROOT / "analysis" / "figures"


def swept(name, config, quick, seeds=SEEDS, **changes):
    """Run a config; return all its rows."""
    settings = {"sweep.seed": {"range": [0, seeds]}, **changes, **(quick if QUICK else {})}
    fl.sweep(fl.load_config(ROOT / "configs" / f"{config}.yaml", set=settings), STORE / name, n_jobs=1 if QUICK else 2)
    rows = fl.load(STORE / name)
    print(name, fl.tables.last_rows(rows)["status"].value_counts().to_dict())
    return rows


def interval(values, digits=3):
    """Mean and 95 % interval over seeds, as text."""
    mean, _, low, high = fl.tables.mean_interval(values)
    return f"{mean:+.{digits}f}  [{low:+.{digits}f}, {high:+.{digits}f}]"


def of(rows, **columns):
    """The rows with these values; __ stands for a dot."""
    for column, value in columns.items():
        rows = rows[np.isclose(rows[column.replace("__", ".")].astype(float), value)]
    return rows


def rule(rows, name):
    """The rows of a rule."""
    return rows[rows["optimizer.name"] == name]


def change(runs, column, **columns):
    """SAM minus SGD, paired by seed at equal train loss within 10 %, each seed's mean over the cells."""
    pairs = fl.tables.paired_difference(of(runs, **columns), column, first="sam", second="sgd", train_loss_tol=1.1)
    return pairs.groupby("seed")["difference"].mean()


def band(ax, table, x, y, **style):
    """The mean over seeds with its interval."""
    found = table.groupby(x)[y].apply(lambda v: pd.Series(fl.tables.mean_interval(v)[:4], ["m", "se", "lo", "hi"]))
    found = found.unstack()
    ax.plot(found.index, found["m"], marker="o", ms=2.5, **style)
    ax.fill_between(found.index, found["lo"].clip(0, 1), found["hi"].clip(0, 1), alpha=0.2, lw=0, color=style["color"])


def saved(figure, name):
    """Write a figure of the page."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURES / f"model_{name}.png", metadata={"Software": None}, dpi=50 if QUICK else 250)
    print(FIGURES / f"model_{name}.png")


# %% [markdown]
# ## Spurious correlation (Deng et al. 2023)

# %%
published = swept(
    "spurious_published", "spurious_published", {"data.n_samples": 200, "train.n_steps": 60}, min(SEEDS, 2)
)
escape = swept(
    "spurious",
    "spurious",
    {"sweep.data.alignment": [0.8, 0.98], "sweep.data.core_norm": [0.5, 0.9, 1.3], "data.n_samples": 20},
)
ends = fl.tables.last_rows(published)
for core, part in ends.groupby("data.core_norm"):
    columns = ["train_loss", "train_error", "test_error.majority", "test_error.minority"]
    print(f"published, core norm {core}:", part.set_index("seed")[columns].round(5).to_dict("index"))
shares = ends["train_error"]
kept = shares.clip(lower=1e-12)
entropies = -kept * np.log(kept) - (1 - kept) * np.log1p(-kept)
ends.assign(entropy=entropies)[["data.core_norm", "seed", "train_loss", "entropy"]].round(5)

# %%
last = fl.tables.last_rows(escape)
wins = last.assign(
    right=(last["test_error.minority"] > 0.5)
    == (last["data.core_norm"] < spurious_boundary(1.0, spurious_norm=1.0, alignment=last["data.alignment"]))
)
for name in ("sgd", "sam"):
    share = rule(wins, name).groupby("seed")["right"].mean()
    print(f"{name}, runs on the side of the line with C = 1 that theory says:", interval(share))
print("SAM - SGD, minority error at a train loss of .6:", interval(change(last, "test_error.minority")))

# %%
with paper():
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.5), layout="constrained", width_ratios=[1, 1, 1.4])
    for core, colour in zip((0.2, 1.0), PALETTE[1::-1], strict=True):
        for number, (_, run) in enumerate(of(published, data__core_norm=core).groupby("seed")):
            words = f"$b_c={core:g}$, $b_s={1.2 - core:.1g}$" if number == 0 else None
            for ax, column in zip(axes, ("train_loss", "test_error.minority"), strict=False):
                ax.plot(run["step"], run[column], color=colour, label=words)
    axes[0].axhline(-0.98 * np.log(0.98) - 0.02 * np.log(0.02), color=GREY, lw=0.8, ls="--")
    axes[0].text(2, 0.115, "entropy of $\\alpha$", fontsize=7, color=INK)
    axes[0].set(xlabel="step", ylabel="train loss", ylim=(-0.02, 0.75))
    axes[0].set_title("published setting", loc="left")
    axes[0].legend(loc="center left", fontsize=7)
    axes[1].set(xlabel="step", ylabel="test error, minority", ylim=(-0.02, 1.05))
    fl.plots.phase_diagram(
        *(rule(last, "sgd"), "data.alignment", "data.core_norm", "test_error.minority"),
        **{"theory": "spurious", "constant": 1.0, "level": 0.5, "ax": axes[2]},
    )
    axes[2].set(xlabel=r"alignment $\alpha$", ylabel=r"core norm $b_c$")
    axes[2].legend(loc="upper left", fontsize=6)
    saved(figure, "spurious")

# %% [markdown]
# ## Margins and momentum (Jelassi and Li 2022)

# %%
margins = swept("margins", "margins", {"sweep.data.small_strength": [0.04, 0.32], "train.n_steps": 400})
noisy = swept(
    "margins_noise",
    "margins",
    {"sweep.data.noise_std": [0.06, 0.24], "sweep.data.small_strength": [0.05, 0.4], "train.n_steps": 400},
    **{
        "sweep.data.noise_std": {"geomspace": [0.03, 0.48, 5]},
        "sweep.data.small_strength": {"geomspace": [0.02, 1.28, 13]},
        "sweep.optimizer": [{"name": "sgd", "lr": 0.1}],
    },
)
last = fl.tables.last_rows(margins)
NAMES = {0.0: "GD", 0.9: "momentum .9", 0.99: "momentum .99"}
last["recipe"] = last["optimizer.momentum"].map(NAMES).where(last["optimizer.name"] == "sgd", "SAM")
for recipe, part in last.groupby("recipe"):
    print(recipe, {f"{k:.3f}": interval(v) for k, v in part.groupby("data.small_strength")["test_error.small"]})
k = min(last["data.small_strength"], key=lambda x: abs(x - 0.0566))
small = of(last, data__small_strength=k).pivot(index="seed", columns="recipe", values="test_error.small")
print(f"at strength {k:.3f}, minus GD:", {c: interval(small[c] - small["GD"]) for c in small if c != "GD"})

# %%
with paper():
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.7), layout="constrained")
    for recipe, colour in zip(("GD", "momentum .9", "momentum .99", "SAM"), PALETTE, strict=False):
        band(
            axes[0],
            last[last["recipe"] == recipe],
            "data.small_strength",
            "test_error.small",
            color=colour,
            label=recipe,
        )
    axes[0].set(xscale="log", xlabel=r"strength of small margins $\beta/\alpha$", ylabel="test error, small margins")
    log_ticks(axes[0].xaxis)
    axes[0].legend(fontsize=7)
    fl.plots.phase_diagram(
        *(fl.tables.last_rows(noisy), "data.noise_std", "data.small_strength", "test_error.small"),
        **{"level": 0.1, "ax": axes[1]},
    )
    axes[1].set_ylabel(r"strength of small margins $\beta/\alpha$")
    if axes[1].get_legend():
        axes[1].get_legend().remove()
    handles, words = axes[1].get_legend_handles_labels()
    words = [
        w.replace("measured: mean crosses", "crosses")
        .split(" = C")[0]
        .replace("theory $\\beta/\\alpha", "theory: slope 1")
        for w in words
    ]
    axes[1].legend(handles, words, loc="upper left", fontsize=6)
    saved(figure, "margins")

# %% [markdown]
# ## Multi-view (Allen-Zhu and Li 2023)

# %%
views = swept(
    "multi_view",
    "multi_view",
    {"sweep.data.signal_norm": [0.6, 1.3], "sweep.data.single_share": [0.1, 0.6], "train.n_steps": 150},
)
last = fl.tables.last_rows(views)
SINGLE = "test_error.single view"
last[SINGLE] = (last["test_error.view1"] + last["test_error.view2"]) / 2
for (norm, share), part in rule(last, "sgd").groupby(["data.signal_norm", "data.single_share"]):
    print(f"|v| = {norm:.2f}, share {share:.2f}:", interval(part[SINGLE]), "multi-view", part["test_error.multi"].max())
print("SAM - SGD, error on single views:", interval(change(last, SINGLE)))


# %%
def outputs(arrays, noise):
    """The outputs of an exported network on every kind of sample without weak features, [kinds, samples, K]."""
    w = arrays["final_weights"]  # [K, m, d]
    act = lambda z: np.where(z > 1, z - 2 / 3, np.maximum(z, 0) ** 3 / 3)  # noqa: E731
    by_feature = act(w @ arrays["signal"].T).sum(1)  # [K, 2 K]
    own = act(w @ noise.T).sum(1).T  # [samples, K]
    return np.stack([by_feature[:, i] + own for i in range(by_feature.shape[1])])


def errors(f):
    """The error on samples that show one view alone; feature 2 k + v is of class k."""
    return float(np.mean([f[i].argmax(1) != i // 2 for i in range(len(f))]))


ensembles = []
for share in (0.08, 0.16, 0.32, 0.64) if not QUICK else (0.1,):
    settings = {"data.single_share": share, "data.signal_norm": 0.894427191, "train.n_steps": 50 if QUICK else 6000}
    config = fl.load_config(ROOT / "configs" / "multi_view.yaml", set=settings)
    nets = [
        export(_run, STORE / "net.npz", engine="gram", force=True)
        for _run in (config.base_run().with_seed(seed) for seed in range(SEEDS))
    ]
    noise = config.base["data"]["noise_std"] * np.random.default_rng(0).standard_normal(
        (500, nets[0]["signal"].shape[1])
    )
    each = [outputs(net, noise) for net in nets]
    alone = [errors(f) for f in each]
    ensembles.append({"share": share, "mean": np.mean(alone), "ensemble": errors(sum(each)), "alone": interval(alone)})
ensembles = pd.DataFrame(ensembles)
ensembles

# %%
with paper():
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.7), layout="constrained")
    near = rule(last, "sgd")
    near = near[np.isclose(near["data.signal_norm"], near["data.signal_norm"].unique()[-3 if not QUICK else 0])]
    band(axes[0], near, "data.single_share", SINGLE, color=PALETTE[0], label="one network")
    axes[0].plot(ensembles["share"], ensembles["ensemble"], "s-", ms=3, color=PALETTE[1], label=f"ensemble of {SEEDS}")
    axes[0].set(xscale="log", xlabel=r"share of single-view samples $\hat\mu$", ylabel="error, single-view samples")
    axes[0].set_ylim(0, 0.5)
    log_ticks(axes[0].xaxis)
    axes[0].legend(fontsize=7)
    fl.plots.phase_diagram(
        *(rule(last, "sgd"), "data.single_share", "data.signal_norm", SINGLE),
        **{"level": 0.2, "ax": axes[1]},
    )
    axes[1].set(xlabel=r"share of single-view samples $\hat\mu$", ylabel=r"norm of a view $\|v\|$")
    if axes[1].get_legend():
        axes[1].get_legend().remove()
    handles, words = axes[1].get_legend_handles_labels()
    words = [
        w.replace("measured: mean crosses", "crosses")
        .replace("theory $", "theory: $")
        .split(" = C")[0]
        .replace(r"$\|v\|", r"slope $-1/3$")
        for w in words
    ]
    axes[1].legend(handles, words, loc="upper right", fontsize=6)
    saved(figure, "multi_view")

# %% [markdown]
# ## Benign oscillation (Lu et al. 2023)

# %%
large = swept("oscillation", "oscillation", {"sweep.optimizer.lr": [1.0, 3.0], "train.n_steps": 500})
plane = swept(
    "oscillation_plane",
    "oscillation",
    {"sweep.data.strong_norm": [1.0], "sweep.optimizer.lr": [1.0, 3.0], "train.n_steps": 200},
    min(SEEDS, 4),
    **{
        "sweep.data.strong_norm": {"linspace": [0.7, 1.3, 7]},
        "sweep.optimizer.lr": {"geomspace": [1, 8, 16]},
        "sweep.optimizer": [{"name": "sgd"}],
        "train.n_steps": 15000,
        "record.every": 15000,
    },
)
large["k"] = large["optimizer.lr"] / oscillation_boundary(1.0, strong_norm=1.0, n_filters=10)
last = fl.tables.last_rows(large)
for (name, k), part in last.groupby(["optimizer.name", "k"]):
    ended = part["status"].value_counts().to_dict()
    print(f"{name}, k = {k:.2f}:", interval(part["test_error.weak"]), f"loss {part['train_loss'].median():.1g}", ended)
met = fl.tables.at_train_loss(large, 0.02)
met = met[met["reached"]]
for k in (0.4, 0.8, 0.9, 1.2):
    both = of(met, k=k).pivot(index="seed", columns="optimizer.name", values="test_error.weak").dropna()
    if both.shape == (SEEDS, 2):
        print(f"SAM - SGD at k = {k}, at a train loss of .02:", interval(both["sam"] - both["sgd"]))

# %%
with paper():
    figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.5), layout="constrained", width_ratios=[1.1, 1, 1.35])
    for name, colour in zip(("sgd", "sam"), PALETTE, strict=False):
        ended = rule(last, name).query("status == 'ok'")
        band(axes[0], ended, "k", "test_error.weak", color=colour, label=name.upper())
    axes[0].axvline(1, color=INK, lw=0.8, ls="--")
    axes[0].axvspan(LOSS_OF_FILTERS, axes[0].get_xlim()[1], color=GREY, alpha=0.25, lw=0)
    axes[0].set(xlabel=r"$k=4\eta\|v\|^2/m$", ylabel="test error, weak signal alone", ylim=(-0.02, 0.55))
    axes[0].legend(fontsize=7, loc="center left")
    for k, colour in zip((0.8, 1.1, 1.3), PALETTE[2:], strict=False):
        part = of(rule(large, "sgd"), k=k)
        if len(part):
            middle = part.groupby("step")["signal_coef_max.weak"].mean()
            axes[1].plot(middle.index[1:], middle.iloc[1:], color=colour, label=f"$k={k}$")
    axes[1].set(xlabel="step", ylabel=r"weak signal, largest $\gamma$", xscale="log")
    axes[1].legend(*axes[1].get_legend_handles_labels(), fontsize=7)
    fl.plots.phase_diagram(
        *(fl.tables.last_rows(plane), "data.strong_norm", "optimizer.lr", "test_error.weak"),
        **{"theory": "oscillation" if not QUICK else None, "constant": 1.0, "level": 0.25, "ax": axes[2]},
    )
    axes[2].set_xlabel(r"strong norm $\|v\|$")
    if axes[2].get_legend():
        axes[2].get_legend().remove()
    saved(figure, "oscillation")
