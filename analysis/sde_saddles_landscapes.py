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
# # Saddles on the way: what does SAM learn first, and where is it trapped?
#
# The third part of `sde_saddles.py`. The linear autoencoder started at 0 of Compagnoni et al. 2023 (arXiv
# 2301.08203), and Beale's function as in Kim, Park, Choi & Lee 2026 (arXiv 2301.06308). All dynamics of a seed share
# the start and, for gradients with the noise s Z, the Z. The SDE takes k = 4 Euler-Maruyama steps in a step of the
# rule, to first order in rho, with complete covariance.
#
# Statistics, fixed before the runs of full size. The autoencoder has **left** 0 at the first record with |w| > .3,
# along the principal component with the largest overlap with the encoder; theory names the component with the largest
# mu (1 - rho mu), mu the eigenvalues of the run's own inputs. On Beale's function a run is **trapped** if it ends
# within .05 of the saddle.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt

import featlearn as fl
from featlearn.data import Gaussian
from featlearn.models import Beale
from featlearn.plots.style import GREY, INK, PALETTE, paper
from featlearn.theory.noisy_gradients import mean_unit_slope

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "20"))
QUICK = SEEDS < 20  # the test of this notebook takes fewer seeds and steps
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"sde_saddles_landscapes_{SEEDS}"
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
# ## The linear autoencoder: which component is learned first?

# %%
ENTRY = [{"name": "usam", "lr": 0.1, "rho": [0.0, 1.2], "dynamics": ["rule", "sde"]}]
coded = swept("autoencoder", "autoencoder", SEEDS, **({"sweep.optimizer": ENTRY} if QUICK else {}))
SCALE = float(mean_unit_slope(6)) / 0.01
SPECTRA = {}
for seed in range(SEEDS):
    (inputs,) = Gaussian(n_samples=200, dim=3, decay=0.75).draw(seed)
    values, vectors = np.linalg.eigh(inputs.T @ inputs / len(inputs))
    SPECTRA[seed] = values[::-1], vectors[:, ::-1]


def first_component(run):
    """Return when a run has left 0, the component that it has learned then, and the one that theory names."""
    values, vectors = SPECTRA[run["seed"].iloc[0]]
    radius = run[RHO].iloc[0] * (SCALE if run[NAME].iloc[0] == "sam" else 1)
    rates = values * (1 - radius * values)
    left, end = run[run["distance"] > (0.01 if QUICK else 0.3)].head(1), run.iloc[-1]
    encoder = left[[f"x{i}" for i in range(3)]].to_numpy(dtype=float)
    found = 1 + np.abs(encoder @ vectors).argmax(axis=1)
    least = (values.sum() - values[0]) / 2
    return pd.Series(
        {
            "left": len(left),
            "step": left["step"].iloc[0] if len(left) else np.inf,
            "component": found[0] if len(left) else np.nan,
            "theory": 1 + rates.argmax() if rates.max() > 0 else 0,
            "excess": end["train_loss"] - least,
            "radius": radius,
            "diverged": end["status"] == "diverged",
        }
    )


coded = coded.sort_values(["run_id", "step"])
coder = coded.groupby(["run_id", NAME, KIND, RHO])[coded.columns].apply(first_component).reset_index()
coder["agrees"] = coder["component"].fillna(0) == coder["theory"]
means = {"radius": "first", "left": "mean", "step": "median", "agrees": "mean", "theory": "mean", "excess": "median"}
print(coder.groupby([NAME, KIND, RHO]).agg(means | {"diverged": "sum"}).round(3).to_string())

# %% [markdown]
# The last radius once more with five times the noise, where the perturbation rho |g| is no longer small:

