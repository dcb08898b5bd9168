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
# # Does SAM minimise a regularised loss, and what does its noise do?
#
# Compagnoni et al. 2023 (arXiv 2301.08203): to first order in rho, SAM's rules follow SDEs whose drift descends a
# regularised loss, f + rho/2 |grad f|^2 (USAM), and whose noise depends on the Hessian, with the factor 1 + rho lambda.
# Here lambda is an eigenvalue, a = lambda (1 + rho lambda), and every gradient has the noise s Z, Z ~ N(0, I_d).
# `configs/regularization_quadratic.yaml` measures stationary laws, `configs/regularization_valleys.yaml` which of two
# valleys of equal loss is occupied.
#
# Statistic, fixed before the runs at full size. **Variance**: the mean square over the records after the burn-in, over
# coordinates of one eigenvalue and over paths, divided by the law of theory/stationary.py; the interval is the 95 %
# normal interval over paths. A law holds if the ratio lies in [.99, 1.01], and differs from another law where the
# interval excludes that. For an SDE the law includes the known bias of the integrator. **Ring** of DNSAM: the median
# distance from the minimum, within 5 %. **Valley**: half of the paths start in either; p and q are the shares of the
# flat side, means over the records of the second half, of those from the sharp and from the flat one. In between they
# relax at one rate, so that the stationary share is p / (1 - q + p) at any time. Shares agree if the interval, which
# follows from those of p and q at first order, contains the other.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from scipy.special import erf

import featlearn as fl
from featlearn.plots.style import PALETTE, paper
from featlearn.theory import noisy_gradients, stationary

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "1024"))
QUICK = SEEDS < 1024  # the test of this notebook takes fewer paths and steps
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"sde_regularization_{SEEDS}"
FIGURES = STORE if QUICK else ROOT / "analysis" / "figures"
RULE, DYNAMICS, LR, RHO = "optimizer.name", "optimizer.dynamics", "optimizer.lr", "optimizer.rho"
INTEGRATOR, SUBSTEPS, COVARIANCE = "optimizer.integrator", "optimizer.substeps", "optimizer.covariance"
SDE = {"optimizer.dynamics": "sde"}


def swept(store, config, burn, paths=SEEDS, **settings):
    """Run a config with other keys; return the rows of runs that did not diverge, after ``burn`` steps."""
    short = {"train.n_steps": min(2, settings.get("train.n_steps", 2)), "record.every": 1} if QUICK else {}
    settings = settings | short | {"sweep.seed": {"range": [0, min(paths, SEEDS) if QUICK else paths]}}
    fl.sweep(
        fl.load_config(ROOT / "configs" / f"regularization_{config}.yaml", set=settings),
        STORE / store,
        n_jobs=1 if QUICK else 2,
    )
    rows = fl.load(STORE / store)
    last = rows.drop_duplicates("run_id", keep="last")
    print(f"{store}: {len(last)} runs, {(last['status'] == 'diverged').sum()} diverged")
    return rows[(rows["step"] > (min(burn, 0) if QUICK else burn)) & (rows["status"] != "diverged")]


def measured(rows, by, values):
    """Mean over records, then mean and half width of the 95 % interval over paths, one row per cell."""
    by = [key for key in by if key in rows]  # a rule has no integrator
    runs = values.groupby([rows[key] for key in [*by, "run_id"]]).mean().rename("value").reset_index()
    table = runs.groupby(by)["value"].agg(["mean", "sem"]).reset_index()
    return table.assign(half=1.96 * table.pop("sem"))


def against(table, law, name="law"):
    """Add a law, and the ratio of the measured mean to it with the half width of its interval."""
    return table.assign(**{name: law, f"ratio_{name}": table["mean"] / law, f"half_{name}": table["half"] / law})


def saved(figure, name):
    """Save a figure."""
    figure.savefig(FIGURES / f"sde_regularization_{name}.png", metadata={"Software": None}, dpi=200)


# %% [markdown]
# ## Stationary variance of USAM and n-USAM: the rules
#
# The law of USAM's rule is lr (1 + rho lambda)^2 s^2 / (a (2 - lr a)), exact; n-USAM's lacks the factor (1 + rho
# lambda)^2, because its perturbation has no noise. Those of the SDEs are the same with lr a = 0 in the bracket.

# %%
EIGENVALUES = {1.0: range(8), 2.0: range(8, 16), 4.0: range(16, 24)}
CELL = [RULE, DYNAMICS, INTEGRATOR, SUBSTEPS, LR, RHO]


def variances(rows):
    """The variance along every eigenvalue, one row per cell and eigenvalue."""
    parts = []
    for value, places in EIGENVALUES.items():
        squares = rows[[f"x{i}" for i in places]].pow(2).mean(axis=1)
        parts.append(measured(rows, CELL, squares).assign(eigenvalue=value))
    table = pd.concat(parts, ignore_index=True)
    factor = 1 + table[RHO] * table["eigenvalue"]
    return table.assign(factor=factor, product=table[LR] * table["eigenvalue"] * factor)


