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
# # Does the boundary of SAM really not depend on the dimension?
#
# Chen et al. 2023 (arXiv 2310.07269): overfitting turns from harmful to benign at a signal of order d^(1/4) for SGD,
# and of order d^0 for SAM followed by SGD. `configs/boundary_scaling.yaml` measures both from d = 1e3 to 1e9, on
# networks that have fitted their data, and this notebook tests what the two exponents depend on.
#
# Regime: n = 20, B = n, m = 10, P = 2, noise_std = 1, no flips, noise not projected, patches summed, filters averaged
# (1/m), no bias. lr = 1.6 sqrt(1000/d), init_std = 1/(P noise_std sqrt(d)), rho = m sqrt(B)/(P noise_std sqrt(d)), SAM
# for 8 sqrt(d/1000) steps; a run ends at train loss .05. The boundary is the signal at which the mean test error of the
# fitted runs crosses .1. Intervals are 95% percentile bootstraps over seeds: they include the variance of the draws,
# not the error of a power law at finite d.

# %%
import os
from itertools import pairwise
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from scipy.stats import norm

import featlearn as fl
from featlearn.plots import boundary_figure, paper
from featlearn.plots.style import PALETTE

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "20"))
QUICK = SEEDS < 20  # the test of this notebook takes fewer seeds, dimensions and signals
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"boundary_scaling_{SEEDS}"
FIGURES = STORE if QUICK else ROOT / "analysis" / "figures"
DIMS = [10**k for k in range(3, 6 if QUICK else 10)]
EVERY_OTHER = DIMS[::2]
CONFIG = ROOT / "configs" / "boundary_scaling.yaml"


def rows(dims, optimizers=("sgd", "sam"), *, kappa=8.0, power=0.5, phase=1.0, steps=None, rho=None, init=None):
    """What varies with d: lr = kappa n m/(1000 noise_std^2) (1000/d)^power, a SAM phase of 8 phase (1.6/lr) steps.

    `steps` is a phase that does not depend on d, `rho` a radius that does not, `init` an init_std as a function of d.
    """
    places = [(d, name) for d in dims for name in optimizers]
    rates = {d: 0.2 * kappa * (1000 / d) ** power for d in dims}
    stop = {d: steps or max(1, round(8 * phase * 1.6 / rates[d])) for d in dims}
    sam = {d: {"rho": rho or {"theory": 1}, "stop": stop[d]} for d in dims}
    rules = [{"name": name, "lr": rates[d]} | (sam[d] if name == "sam" else {}) for d, name in places]
    zipped = {"data.dim": [d for d, _ in places], "optimizer": rules}
    return zipped | ({"network.init_std": [init(d) for d, _ in places]} if init else {})