# %%
STRONG = {"sweep.optimizer": [{"name": "usam", "lr": 0.1, "rho": [8.0], "dynamics": ["rule", "sde"], "substeps": 4}]}
strong = swept("autoencoder", "strong", SEEDS, **STRONG, **{"train.gradient_noise": 0.05})
strong = strong.groupby(["run_id", NAME, KIND, RHO])[strong.columns].apply(first_component).reset_index()
print(strong.groupby(KIND).agg({"left": "mean", "step": "median", "diverged": "sum"}).round(3).to_string())
shares = coder.groupby([NAME, KIND, RHO])["component"].value_counts(normalize=True, dropna=False).unstack().fillna(0)
shares

# %% [markdown]
# ## Beale's function

# %%
beale = swept("beale", "beale").sort_values(["run_id", "step"])
_, end = ends(beale)
end["momentum"] = end["optimizer.momentum"]
end["to_saddle"], end["to_minimum"] = np.hypot(end["x0"], end["x1"] - 1), np.hypot(end["x0"] - 3, end["x1"] - 0.5)
cell = [NAME, KIND, "momentum", LR, RHO]
end = end.sort_values(cell).set_index(cell)
end[["status", "stopped_step", "x0", "x1", "to_saddle", "to_minimum", "grad_norm"]].round(4)

# %% [markdown]
# The cosine of the gradient and the gradient at the perturbed point:

# %%
gradient = torch.func.vmap(torch.func.grad(lambda w: Beale().losses((w,), ())))


def cosines(run):
    """Return the cosine at every record of a SAM run."""
    w = torch.tensor(run[["x0", "x1"]].to_numpy())
    g = gradient(w)
    perturbed = gradient(w + run[RHO].iloc[0] * g / g.norm(dim=1, keepdim=True))
    return torch.nn.functional.cosine_similarity(g, perturbed).numpy()


plain = beale[(beale[NAME] == "sam") & (beale[KIND] == "rule") & (beale["optimizer.momentum"] == 0)]
plain = plain[plain[LR] == 0.0005]
turns = {rho: (run["step"].to_numpy(), cosines(run)) for rho, run in plain[plain[RHO] > 0].groupby(RHO)}
for rho, (steps, cosine) in turns.items():
    late = cosine[steps > steps[-1] / 2]
    print(f"rho = {rho:g}: late cosines from {late.min():.3f} to {late.max():.3f}, below 0: {(late < 0).mean():.2f}")

# %% [markdown]
# ## Figure