def response(table):
    """The factor of n-USAM's variance relative to USAM's."""
    return np.where(table[RULE] == "n_usam", table["factor"] ** -2.0, 1.0)


rows = swept("rules", "quadratic", 60)
rules = variances(rows)
settings = rules[LR], rules[RHO], rules["eigenvalue"], 1.0
rules = against(rules, stationary.usam_rule_variance(*settings) * response(rules))
rules = against(rules, stationary.usam_variance(*settings) * response(rules), "sde")
SHOWN = [RULE, LR, RHO, "eigenvalue", "product", "mean", "ratio_law", "half_law", "ratio_sde"]
rules[SHOWN].round(4)

# %%
print(f"{rules['ratio_law'].between(0.99, 1.01).sum()} of {len(rules)} variances within 1 % of the law of the rule;")
print(f"{rules['ratio_sde'].between(0.99, 1.01).sum()} of {len(rules)} within 1 % of the law of the SDE")

# %% [markdown]
# ## The SDE against its own law, and the integrator
#
# Euler-Maruyama with k substeps has the variance of the SDE over 1 - lr a / (2 k): with k = 1 exactly that of the rule,
# so that it says nothing about the continuous limit. Strang's splitting has theta coth(theta), theta = lr a / k.

# %%
WAYS = {INTEGRATOR: ["euler_maruyama", "euler_maruyama", "strang"], SUBSTEPS: [1, 8, 4]}
zipped = {"sweep.zip": WAYS, "sweep.optimizer.name": ["usam"], "sweep.optimizer.rho": [0.3]}
sdes = variances(swept("sdes", "quadratic", 60, **SDE, **zipped, **{"train.n_steps": 210}))
exact = stationary.usam_variance(sdes[LR], sdes[RHO], sdes["eigenvalue"], 1.0)
small = sdes["product"] / sdes[SUBSTEPS]
bias = np.where(sdes[INTEGRATOR] == "strang", small / np.tanh(small), 1 / (1 - small / 2))
sdes = against(against(sdes, exact * bias), exact, "sde")
sdes[[INTEGRATOR, SUBSTEPS, LR, "eigenvalue", "product", "mean", "ratio_law", "half_law", "ratio_sde"]].round(4)

# %% [markdown]
# The truncated covariance, s^2 (1 + 2 rho lambda), against the complete one, s^2 (1 + rho lambda)^2: lambda = 4, lr =
# .02, rho lambda = 1.2. One step of Strang's splitting a step, its bias of 1 % divided out.

# %%
one = {"network.spectrum": [4.0], "record.trackers": ["loss"], "sweep.optimizer.name": ["usam"]}
one |= {"sweep.optimizer.lr": [0.02], "sweep.optimizer.rho": [0.3], "train.n_steps": 180, "record.every": 2}
three = {DYNAMICS: ["sde", "sde", "rule"], "optimizer.covariance": ["complete", "truncated", "complete"]}
one |= {INTEGRATOR: "strang", SUBSTEPS: 1, "sweep.zip": three}
part = swept("truncated", "quadratic", 20, 2560, **one)
cut = measured(part.fillna({COVARIANCE: "-"}), [DYNAMICS, COVARIANCE], part["train_loss"] / 2)
setting, theta = (0.02, 0.3, 4.0, 1.0), 0.02 * 4 * 2.2
bias = np.where(cut[DYNAMICS] == "sde", theta / np.tanh(theta), 1)
cut = cut.assign(mean=cut["mean"] / bias, half=cut["half"] / bias)
cut = against(cut, float(stationary.usam_variance(*setting)), "complete")
cut = against(cut, float(stationary.usam_truncated_variance(*setting)), "truncated")
cut.drop(columns=["complete", "truncated"]).round(4)

# %% [markdown]
# ## Stationary loss
#
# The SDE of USAM has E f = (lr s^2 / 4)(d + rho tr H); that of n-USAM, which has USAM's drift and no Hessian-dependent
# noise, E f = (lr s^2 / 4) sum 1 / (1 + rho lambda). In units of SGD's, lr s^2 d / 4.

# %%
SPECTRUM = np.repeat([1.0, 2.0, 4.0], 8)


def n_usam_loss(rho):
    """Mean loss of n-USAM's SDE, in units of SGD's."""
    return np.mean(1 / (1 + np.multiply.outer(np.asarray(rho), SPECTRUM)), axis=-1)


losses = measured(rows, CELL, rows["train_loss"])
unit = losses[LR] * len(SPECTRUM) / 4
usam_loss = stationary.usam_loss(losses[LR], losses[RHO], SPECTRUM.sum(), 1.0, len(SPECTRUM)) / unit
law = np.where(losses[RULE] == "n_usam", n_usam_loss(losses[RHO]), usam_loss)
losses = against(losses.assign(mean=losses["mean"] / unit, half=losses["half"] / unit), law, "sde")
rule_law = (rules["law"] * rules["eigenvalue"] * 4).groupby([rules[k] for k in (RULE, LR, RHO)]).sum().to_numpy()
losses = against(losses, rule_law / unit)
losses[[RULE, LR, RHO, "mean", "half", "ratio_law", "half_law", "sde", "ratio_sde"]].round(4)