def swept(name, zipped=None, signals=(1, 160, 36), seeds=SEEDS, **changes):
    """Run the config with other rows under `zip`, other signals and keys; return one row per run."""
    first, last, count = signals
    settings = {"data.signal_norm": {"geomspace": [first, last, count // 2 if QUICK else count]}}
    settings |= {
        "seed": {"range": [0, seeds]},
        **({"zip": zipped, "data.dim": None, "optimizer": None} if zipped else {}),
    }
    changes |= {f"sweep.{key}": value for key, value in settings.items()}
    fl.sweep(fl.load_config(CONFIG, set=changes), STORE / name, n_jobs=1 if QUICK else 2)
    return fl.summary(STORE / name)


# %% [markdown]
# ## The two exponents

# %%
main = swept("main", rows(DIMS) if QUICK else None)
figure, table = boundary_figure(main)
with paper():
    figure.savefig(FIGURES / "boundary_scaling.png", metadata={"Software": None})
table.drop(columns=["exponent", "exponent_low", "exponent_high", "value"]).round(3)

# %% [markdown]
# ## Other levels

# %%


def interval(fit):
    """An exponent with its 95% interval."""
    return f"{fit.exponent:+.3f} [{fit.low:+.3f}, {fit.high:+.3f}]"


def exponents(runs, level=0.1):
    """Exponent over all d and over the largest two, boundary at both ends, runs left out; one row per optimizer."""
    out = {}
    for name, part in fl.tables.by_optimizer(runs).items():
        scaling = fl.tables.boundary_scaling(part, level)
        points = scaling.points.dropna(subset="data.signal_norm")
        top = part[part["data.dim"].isin(points["data.dim"].iloc[-2:])]
        first, last = (points.iloc[end] for end in (0, -1))
        out[name] = {
            "exponent": interval(scaling.exponent),
            "at the top": interval(fl.tables.boundary_exponent(top, level)),
            "boundary": f"{first['data.signal_norm']:.2f} to {last['data.signal_norm']:.2f}",
            "d": f"{first['data.dim']:.0e} to {last['data.dim']:.0e}",
            "left out": f"{scaling.points['left_out'].sum()} of {len(part)}",
        }
    return pd.DataFrame(out).T


pd.concat({level: exponents(main, level) for level in (0.05, 0.1, 0.2)}, names=["level"])

# %% [markdown]
# ## Decade by decade: has the exponent converged?

# %%


def local_slopes(runs, level=0.1):
    """Exponent between neighbouring dimensions, with its interval."""
    dims = sorted(runs["data.dim"].unique())
    out = {}
    for low, high in pairwise(dims):
        pair = runs[runs["data.dim"].isin([low, high])]
        parts = fl.tables.by_optimizer(pair)
        fits = {name: fl.tables.boundary_exponent(part, level) for name, part in parts.items()}
        out[f"{low:.0e} to {high:.0e}"] = {name: interval(fit) for name, fit in fits.items()}
    return pd.DataFrame(out).T


local_slopes(main)

# %% [markdown]
# ## The constant of the learning rate, the train loss, the radius, label flips
#
# kappa/4 is what the first step adds to a margin at d = 1000. `phase` keeps lr times steps unchanged.

# %%
FEW = min(SEEDS, 10)
WIDE, NARROW = (1, 64, 28), (1, 16, 20)
THREE = EVERY_OTHER[:3]
SHORT = {"train.n_steps": 1000 if QUICK else 4000}  # stop runs that cannot fit earlier
variants = {
    "kappa = 4": (swept("kappa_4", rows(THREE, kappa=4), WIDE, FEW), 0.1),
    "kappa = 16": (swept("kappa_16", rows(THREE, kappa=16), WIDE, FEW), 0.1),
    "train loss .01": (swept("loss", rows(THREE), WIDE, FEW, **SHORT, **{"train.stop_at_train_loss": 0.01}), 0.1),
    "flips .1, level .2": (swept("flips", rows(THREE), WIDE, FEW, **SHORT, **{"data.flip_prob": 0.1}), 0.2),
    "rho = .5 at every d": (swept("rho_large", rows(EVERY_OTHER, ["sam"], rho=0.5), NARROW, FEW), 0.1),
    "rho = .05 at every d": (swept("rho_small", rows(EVERY_OTHER, ["sam"], rho=0.05), NARROW, FEW), 0.1),
}
pd.concat({name: exponents(runs, level) for name, (runs, level) in variants.items()})

# %% [markdown]
# ## What SAM's exponent depends on: the length of its phase
#
# A phase of 8 steps at every d, against one that grows like 1/lr.

# %%
fixed = swept("fixed_phase", rows(DIMS, ["sam"], steps=8), WIDE, FEW)
exponents(fixed)

# %%
local_slopes(fixed)

# %% [markdown]
# Longer phases lower SAM's boundary. What is the limit? If only the signal is learned, f = gamma (1 + <mu, xi>/|mu|^2)
# on a sample of label +1, so the error is that of a Gaussian of standard deviation noise_std/|mu| beyond -1: it is .1
# at |mu| = 1.28 noise_std (P = 2), whatever d. With the noise projected orthogonally to the signal there is no such
# floor.

# %%


def by_phase(name, signals, **changes):
    """SAM's boundary for phases of different length, in units of the config's."""
    out = {}
    for phase in (0.2, 1, 4) if QUICK else (0.2, 1, 4, 16):
        runs = swept(f"{name}_{phase:g}", rows(THREE, ["sam"], phase=phase), signals, FEW, **changes)
        out[phase] = exponents(runs).loc["sam"]
    return pd.DataFrame(out).T


phases = pd.concat(
    {
        "not projected": by_phase("phase", (0.8, 8, 16)),
        "projected": by_phase("projected", (0.1, 8, 28), **{"data.orthogonal_noise": True}),
    },
    names=["noise", "phase"],
)
print(f"floor without projection: {norm.isf(0.1):.2f}")
phases

# %% [markdown]
# ## What SGD's exponent depends on: small initial noise
#
# With lr ~ 1/d, the small steps that theory assumes, the noise is fitted in about ten steps at every d, and the signal
# that is learned meanwhile falls like |mu|^2/d. On a fresh sample it competes with the noise of the initial
# weights, init_std noise_std sqrt(d), beside the memorized noise, which is of order sqrt(n/d). SAM's phase is of order
# d steps.

# %%
HUGE = (1, 3000, 48)
slow = {
    "init_std = 1/(P noise_std sqrt(d))": swept("slow", rows(DIMS, ["sgd"], power=1), HUGE, FEW),
    "init_std = 1/(P noise_std d)": swept(
        "slow_small", rows(DIMS, ["sgd"], power=1, init=lambda d: 0.5 / d), HUGE, FEW
    ),
}
slow_sam = swept("slow_sam", rows(DIMS[:4], ["sam"], power=1), NARROW, FEW)
pd.concat([pd.concat({name: exponents(runs) for name, runs in slow.items()}), pd.concat({"SAM": exponents(slow_sam)})])

# %%
pd.concat({name: local_slopes(runs)["sgd"] for name, runs in slow.items()}, axis=1)

# %% [markdown]
# ## Figure

# %%


def draw(ax, boundaries, slopes, title):
    """Draw measured boundaries over d at test error .1, and reference slopes from a value at d = 1000."""
    for (name, runs), colour in zip(boundaries.items(), PALETTE, strict=False):
        points = fl.tables.boundary_scaling(runs, 0.1, n_boot=0).points
        ax.plot(points["data.dim"], points["data.signal_norm"], "o-", ms=3, lw=1.1, color=colour, label=name)
    for text, (first, power) in slopes.items():
        ends = [first * (d / 1000) ** power for d in (DIMS[0], DIMS[-1])]
        ax.plot([DIMS[0], DIMS[-1]], ends, color="0.6", lw=0.8, ls="--", zorder=0)
        ax.annotate(
            text, (DIMS[-1], ends[-1]), (4, 0), textcoords="offset points", color="0.4", fontsize=8, va="center"
        )
    ax.set(xscale="log", yscale="log", xlabel="dimension $d$", title=title, xlim=(DIMS[0] / 2, DIMS[-1] * 10))
    ax.legend(loc="upper left", handlelength=1.4)


def only(name):
    return main[main["optimizer.name"] == name]


with paper():
    picture, (left, right) = plt.subplots(1, 2, figsize=(6.9, 3.0), layout="constrained", sharey=True)
    small, large = slow.values()
    sgd = {r"$\eta\propto d^{-1/2}$, $\sigma_0\propto d^{-1/2}$": only("sgd")}
    sgd |= {
        r"$\eta\propto d^{-1}$, $\sigma_0\propto d^{-1/2}$": small,
        r"$\eta\propto d^{-1}$, $\sigma_0\propto d^{-1}$": large,
    }
    sam = {r"phase $\propto d^{1/2}$": only("sam"), "phase of 8 steps": fixed}
    sam |= {r"phase $\propto d$, $\eta\propto d^{-1}$": slow_sam}
    draw(left, sgd, {"$d^{1/4}$": (2, 0.25), "$d^{1/2}$": (1, 0.5)}, "SGD")
    draw(right, sam, {"$d^{0}$": (1.2, 0), "$d^{1/4}$": (0.85, 0.25)}, "SAM, then SGD")
    left.set_ylabel(r"signal norm $\|\mu\|$ at test error 0.1")
    picture.savefig(FIGURES / "boundary_scaling_causes.png", metadata={"Software": None})

# %% [markdown]
# ## Results
#
# CPU, float64; the cells above recompute it. The first two points: 20 seeds, measured anew on 2026-11-26; the checks:
# 10 seeds, 2026-11-21, with the draws of that day. In the main sweep every resample crosses at every d, so no end is
# open.
#
# * **The exponents are those of the theorems.** From d = 1e3 to 1e9: SGD .250 [.249, .251], SAM -.002 [-.004, -.001].
#   The boundary is |mu| = 3.11 to 99.8 for SGD, .59 (d/n)^(1/4) P noise_std at the end, and 1.93 to 1.92 for SAM,
#   .96 P noise_std. 10,073 of 10,080 runs fitted. At test error .05 and .2: .249 and .252, .000 and -.006.
# * **The exponents have converged.** SGD's local exponent is .259 in the first decade, .247 in the second, and
#   within .001 of .250 in each of the four above 1e5; SAM's is within .020 of zero below 1e5, and .003 [-.000, .007] in
#   the last; from 1e6 up it is .000 [-.002, .002].
# * **The top of the range is more reliable than the intervals.** kappa = 8 was chosen because SGD then fits in a few
#   steps at all d. Up to 1e7, kappa = 4 and 16 give .270 and .245 for SGD, -.011 and .020 for SAM: far outside each
#   other's intervals, which reflect seeds only. Between 1e5 and 1e7 all four lie within .007 of theory. Label flips
#   (level .2) and train loss .01 change nothing visible (35 and 55 of 840 SAM runs did not fit, and are left out).
# * **SAM's zero exponent requires training time.** With a phase of 8 steps at every d, SAM's exponent climbs to
#   .249 [.248, .251] between 1e8 and 1e9: SGD's, with a smaller constant. The phase has to grow like 1/lr, as the
#   theorem's does: sqrt(d) here, d with lr ~ 1/d.
# * **The phase and the noise along the signal determine SAM's boundary.** At d = 1e7, phases of .2,
#   1, 4 and 16 times the config's give 3.42, 1.92, 1.48 and 1.40, towards the floor of 1.28 noise_std of learning the
#   signal alone. With projected noise there is no floor: 3.08, 1.39, .69, .35, as (phase)^(-1/2). There,
#   |mu| >= Omega(P noise_std) is enough but not needed.
# * **The radius has little effect here.** At rho = .05 or .5 for all d the boundary is 2.15 and 2.40 at d = 1e9, where
#   the theorem's radius is .0007: the upper end of the window, beyond which the signal should stay deactivated, was not
#   reached. The lower end was: rho = .05 at d = 1e3, where the theorem's is .71, gives 3.01, close to SGD's 3.11.
# * **Disagreement: SGD's 1/4 needs a smaller init than SAM's theorem has.** With lr ~ 1/d (the small steps that the
#   theorems suppose) and init_std = 1/(P noise_std sqrt(d)), SGD's exponent goes to 1/2: .501 [.500, .502] above 1e8,
#   |mu| = 1674 at 1e9, because the noise of the initial weights stays dominant. With init_std ~ 1/d it is .246
#   [.245, .247], .249 at the top. So the theorem's "small init_std" must mean well below sqrt(n)/(noise_std d). SAM
#   keeps its zero exponent at the larger init with lr ~ 1/d too (-.015 [-.021, -.008] between 1e5 and 1e6, the largest
#   d tried), but needs a phase of order d.
# * **Not the theorems' regime:** lr ~ d^(-1/2) is no small step: from d = 1e4 on SGD fits in a single one. It
#   makes SAM's phase affordable at 1e9.