# %%
BLUE, RED = PALETTE[0], PALETTE[3]
with paper():
    figure, axes = plt.subplots(2, 2, figsize=(5.6, 4.6), layout="constrained")
    a, b, c, d = axes.flat
    moving = coder[(coder[KIND] != "flow") & (coder["left"] > 0)]
    for (name, kind), part in moving.groupby([NAME, KIND]):
        cell = part[part.groupby("radius")["left"].transform("size") >= min(SEEDS, 5)].groupby("radius")
        colour, shift = (BLUE, -0.04) if name == "usam" else (RED, 0.04)
        word = f"{name.upper()} {kind.replace('sde', 'SDE')}"
        points(a, cell["component"].mean().index + shift, cell["component"].mean(), kind, colour, label=word)
        points(b, cell["step"].median().index + shift, cell["step"].median() / 10, kind, colour)
    grid = np.linspace(0, 6, 400)
    named = np.mean([[1 + np.argmax(v * (1 - r * v)) for r in grid] for v, _ in SPECTRA.values()], axis=0)
    limit = 1 / np.mean([v[-1] for v, _ in SPECTRA.values()])
    a.plot(grid[grid < limit], named[grid < limit], color=INK, lw=0.9, label="theory")
    for ax in (a, b):
        ax.axvline(limit, color=GREY, lw=0.8, ls="--", label=r"$1/\mu_3$")
        ax.set(xlabel=r"$\rho$ (USAM), $\rho\,c(6)/s$ (SAM)")
    a.set(ylabel="component learned first", title="(a) linear autoencoder from 0")
    a.legend(fontsize=7, loc=(0.3, 0.02))
    b.set(ylabel="time until it is learned", title="(b) and when", yscale="log")
    b.set_yticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
    b.minorticks_off()
    u, v = np.meshgrid(np.linspace(-0.4, 3.4, 120), np.linspace(-0.2, 2.1, 120))
    height = Beale().losses((torch.tensor(np.stack([u, v])),), ()).numpy()
    c.contour(u, v, height, levels=np.geomspace(0.05, 200, 9), colors="0.8", linewidths=0.5)
    for (rho, run), dash, colour in zip(
        plain.groupby(RHO), ("-", "--", "-.", ":"), (INK, *PALETTE[:1], *PALETTE[3:5]), strict=False
    ):
        c.plot(run["x0"], run["x1"], dash, color=colour, lw=1.1, label=rf"$\rho$ = {rho:g}")
    c.plot([0], [1], "s", color=INK, ms=4)
    c.plot([3], [0.5], "*", color=INK, ms=6)
    c.set(xlabel="$x$", ylabel="$y$", title="(c) SAM on Beale's function", xlim=(-0.4, 3.4), ylim=(-0.2, 2.1))
    c.legend(fontsize=7)
    for (rho, (steps, cosine)), mark, colour in zip(turns.items(), "x^o", (*PALETTE[:1], *PALETTE[3:5]), strict=False):
        d.plot(steps[::8], cosine[::8], mark, color=colour, ms=2.5, mfc="none", mew=0.6, label=rf"$\rho$ = {rho:g}")
    d.set(xlabel="step", ylabel=r"cos of $\nabla f(w)$, $\nabla f(w + \rho u)$", title="(d) perturbed gradient")
    d.set_ylim(-1.1, 1.6)
    d.legend(ncols=3, columnspacing=0.8, handletextpad=0.1, markerscale=1.6)
    figure.savefig(FIGURES / "sde_saddles_landscapes.png", metadata={"Software": None}, dpi=200)

# %% [markdown]
# ## Results
#
# Measured with 20 seeds on 2026-11-30, featlearn 0.1.0, CPU, float64.
#
# * **SAM learns another component first.** The autoencoder started at 0 leaves along the component with the largest mu
#   (1 - rho mu), not the largest mu: the first at rho = 0, the second at rho (or rho c/s) = 1.2, the third at 3.5; the
#   prediction holds for .85 to 1 of the runs of every cell, rule and SDE alike.
# * **It stays longer, and in the end for good.** Median steps until it leaves: 60 (GD), 240 and 740 (USAM), 210 and
#   625 (SAM at the same effective radii); the SDEs need 60, 235, 730 and 215, 620. At the radius 8, above the last
#   threshold, .95 to 1 stay at 0, and the loss stays at its value there. The one run that leaves, of USAM's rule,
#   diverges. The figure shows cells with 5 runs or more, and so none of this radius.
# * **With five times the noise** (s = .05) and USAM of rho = 8 all 20 runs of the rule leave 0, after 22.5 steps in the
#   median, and diverge; of its first-order SDE none leaves and none diverges.
# * **The flow without noise never leaves 0**, at any radius: it is a critical point. So the escape is the work of the
#   noise, and no flow shows it.
# * **Beale's function from (1, 2)**, lr = 5e-4, 8000 steps: with rho = .1 SAM comes within .1 of the minimum, as GD
#   does within .14; with .5 and 1 it is trapped within .005 of the saddle (0, 1). The first-order flow does the same.
#   Momentum .9 frees rho = .5. At twice the lr, rho = 1 escapes. Unnormalized SAM diverges in the first step at every
#   rho from .1 on, even at the lr of the published code, 1.25e-5: the gradient at the start is too large for it.
# * **Once trapped, the perturbed gradient turns against the gradient**: the cosine lies anywhere in [-1, 1], below 0
#   in 31 % (rho = .5) and 43 % (1) of the late steps, never for rho = .1.