# %% [markdown]
# ## Noise that depends on the Hessian
#
# The variance of one step from near 0 over (lr s)^2, lr = .001, with eigenvalues of both signs. A step of the SDE adds
# its drift: at most 2 % here.

# %%
BOTH_SIGNS = np.array([-4.0, -2.0, -1.0, 0.5, 1.0, 2.0, 4.0, 8.0])
near = {"network.spectrum": BOTH_SIGNS.tolist(), "record.trackers": ["loss", {"name": "position", "n_coordinates": 8}]}
near |= {"train.n_steps": 16, "record.every": 1, "sweep.optimizer.lr": [0.001], "sweep.optimizer.rho": [0.2]}
near |= {"sweep.optimizer.name": ["usam"]}
three = {DYNAMICS: ["rule", "sde", "sde"], COVARIANCE: ["complete", "complete", "truncated"], SUBSTEPS: [1, 8, 1]}
KINDS = "rule", "complete", "truncated"


def step_variance(rows):
    """Mean and half width of the variance of one step, in units of (lr s)^2, along each eigenvalue."""
    columns = [f"x{i}" for i in range(len(BOTH_SIGNS))]
    moves = rows.groupby("run_id")[columns].diff().dropna() / 0.001
    runs = moves.pow(2).groupby(rows.loc[moves.index, "run_id"]).mean()
    return pd.DataFrame({"mean": runs.mean().to_numpy(), "half": 1.96 * runs.sem().to_numpy()})


near_rows = swept("steps", "quadratic", -1, 3072, **near, **{"sweep.zip": three})
covariance = near_rows[COVARIANCE].where(near_rows[DYNAMICS] == "sde", "rule")
steps = {name: step_variance(near_rows[covariance == name]) for name in KINDS}
scaled = 0.2 * BOTH_SIGNS
noise = pd.DataFrame({"rho lambda": scaled, "(1 + x)^2": (1 + scaled) ** 2, "1 + 2 x": 1 + 2 * scaled})
for name, table in steps.items():
    noise[[name, f"{name} +-"]] = table[["mean", "half"]].to_numpy()
noise.round(4)

# %%
with paper():
    figure, axes = plt.subplots(1, 3, figsize=(6.9, 2.65), layout="constrained")
    grid = np.linspace(0.01, 1.8, 200)
    ax = axes[0]
    ax.plot(grid, 1 / (1 - grid / 2), color="0.15", lw=1, label="law of the rule")
    ax.plot(grid, 1 + 0 * grid, color="0.15", lw=1, ls="--", label="law of the SDE")
    usam = rules[rules[RULE] == "usam"]
    ax.plot(usam["product"], usam["ratio_sde"], "o", ms=4, color=PALETTE[0], label="rule")
    marks = zip([("euler_maruyama", 1), ("euler_maruyama", 8), ("strang", 4)], "x^s", (1, 3, 2), strict=True)
    names = {"euler_maruyama": "Euler", "strang": "Strang"}
    for (way, k), mark, colour in marks:
        part = sdes[(sdes[INTEGRATOR] == way) & (sdes[SUBSTEPS] == k)]
        style = {"ms": 4, "mfc": "none", "color": PALETTE[colour], "label": f"SDE, {names[way]}, $k$ = {k}"}
        ax.plot(part["product"], part["ratio_sde"], mark, **style)
    ax.set(xlabel=r"$\eta\lambda(1+\rho\lambda)$", ylabel="variance / law of the SDE", yscale="log", ylim=(0.9, 20))
    ax.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    ax.set_yticks([], minor=True)
    ax.set_title("stationary variance, USAM")
    ax.legend(fontsize=6.5, loc="upper left")
    ax, grid = axes[1], np.linspace(0, 0.32, 50)
    ax.plot(grid, 1 + grid * SPECTRUM.mean(), color=PALETTE[0], lw=1, label=r"USAM SDE, $1+\rho\,$tr$H/d$")
    ax.plot(grid, n_usam_loss(grid), color=PALETTE[1], lw=1, ls="--", label="n-USAM SDE")
    for name, mark, colour in (("usam", "o", 0), ("n_usam", "s", 1)):
        for lr, fill in ((0.05, PALETTE[colour]), (0.2, "none")):
            part = losses[(losses[RULE] == name) & (losses[LR] == lr)]
            bars = {"ms": 4, "mfc": fill, "color": PALETTE[colour], "ls": "", "lw": 0.8}
            title = name.replace("_", "-").replace("usam", "USAM")
            ax.errorbar(part[RHO], part["mean"], part["half"], marker=mark, label=rf"{title}, $\eta$ = {lr:g}", **bars)
    ax.set(xlabel=r"radius $\rho$", ylabel=r"E$f$ / ($\eta s^2d/4$)", title="stationary loss", yscale="log")
    ax.set_yticks([0.6, 1, 2, 3], ["0.6", "1", "2", "3"])
    ax.set_yticks([], minor=True)
    ax.legend(fontsize=6.5, loc="upper left")
    ax.set_ylim(0.5, 16)
    ax, grid = axes[2], np.linspace(-0.9, 1.7, 100)
    ax.plot(grid, (1 + grid) ** 2, color="0.15", lw=1, label=r"$(1+\rho\lambda)^2$")
    ax.plot(grid, np.maximum(1 + 2 * grid, 0), color="0.15", lw=1, ls="--", label=r"$1+2\rho\lambda$, projected")
    for (name, mark), colour in zip(zip(KINDS, "o^s", strict=True), (0, 3, 2), strict=True):
        label = "rule" if name == "rule" else f"SDE, {name}"
        ax.plot(scaled, steps[name]["mean"], mark, ms=4, mfc="none", color=PALETTE[colour], label=label)
    ax.set(xlabel=r"$\rho\lambda$", ylabel=r"variance of a step / $\eta^2s^2$", title="noise")
    ax.legend(fontsize=6.5)
    saved(figure, "quadratic")

# %% [markdown]
# ## SAM in d dimensions: USAM with the radius rho c(d) / s
#
# Isotropic, lambda = s = 1, lr = .01, rho = R s / c(d), so that all d have the effective radius R. USAM's law at R is
# 1 + R lambda in units of SGD's variance. SAM's noise has one more term, rho^2 lambda^2 / d in place of c^2 rho^2
# lambda^2 / s^2, which is pi/2 as large in one dimension. The package's SDE has the latter: its covariance is that of
# the response to Z, complete only for rules that are linear in Z. The laws are those of the linear rule: the SDE's
# over 1 - lr a / 2.

# %%
DIMS = (2,) if QUICK else (1, 2, 10, 50, 200)
PATHS = {1: 8192, 2: 6144, 10: 2048, 50: 512, 200: 256}
RADII = np.array([0.5, 2.0])


def isotropic(d, **more):
    """Settings of SAM's rules on |w|^2 / 2 in d dimensions."""
    return {"network.spectrum": [1.0] * d, "record.trackers": ["loss"], "sweep.optimizer.name": ["sam"]} | more


def sam_variances(d, lr, paths, **more):
    """Variance of a coordinate, in units of SGD's, for both effective radii, with the laws."""
    c = float(noisy_gradients.mean_unit_slope(d))
    radii = {"sweep.optimizer.rho": (RADII / c).tolist(), "sweep.optimizer.lr": [lr]}
    time = {"train.n_steps": int(9 / lr), "record.every": int(0.2 / lr)}
    name = f"sam_{d}_{more.get(DYNAMICS, 'rule')}"
    rows = swept(name, "quadratic", 3 / lr, paths, **isotropic(d) | radii | time | more)
    table = measured(rows, [DYNAMICS, LR, RHO], rows["train_loss"] * 2 / d)
    unit, k = lr / 2, more.get(SUBSTEPS, 1)
    table = table.assign(mean=table["mean"] / unit, half=table["half"] / unit, d=d, R=table[RHO] * c)
    discrete = unit * (1 - lr * (1 + table["R"]) / (2 * k))
    table = against(table, stationary.sam_variance(lr, table[RHO], 1.0, 1.0, d) / discrete, "sam")
    return against(table, stationary.usam_variance(lr, table["R"], 1.0, 1.0) / discrete, "usam")


sam = pd.concat([sam_variances(d, 0.01, PATHS[d]) for d in DIMS], ignore_index=True)
few = (2,) if QUICK else (1, 10)
sam_sde = pd.concat([sam_variances(d, 0.02, PATHS[d] // 4, **SDE, **{SUBSTEPS: 2}) for d in few], ignore_index=True)
SHOWN = [DYNAMICS, "d", "R", RHO, "mean", "half", "ratio_sam", "half_sam", "ratio_usam", "half_usam"]
pd.concat([sam, sam_sde])[SHOWN].round(4)

# %% [markdown]
# The slope of E u at a critical point: one step of SAM from x = +-(.3, 0, ..., 0) with the same noise in both, so
# that the noise of the gradient itself cancels: half of the difference of u_1, over .3. Its law at |g| = .3 s is
# `mean_unit`, at most 1.5 % below c(d) / s.

# %%


def slope(d):
    """Mean of the slope and half width of its interval."""
    starts = [[sign * 0.3] + [0.0] * (d - 1) for sign in (1, -1)]
    one_step = {"train.n_steps": 1, "record.every": 1, "record.trackers": ["position"]}
    one_step |= {"sweep.optimizer.lr": [0.5], "sweep.optimizer.rho": [1.0], "sweep.network.start": starts}
    rows = swept(f"slope_{d}", "quadratic", -1, PATHS[d], **isotropic(d) | one_step)
    first, last = (rows[rows["step"] == step].set_index("run_id") for step in (0, 1))
    ends = last.assign(sign=np.sign(first["x0"])).pivot_table(index="seed", columns="sign", values="x0")
    u = (0.5 * 0.6 - (ends[1.0] - ends[-1.0])) / 0.5
    law = float(noisy_gradients.mean_unit(0.3, 1.0, d))
    return {"d": d, "slope": u.mean() / 0.6, "half": 1.96 * u.sem() / 0.6, "law": law}


slopes = pd.DataFrame([slope(d) for d in DIMS])
slopes = slopes.assign(c=noisy_gradients.mean_unit_slope(slopes["d"]))
slopes.round(5)

# %% [markdown]
# ## The ring of DNSAM
#
# Isotropic, lambda = s = 1, lr = .02. Its SDE is repelled from the minimum to the ring lambda r^3 = (lr s^2 d / 2)(r +
# rho); the rule's ring solves 2 lambda r^3 = lr (r + rho)(s^2 d + lambda^2 r^2).

# %%
RINGS = [0.1, 3.0] if QUICK else [0.03, 0.1, 0.3, 1.0, 3.0]
RING_DIMS = (2,) if QUICK else (1, 10, 50)
RING_PATHS = {1: 256, 10: 512, 50: 128}


def density_quantile(rho, share):
    """The quantile of |x| of DNSAM's SDE in one dimension, by its stationary density."""
    r = np.linspace(1e-4, 3, 60_001)
    log = stationary.dnsam_log_density(r, 0.02, rho, 1.0, 1.0, 1)
    mass = np.cumsum(np.exp(log - log.max()))
    return float(r[np.searchsorted(mass, share * mass[-1])])


def ring(d):
    """Quantiles of |x| over records and paths, for rule and SDE, with an interval from the medians of the paths."""
    settings = isotropic(d) | {"sweep.optimizer.name": ["dnsam"], "sweep.optimizer.rho": RINGS}
    settings |= {"sweep.optimizer.lr": [0.02], "network.init_std": 0.1, "train.n_steps": 500, "record.every": 25}
    kinds = {DYNAMICS: ["rule", "sde", "sde"], SUBSTEPS: [1, 4, 16]}
    kinds = {key: values[: 3 if d == 1 else 2] for key, values in kinds.items()}
    rows = swept(f"ring_{d}", "quadratic", 200, RING_PATHS.get(d, 1), **settings, **{"sweep.zip": kinds})
    table = []
    for (dynamics, k, rho), part in rows.fillna({SUBSTEPS: 1}).groupby([DYNAMICS, SUBSTEPS, RHO]):
        r = np.sqrt(2 * part["train_loss"])
        paths = r.groupby(part["run_id"]).median()
        low, high = paths.quantile([max(0.5 - 0.98 / len(paths) ** 0.5, 0), min(0.5 + 0.98 / len(paths) ** 0.5, 1)])
        table.append({DYNAMICS: dynamics, "k": k, "d": d, RHO: rho, "median": r.median(), "low": low, "high": high})
        table[-1] |= {"rms": np.sqrt((r**2).mean()) / r.median(), "q999": r.quantile(0.999) / r.median()}
    return pd.DataFrame(table)


rings = pd.concat([ring(d) for d in RING_DIMS], ignore_index=True)
settings = 0.02, rings[RHO], 1.0, 1.0, rings["d"]
laws = {"sde": stationary.dnsam_ring, "rule": stationary.dnsam_rule_ring, "cut": stationary.dnsam_truncated_ring}
for name, ring_law in laws.items():
    rings = rings.assign(**{name: ring_law(*settings), f"ratio_{name}": rings["median"] / ring_law(*settings)})
line = rings["d"] == 1
for name, share in (("density median", 0.5), ("density q999", 0.999)):
    rings.loc[line, name] = [density_quantile(rho, share) for rho in rings.loc[line, RHO]]
rings["density q999"] /= rings["density median"]
rings.round(4)

# %%
MARKS = dict(zip((1, 2, 10, 50, 200), "osD^v", strict=True))
with paper():
    figure, axes = plt.subplots(1, 3, figsize=(6.9, 3.0), layout="constrained")
    ax, grid = axes[0], np.geomspace(1, 300, 60)
    c = noisy_gradients.mean_unit_slope(grid)
    for (radius, part), colour in zip(sam.groupby(sam["R"].round(6)), (0, 3), strict=True):
        law = stationary.sam_variance(0.01, radius / c, 1.0, 1.0, grid) / 0.005
        ax.plot(grid, law, color=PALETTE[colour], lw=1)
        ax.axhline(1 + radius, color=PALETTE[colour], lw=1, ls="--")
        linear = 1 - 0.01 * (1 + radius) / 2
        ax.errorbar(part["d"], part["mean"] * linear, part["half"], fmt="o", ms=4, color=PALETTE[colour])
        part = sam_sde[np.isclose(sam_sde["R"], radius)]
        linear = 1 - 0.02 * (1 + radius) / 4
        style = {"fmt": "s", "ms": 4, "mfc": "none", "color": PALETTE[colour]}
        ax.errorbar(part["d"], part["mean"] * linear, part["half"], **style)
        ax.annotate(f"$R$ = {radius:g}", (120, 1 + radius), (0, 3), textcoords="offset points", fontsize=7.5)
    for label, style in (("SAM, rule", "o"), ("SAM, SDE", "s")):
        ax.plot([], [], style, ms=4, mfc="none" if style == "s" else "0.3", color="0.3", label=label)
    ax.plot([], [], color="0.3", lw=1, label="law of SAM")
    ax.plot([], [], color="0.3", lw=1, ls="--", label="USAM at $R$")
    ax.set(xscale="log", xlabel="dimension $d$", ylabel="variance / SGD's", ylim=(1, 5.6))
    ax.set_title(r"SAM, $\rho = Rs/c(d)$")
    ax.legend(fontsize=6.5, ncols=2, loc="upper right", columnspacing=0.8)
    ax = axes[1]
    ax.plot(grid, c, color="0.15", lw=1, label="$c(d)$")
    ax.plot(grid, grid**-0.5, color="0.15", lw=1, ls=":", label=r"$d^{-1/2}$")
    ax.errorbar(slopes["d"], slopes["slope"], slopes["half"], fmt="o", ms=4, color=PALETTE[0], label="measured")
    ax.set(xscale="log", yscale="log", xlabel="dimension $d$", ylabel=r"slope of E$u$, times $s$")
    ax.set_title("mean direction of SAM")
    ax.legend(fontsize=7)
    ax, grid = axes[2], np.geomspace(0.02, 4, 60)
    for (d, part), colour in zip(rings.groupby("d"), (3, 0, 2), strict=False):
        if d == 1:
            medians = [density_quantile(rho, 0.5) for rho in grid[::6]]
            ax.plot(grid[::6], medians, color=PALETTE[colour], lw=1, ls="-.")
        else:
            ax.plot(grid, stationary.dnsam_ring(0.02, grid, 1.0, 1.0, d), color=PALETTE[colour], lw=1)
            ax.plot(grid, stationary.dnsam_truncated_ring(0.02, grid, 1.0, 1.0, d), color=PALETTE[colour], lw=1, ls=":")
        for dynamics, fill in (("rule", PALETTE[colour]), ("sde", "none")):
            kind = part[part[DYNAMICS] == dynamics]
            style = {"ms": 4, "mfc": fill, "color": PALETTE[colour], "label": f"$d$ = {d}" if fill != "none" else None}
            ax.plot(kind[RHO], kind["median"], MARKS[d], **style)
    ax.set(xscale="log", yscale="log", xlabel=r"radius $\rho$", ylabel="median distance", title="ring of DNSAM")
    for word, dash in (("ring", "-"), ("ring, truncated noise", ":"), ("median, density", "-.")):
        ax.plot([], [], dash, color="0.3", lw=1, label=word)
    ax.plot([], [], "o", ms=4, color="0.3", label="rule")
    ax.plot([], [], "o", ms=4, mfc="none", color="0.3", label="SDE")
    handles, words = ax.get_legend_handles_labels()
    figure.legend(handles, words, loc="outside lower right", ncols=4, fontsize=6.5)
    saved(figure, "radius")

# %% [markdown]
# ## Two valleys of equal loss
#
# With one coordinate, the stationary law of an SDE with drift -m(x) and noise lr v(x) is known up to a quadrature,
# p = exp(-2 int m / (lr v)) / v. Three laws: m and v to first order in rho, as in the SDE; exact in rho, m and v being
# mean and variance of the rule's direction; and, for n-USAM to first order, Gibbs' law of the regularised loss at the
# temperature lr s^2/2.

# %%
X = np.polynomial.Polynomial([0.0, 1.0])
LOSS = (4 * (1 - X) ** 2 + (1 + X) ** 2) / 4 * (1 - X**2) ** 2 / 8
GRADIENT, HESSIAN = LOSS.deriv(1), LOSS.deriv(2)
TOP = next(root.real for root in GRADIENT.roots() if abs(root.imag) < 1e-9 and abs(root.real) < 0.9)
PLACES = np.linspace(-1.9, 2.3, 211 if QUICK else 2101)
NORMALS = np.linspace(-6, 6, 101 if QUICK else 1201)
WEIGHTS = np.exp(-(NORMALS**2) / 2) / np.exp(-(NORMALS**2) / 2).sum()


def first_order(rule, rho, s):
    """Mean and variance of the direction in the SDE."""
    g, h = GRADIENT(PLACES), HESSIAN(PLACES)
    if rule == "sam":
        response = 2 / s * np.exp(-((g / s) ** 2) / 2) / np.sqrt(2 * np.pi)
        return g + rho * h * erf(g / s / 2**0.5), (s * (1 + rho * h * response)) ** 2
    return g * (1 + rho * h), (s * (1 + rho * h * (rule == "usam"))) ** 2


def exact_in_rho(rule, rho, s):
    """Mean and variance of the direction of the rule, by quadrature over Z."""
    noisy = GRADIENT(PLACES)[:, None] + s * NORMALS
    u = {"sam": np.sign(noisy), "usam": noisy, "n_usam": 0 * NORMALS + GRADIENT(PLACES)[:, None]}[rule]
    direction = GRADIENT(PLACES[:, None] + rho * u) + s * NORMALS
    mean = direction @ WEIGHTS
    return mean, (direction - mean[:, None]) ** 2 @ WEIGHTS


def flat_share(mean, variance, lr):
    """Share of the flat side in the stationary law."""
    slope = 2 * mean / (lr * variance)
    exponent = np.concatenate([[0], np.cumsum(slope[1:] + slope[:-1])]) * (PLACES[1] - PLACES[0]) / 2
    density = np.exp(-(exponent - exponent.min())) / variance
    return density[PLACES > TOP].sum() / density.sum()


def valley_law(kind, rule, rhos, lr):
    """Shares for all radii, at lr s^2/2 = .08."""
    s = np.sqrt(0.16 / lr)
    return np.array([flat_share(*kind(rule, rho, s), lr) for rho in rhos])


def occupied(name, lr, **settings):
    """Measure the share of the flat side, one row per rule and radius."""
    size = {"train.gradient_noise": float(np.sqrt(0.16 / lr)), "optimizer.lr": lr}
    time = {"train.n_steps": int(80 / lr), "record.every": int(5 / lr)}
    rows = swept(name, "valleys", 39.9 / lr, **size | time | settings)
    cells = measured(rows, [RULE, DYNAMICS, RHO, "network.x"], (rows["x0"] > TOP).astype(float))
    cells = cells.set_index([RULE, DYNAMICS, RHO, "network.x"]).unstack()
    (p, q), (half_p, half_q) = ([cells[key, x] for x in (-1.0, 1.0)] for key in ("mean", "half"))
    scale = 1 - q + p
    half = np.hypot((1 - q) * half_p, p * half_q) / scale**2
    table = pd.DataFrame({"p": p, "q": q, "share": p / scale, "half": half}).reset_index()
    for label, kind in (("first", first_order), ("exact", exact_in_rho)):
        table[label] = [
            flat_share(*kind(r, rho, np.sqrt(0.16 / lr)), lr) for r, rho in zip(table[RULE], table[RHO], strict=True)
        ]
    return table.assign(lr=lr)


VALLEYS = {"sam": [0.0, 0.05, 0.1, 0.2, 0.4], "usam": [0.02, 0.05, 0.08], "n_usam": [0.05, 0.1, 0.2]}


def pairs(cells):
    """The axes of the cells (rule, radius)."""
    rules, radii = zip(*cells, strict=True)
    axes = {"sweep.zip": {RULE: list(rules), RHO: list(radii)}}
    return axes | {"sweep.optimizer.rho": None}


every = pairs([(rule, rho) for rule, radii in VALLEYS.items() for rho in radii])
shares = [occupied("valley", 0.05, **every)]
shares.append(occupied("valley_0.2", 0.2, **pairs([("sam", 0.0), ("sam", 0.05), ("sam", 0.1), ("n_usam", 0.2)])))
for lr in () if QUICK else (0.1, 0.025):
    shares.append(occupied(f"valley_{lr}", lr, paths=SEEDS // 2, **pairs([("n_usam", 0.0), ("n_usam", 0.2)])))
shares = pd.concat(shares, ignore_index=True)
shares.round(4)

# %%
cells = pairs([(rule, rho) for rule in VALLEYS for rho in (0.05, 0.1)])
time = {"train.n_steps": 400, "record.every": 25}
valley_sde = occupied("valley_sde", 0.2, paths=SEEDS // 2, **SDE, **{SUBSTEPS: 8}, **cells | time)
valley_sde.round(4)

# %% [markdown]
# Without noise: the share of 41 starts between -1.2 and 1.2 that end on the flat side.

# %%
quiet = {"train.gradient_noise": 0.0, "sweep.network.x": np.linspace(-1.2, 1.2, 5 if QUICK else 41).tolist()}
quiet |= {"sweep.optimizer.rho": [0.0, 0.05, 0.1, 0.2], "record.every": 1000, "train.n_steps": 1000}
quiet |= {"optimizer.name": "usam", "sweep.zip": {LR: [0.05, 0.4, 0.05], DYNAMICS: ["rule", "rule", "flow"]}}
ends = swept("quiet", "valleys", 0, 1, **quiet).drop_duplicates("run_id", keep="last")
ends = ends.assign(flat=ends["x0"] > TOP, at_rest=ends["train_loss"] < 1e-3)
ends.groupby([DYNAMICS, LR, RHO])[["flat", "at_rest"]].mean().round(3)

# %%
NAMES = {"sam": "SAM", "usam": "USAM", "n_usam": "n-USAM"}
with paper():
    figure, axes = plt.subplots(1, 3, figsize=(6.9, 3.0), layout="constrained", sharey=True)
    for ax, (rule, title) in zip(axes, NAMES.items(), strict=True):
        grid = np.linspace(0, 1.05 * max(*VALLEYS[rule], 0.1), 9 if QUICK else 25)
        for kind, dash, word in ((first_order, "-", "first order"), (exact_in_rho, "--", r"exact in $\rho$")):
            label = rf"law, {word}, $\eta$ = .05"
            ax.plot(grid, valley_law(kind, rule, grid, 0.05), color=PALETTE[0], lw=1, ls=dash, label=label)
        law = valley_law(first_order, rule, grid, 0.2)
        ax.plot(grid, law, ":", color=PALETTE[3], lw=1.6, label=r"law, first order, $\eta$ = .2")
        for lr, mark, colour in ((0.05, "o", 0), (0.2, "s", 3)):
            part = shares[(shares["lr"] == lr) & ((shares[RULE] == rule) | (shares[RHO] == 0))]
            style = {"fmt": mark, "mfc": PALETTE[colour] if mark == "o" else "none", "ms": 4, "lw": 0.8}
            label = rf"rule, $\eta$ = {lr:g}".replace("0.", ".")
            ax.errorbar(part[RHO], part["share"], part["half"], color=PALETTE[colour], label=label, **style)
        part = valley_sde[valley_sde[RULE] == rule]
        style = {"fmt": "^", "mfc": "none", "ms": 4.5, "lw": 0.8, "color": PALETTE[3], "label": r"SDE, $\eta$ = .2"}
        ax.errorbar(part[RHO], part["share"], part["half"], **style)
        ax.set(title=title, xlabel=r"radius $\rho$")
    axes[0].set_ylabel("share in the flat valley")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7.5)
    saved(figure, "valleys")

# %% [markdown]
# ## Results
#
# Measured with 1024 seeds on 2026-11-30, featlearn 0.1.0, CPU, float64. Loss is the training loss without noise.
#
# * **Stationary variances.** All 36 of the rules USAM and n-USAM lie within .4 % of the rule's law (half widths .5 to
#   .9 %), none within 1 % of the SDE's: the ratio to it grows from 1.024 at lr a = .05 to 8.35 at 1.76. So the SDE's
#   law holds as lr a -> 0 only. The simulated SDE has its own law, to .7 %; integrated with k = 1 it has the rule's.
# * **Stationary loss**, in units of lr s^2 d / 4, at lr = .05, rho = .3: SGD 1.064, USAM 1.971 (law of the SDE
#   1.700), n-USAM .686 (.616). USAM, which descends the loss regularised most, ends highest: its noise has the factor
#   (1 + rho lambda)^2. n-USAM has the same drift without that factor, and ends below SGD. At lr = .2 n-USAM has lost
#   that too: 1.87 against SGD's 1.34.
# * **Noise that depends on the Hessian.** The variance of one step is (1 + rho lambda)^2 (lr s)^2 from rho lambda =
#   -.8 (.0401 +- .0005, law .04) to 1.6 (6.77 +- .09, law 6.76). Truncated at first order it is 0 and 4.21 there. At
#   rho lambda = 1.2 the stationary variance with truncated covariance is .705 +- .007 of that with the complete one.
# * **SAM in d dimensions is USAM with the radius rho c(d) / s.** Variances agree to .25 % from d = 50 on, to 2.2 % at
#   d = 10; at d = 1 and R = 2 SAM's is 24.5 % larger, as its own law says (.7 % off). The first-order SDE has USAM's
#   variance at every d, to .7 %, also where SAM does not. The slope of the mean direction is within its interval of
#   the law.
# * **DNSAM's ring.** The median distance is .983 to 1.047 of the SDE's ring at d = 10, 1.004 to 1.017 at d = 50, for
#   rule and SDE; within 3 % of the rule's own. In one dimension there is no ring to be seen: medians are 1.26 to 2.4
#   of it, 1.3 to 1.9 of those of the SDE's own density, root mean squares 7 to 170 medians. The noise of order
#   rho/|g| is not resolved by 4 or by 16 substeps.
# * **Two valleys of equal loss** (share of the flat one, lr = .05). SGD .664 +- .019, SAM .713 +- .016, .752 +- .013
#   and .712 +- .009 at rho = .1, .2 and .4: a small radius prefers the flat valley, a large one less so. The first-
#   order law, .688, .697 and .694, shows less than half of it at rho = .2; exact in rho it is .706, .734 and .696.
#   USAM (rho = .08) has .816, n-USAM (.2) .787; first order .698 and .693. At lr = .025 n-USAM is down to .710 +-
#   .024, which agrees with both: the rest was of the step size.
# * **At lr = .2** the rules occupy the flat valley more than any limit says, .783 without SAM, .871 with SAM of rho =
#   .1. Paths that diverge are left out: 19 of 6144 of these, but 1348 of 2048 of n-USAM (rho = .2), whose .923 is
#   therefore of the paths that stay. At lr = .05 it is 18 of 22528 for all rules.
# * **The simulated SDE** (lr = .2, k = 8, 512 seeds, no path diverges) agrees with its first-order law in all six
#   cells, at rho = .05 and .1: SAM .668 +- .025 and .680 +- .024 (law .686, .695), USAM .679 +- .025 and .710 +- .022
#   (.690, .700), n-USAM .652 +- .027 and .666 +- .026 (.675, .682). What the rules do at this lr it does not show.
# * **Without noise** flow and rule (lr = .05) end where they started, on 61 % of the starts in the flat valley at
#   every radius: the regularisation alone moves no path across. At lr = .4 some paths of USAM never come to rest: 37
#   % at rho = .1, 17 % at .2.
