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
# # Does the SDE of SAM converge to SAM at order 1?
#
# Compagnoni et al. 2023 (arXiv 2301.08203): at a fixed time T = lr * steps and with rho = O(sqrt(lr)) the weak error
# |E g(SDE) - E g(rule)| of the SDE of SAM is O(lr) for smooth test functions g. The SDE of SGD, which has no term in
# rho, is then off by O(sqrt(lr)); with rho = O(lr) it is of order 1 too. Here both are compared with SAM, on a
# quadratic and on students of a teacher (gradients with the noise s Z, the same in rule and SDE), on Iris with a linear
# network, Breast Cancer with tanh, and the signal-noise CNN with softplus, relu^3 and ReLU (mini-batches without
# replacement; rule and SDE of a seed share the initial state and the data, not the batches).
#
# Statistic, fixed before the runs of full size. **Step sizes**: four, each half of the one before, in
# `configs/weak_order_*.yaml`. **Test functions**: the train loss f; and |w - w0|^2, in place of which the CNN, whose
# state are coefficients, has the mean signal coefficient gamma. **Order**: the slope of log(error) in log(lr) over all
# four step sizes by `fl.tables.weak_order`, which weighs the points by their statistical errors, with its 95 %
# bootstrap interval over seeds. **Order 1 holds** where the interval meets [.9, 1.1], be it with its end only, and lies
# above .75; order 1/2 of the SDE of SGD where it meets [.4, .6] and lies below .75, and order 0 likewise. An interval
# that is wider than .5 decides nothing: unresolved. A point is resolved if its 95 % interval excludes 0.
# Losses, times, step sizes and radii come from pilots with other seeds, chosen so that terms of higher order are small:
# at larger step sizes or radii the slopes of the pilots were farther from theory. Those slopes were not kept.
#
# The SDE takes k substeps in a step of the rule: with Gaussian noise k = 4 (quadratic) and 2 (students) of Strang's
# splitting, of order 2 for additive noise; with mini-batches k = 8 of Euler-Maruyama, whose own error is about an
# eighth of what is measured, and of order 1 too. Controls: k doubled; k = 1 of Euler-Maruyama, which has the rule's
# own mean and covariance in a step and must look too good; a fixed rho, where what is left out beyond first order in
# rho stays (rho = .11 in the plan; "large", rho = .8, was added after the full run, see below); the flow. A flow is
# of order 1 for any fixed g, because the noise moves E g by O(lr): its order cannot tell it from the SDE. What can is
# v = |w - m|^2 / lr, m the end of the flow of USAM: O(1), and 0 for that flow.

# %%
import os
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from matplotlib import pyplot as plt

import featlearn as fl
from featlearn.plots.style import GREY, INK, PALETTE, paper

ROOT = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "configs").is_dir())
SEEDS = int(os.environ.get("FEATLEARN_SEEDS", "4096"))
QUICK = SEEDS < 4096  # the test of this notebook takes fewer seeds, step sizes and steps
STORE = Path(os.environ.get("FEATLEARN_RESULTS", ROOT / "results")) / f"weak_order_{SEEDS}"
FIGURES = STORE if QUICK else ROOT / "analysis" / "figures"
LR, RHO, STEPS = "optimizer.lr", "optimizer.rho", "train.n_steps"
CNN = "network.activation"
IN_LR = {"sqrt": 0.5, "linear": 1.0, "fixed": 0.0, "large": 0.0}  # power of lr to which rho is proportional
PROBLEMS = {  # config, rule, radius at the largest step size, other keys
    "USAM, quadratic": ("quadratic", "usam", 0.0707107, {}),
    "SAM, quadratic": ("quadratic", "sam", 0.0707107, {}),
    "Students": ("students", "sam", 0.111803, {}),
    "Iris": ("iris", "sam", 0.111803, {}),
    "Breast Cancer": ("breast_cancer", "sam", 0.111803, {}),
    "CNN, softplus": ("cnn", "sam", 0.02, {CNN: "softplus"}),
    "CNN, relu3": ("cnn", "sam", 0.006, {CNN: "relu3"}),
    "CNN, ReLU": ("cnn", "sam", 0.02, {CNN: "relu"}),
    "DNSAM, quadratic": ("quadratic", "dnsam", 0.0707107, {}),  # added after the full run, as is "exact" below
}
LIMITS = {
    "rule": {"dynamics": "rule"},
    "sde": {"dynamics": "sde"},
    "flow": {"dynamics": "flow"},
    "sgd": {"dynamics": "sde", "name": "sgd"},
    "exact": {"dynamics": "sde", "expansion": "exact"},
    "one": {"dynamics": "sde", "substeps": 1, "integrator": "euler_maruyama"},
}


def ends(problem, limit, scaling="sqrt", **settings):
    """Run the rule, or a limit, at every step size; return one row per run, at its end, with the test functions."""
    config, rule, rho, keys = PROBLEMS[problem]
    path = ROOT / "configs" / f"weak_order_{config}.yaml"
    read = yaml.safe_load(path.read_text())
    zipped = {LR: read["sweep"]["zip"][LR], STEPS: read["sweep"]["zip"][STEPS]}
    if QUICK:
        zipped = {LR: zipped[LR][:2], STEPS: [1, 2]}
    rho = 0.8 if scaling == "large" else rho
    radii = {rate: rho * (rate / zipped[LR][0]) ** IN_LR[scaling] for rate in zipped[LR]}
    optimizer = read["optimizer"] | {"name": rule} | LIMITS[limit] | settings
    if limit == "sgd":
        optimizer.pop("rho")
    else:
        zipped[RHO] = list(radii.values())
    sweep = {"zip": zipped, "seed": {"range": [0, min(SEEDS, read["sweep"]["seed"]["range"][1])]}}
    keys = {"optimizer": optimizer, "sweep": sweep} | keys
    store = STORE / "_".join([*problem.lower().replace(",", "").split(), limit, scaling, *map(str, settings.values())])
    fl.sweep(fl.load_config(path, set=keys), store, n_jobs=1 if QUICK else 2)
    runs = fl.summary(store)
    print(f"{store.name}: {runs['status'].value_counts().to_dict()}")
    runs = runs.assign(limit=limit, f=runs["train_loss"])
    runs["moved"] = runs["signal_coef_mean"] if config == "cnn" else runs["distance"] ** 2
    if config == "quadratic":  # the end of the flow of USAM, from (1, 1, 1)
        rho, time = runs[LR].map(radii), runs[LR] * runs[STEPS]
        runs["v"] = sum(
            (runs[f"x{i}"] - np.exp(-lam * (1 + rho * lam) * time)) ** 2 / runs[LR]
            for i, lam in enumerate((2.0, 1.0, 0.5))
        )
    return runs


rows, points = [], {}


def compared(problem, rule, limit, scaling="sqrt", tests=("f", "moved"), words=None):
    """Keep the weak errors of a limit, and a row of the table of slopes."""
    name = limit["limit"].iloc[0]
    both = pd.concat([rule, limit], ignore_index=True)
    for test in tests:
        expected = 0.0 if scaling in ("fixed", "large") or (test == "v" and name != "sde") else 1.0
        expected = 0.5 if name == "sgd" and scaling == "sqrt" and test != "v" else expected
        errors = fl.tables.weak_errors(both, test, name, "rule", by=both["limit"])
        order = fl.tables.weak_order(errors)
        near = order.low <= expected + 0.1 and order.high >= expected - 0.1
        apart = order.low > 0.75 if expected == 1 else order.high < 0.75
        holds = "unresolved" if order.high - order.low > 0.5 else "yes" if near and apart else "no"
        points[problem, scaling, words or name, test] = errors.points
        row = {"problem": problem, "scaling": scaling, "limit": words or name, "test": test}
        rows.append(row | order._asdict() | {"expected": expected, "holds": holds})


# %% [markdown]
# ## rho proportional to sqrt(lr)

# %%
SHOWN = list(PROBLEMS)[: -1 : 2 if QUICK else 1]
GAUSSIAN = [problem for problem in SHOWN if PROBLEMS[problem][0] in ("quadratic", "students")]
rules, sdes, sgds = ({p: ends(p, limit) for p in SHOWN} for limit in ("rule", "sde", "sgd"))
for problem in SHOWN:
    compared(problem, rules[problem], sdes[problem])
    compared(problem, rules[problem], sgds[problem])

# %% [markdown]
# ## Controls: the flow, k = 1, k doubled, rho proportional to lr, fixed rho

# %%
for problem in GAUSSIAN:
    compared(problem, rules[problem], ends(problem, "flow"))
for limit in (sdes, sgds):
    compared(SHOWN[0], rules[SHOWN[0]], limit[SHOWN[0]], tests=["v"])
compared(SHOWN[0], rules[SHOWN[0]], ends(SHOWN[0], "flow"), tests=["v"])
for problem, substeps in (("Students", 4), ("CNN, softplus", 16)):
    if problem in SHOWN:
        doubled = ends(problem, "sde", substeps=substeps)
        compared(problem, rules[problem], doubled, words="sde, k doubled")

# %%
for problem in GAUSSIAN:
    linear = ends(problem, "rule", "linear")
    compared(problem, linear, ends(problem, "sde", "linear"), "linear")
    compared(problem, linear, sgds[problem], "linear")
for scaling in ("fixed", "large"):
    compared("Students", ends("Students", "rule", scaling), ends("Students", "sde", scaling), scaling)

# %% [markdown]
# k = 1: the error, in units of its standard error and of the error of the SDE.

# %%
for problem in GAUSSIAN:
    both = pd.concat([rules[problem], ends(problem, "one")], ignore_index=True)
    for test in ("f", "moved"):
        found = fl.tables.weak_errors(both, test, "one", "rule", by=both["limit"]).points
        share = found["error"] / points[problem, "sqrt", "sde", test]["error"]
        print(problem, test, "error", found["error"].map("{:.1e}".format).tolist(), "share", share.round(4).tolist())

# %% [markdown]
# ## Added after the full run: DNSAM, and ReLU without an expansion in rho
#
# DNSAM on the quadratic of USAM and SAM, with their radii. For ReLU the SDE whose drift and covariance are not
# expanded in rho but drawn, with the rule's own perturbed gradients: does the expansion fail, or the SDE?

# %%
DNSAM, RELU = "DNSAM, quadratic", "CNN, ReLU"
dnsam = ends(DNSAM, "rule")
for limit in ("sde", "sgd"):
    compared(DNSAM, dnsam, ends(DNSAM, limit))
relu = ends(RELU, "rule")
compared(RELU, relu, ends(RELU, "exact"))

# %% [markdown]
# For relu^3 at the largest step size one path in 1536 makes the error bar of gamma: an excursion of the SDE, or of its
# Euler steps? Other substeps draw other noise, so that this path cannot be refined. What can be compared is how often
# paths go astray: with |gamma - gamma of the rule| > .02, fixed before new seeds were run, with k = 8 and 64. Paths
# that diverge count as astray (decided afterwards: none had) and are left out of the means.

# %%
LARGEST = {"network.activation": "relu3"} | ({"train.n_steps": 2} if QUICK else {})


def paths(k, *seeds):
    """Run relu^3 at the largest step size, k = 0 the rule; return gamma at the end by seed, nan where it diverged."""
    kind = {"dynamics": "sde", "substeps": k} if k else {"dynamics": "rule"}
    keys = {"optimizer": {"name": "sam", "lr": 0.01, "rho": 0.006} | kind, "sweep": {"seed": {"range": list(seeds)}}}
    store = STORE / f"paths_{k}_{seeds[0]}"
    fl.sweep(fl.load_config(ROOT / "configs" / "weak_order_cnn.yaml", set=keys | LARGEST), store, n_jobs=1)
    runs = fl.summary(store).set_index("seed")
    return runs["signal_coef_mean"].mask(runs["status"] == "diverged")


for seeds in ((0, 3),) if QUICK else ((0, 1536), (1536, 12288)):
    of_rule = paths(0, *seeds)
    for k in (8, 64):
        gamma = paths(k, *seeds)
        gap = gamma - of_rule
        far = gap.abs().nlargest(2).index
        rest = gap.drop(far[0])
        lost = gap.isna().sum()
        astray = lost + (gap.abs() > 0.02).sum()
        print(f"k = {k}: {astray} of {len(gap)} astray, {lost} diverged; farthest: seeds {far.tolist()}", end=" ")
        print(f"with gamma {gamma[far].round(4).tolist()}, rule {of_rule[far].round(4).tolist()}")
        print(
            f"    mean gap {gap.mean():.2e} +- {gap.sem():.1e}, without the first {rest.mean():.2e} +- {rest.sem():.1e}"
        )

# %%
table = pd.DataFrame(rows)
COLUMNS = ["problem", "scaling", "limit", "test", "expected", "slope", "low", "high", "chi2", "n_unresolved", "holds"]
print(table[COLUMNS].round(3).to_string())

# %%
sizes = pd.concat(points, names=["problem", "scaling", "limit", "test"]).reset_index().drop(columns="level_4")
print(sizes[["problem", "scaling", "limit", "test", LR, "mean", "se", "n", "dropped"]].to_string())

# %% [markdown]
# How many times the error of one SDE is that of another, from the smallest step size to the largest:

# %%
for (problem, scaling, limit, test), found in points.items():
    over = {"sgd": "sde", "exact": "sde"}.get(limit)
    if over and scaling == "sqrt" and (problem, scaling, over, test) in points:
        ratio = found["error"] / points[problem, scaling, over, test]["error"]
        if limit == "exact" or RELU in problem:
            print(f"{problem}, {test}: {over} / {limit}", (1 / ratio).round(2).tolist())
        print(f"{problem}, {test}: {limit} / {over}", ratio.round(2).tolist())

# %%
STYLES = {  # scaling, limit: colour, mark, label
    ("sqrt", "sgd"): (PALETTE[3], "s", "SDE of SGD"),
    ("sqrt", "flow"): (PALETTE[2], "x", "flow of SAM"),
    ("sqrt", "sde"): (PALETTE[0], "o", "SDE of SAM"),
    ("sqrt", "exact"): (PALETTE[1], "^", r"SDE of SAM, exact in $\rho$"),
    ("large", "sde"): (GREY, "D", r"SDE of SAM, $\rho$ = .8"),
}


def curve(ax, problem, key, test):
    """Draw the errors of one limit with bars of one standard error, that error alone dotted, and the fitted line."""
    found = points.get((problem, *key, test))
    if found is None:
        return
    colour, mark, _ = STYLES[key]
    row = table[(table["problem"] == problem) & (table["scaling"] == key[0]) & (table["limit"] == key[1])]
    row = row[row["test"] == test].iloc[0]
    lower = np.minimum(found["se"], 0.999 * found["error"])
    ax.errorbar(found[LR], found["error"], [lower, found["se"]], fmt=mark, color=colour, ms=3.5, mfc="none", lw=0.8)
    ax.plot(found[LR], row["factor"] * found[LR] ** row["slope"], color=colour, lw=0.8)
    ax.plot(found[LR], found["se"], ":", color=colour, lw=0.8)


def drawn(test, name):
    """Draw the weak errors of one test function in all problems."""
    with paper():
        figure, axes = plt.subplots(2, 4, figsize=(6.9, 4.3), layout="constrained")
        for ax, problem in zip(axes.flat, SHOWN, strict=False):
            for key in STYLES:
                curve(ax, problem, key, test)
            slopes = table[(table["problem"] == problem) & (table["scaling"] == "sqrt") & (table["test"] == test)]
            slopes = slopes.set_index("limit")["slope"]
            moved = r"$\gamma$" if PROBLEMS[problem][0] == "cnn" else "$|w - w_0|^2$"
            words = f"{'$f$' if test == 'f' else moved}: SAM {slopes['sde']:.2f}, SGD {slopes['sgd']:.2f}"
            ax.set_title(f"{problem.replace('relu3', 'relu$^3$')}\n{words}", fontsize=8)
            shown = points[problem, "sqrt", "sde", test]
            drawn_too = points.get((problem, "sqrt", "exact", test), shown)
            ax.set(xscale="log", yscale="log")
            ax.set_ylim(bottom=0.5 * min(part[key].min() for part in (shown, drawn_too) for key in ("error", "se")))
            ax.minorticks_off()
            rates = shown[LR].iloc[[0, -1]]
            ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
        for ax in axes[-1]:
            ax.set_xlabel(r"step size $\eta$")
        for ax in axes[:, 0]:
            ax.set_ylabel("weak error")
        handles = [
            plt.Line2D([], [], color=colour, marker=mark, ms=3.5, mfc="none", lw=0.8, label=label)
            for colour, mark, label in STYLES.values()
        ]
        handles.append(plt.Line2D([], [], color=INK, ls=":", lw=0.8, label="1 standard error"))
        figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=7.5)
        figure.savefig(FIGURES / f"{name}.png", metadata={"Software": None}, dpi=200)


drawn("f", "weak_order")
drawn("moved", "weak_order_moved")

# %% [markdown]
# ## Results
#
# Measured on 2026-11-30, featlearn 0.1.0, CPU, float64; 1024 paths per step size on the quadratic, 512 of the students,
# 768 on Iris and Breast Cancer, 1536 of the CNN; no run diverged. In brackets 95 % intervals; f first, then |w - w0|^2
# (CNN: gamma).
#
# * **The SDE of SAM is of order 1 on smooth losses**, rho = c sqrt(lr): USAM on the quadratic .94 [.93, .95] and 1.02
#   [1.02, 1.03], SAM there .95 [.94, .97] and 1.02 [1.01, 1.03], students .99 [.98, .99] and 1.06 [1.05, 1.06], CNN
#   with softplus .97 [.91, 1.04] and 1.01 [.97, 1.06]. With real data and with relu^3 only the second function
#   decides: Iris 1.15 [1.03, 1.30], which passes because its interval meets [.9, 1.1], Breast Cancer 1.08 [.97, 1.21],
#   relu^3 .95 [.85, 1.06]. **f is unresolved** there, .98 [.32, 2.20], 1.42 [.86, 2.80], .81 [.41, 1.54]: at the two
#   smallest step sizes the errors on Iris, 4e-5 +- 6e-5 and 13e-5 +- 8e-5 (standard errors), and on Breast Cancer,
#   1e-5 +- 7e-5 and 11e-5 +- 9e-5, are within their noise. For f on the quadratic chi2 is 15: its errors, known to 1 %,
#   bend towards slope 1.
# * **DNSAM** on the quadratic (added after the full run) is of order 1 too, .932 [.925, .940] and 1.020 [1.013,
#   1.026]; the SDE of SGD is of order 1/2 there, .47 and .53, and at the smallest lr 21 to 22 times as far off.
# * **The SDE of SGD is of order 1/2, where that is tested cleanly**: .47 and .53, .53 and .57 (quadratic), .53 and
#   .57 (students), .41 and .53 (Iris), .38 [.36, .40] and .53 (Breast Cancer), .55 and .56 (softplus). It misses: f
#   on Breast Cancer by a hair; relu^3 with .70 [.63, .76], which crosses .75, and .65 [.63, .67]: there the O(lr)
#   part is not small yet. At the smallest lr it is 10 to 27 times as far off as the SDE of SAM in |w - w0|^2, 14 to
#   15 times on the softplus CNN.
# * **ReLU is outside the theorem, and the first-order SDE fails**: .41 [.40, .43] and .58 [.54, .62]. For f it is even
#   2.3 to 2.9 times worse than the SDE of SGD (.30 [.25, .35]; .52 for gamma, where SGD's is 3.0 to 3.3 times worse).
#   Without the expansion in rho (`expansion: exact`, added after the full run) the slopes are 1.178 [1.115, 1.249] and
#   .880 [.730, 1.085], and the errors 2.5 to 12 times smaller for f, 3.1 to 5.5 times for gamma. So most of the error
#   is that of the expansion, whose Hessian of almost everywhere does not see the kinks that a perturbation crosses. By
#   the criteria above neither slope passes: that of f lies above 1.1, that of gamma reaches below .75.
# * **relu^3, lr = .01: one path makes the error bar of gamma.** Seed 274 of 1536 ends at .1149, in the rule at .0036;
#   without it the error is -2.05e-4 +- .09e-4 in place of -1.32e-4 +- .73e-4 (standard errors). Coarse Euler steps are
#   not what makes such paths: of 10752 other seeds 2 go astray with k = 8 (one to gamma = 2552), and 4 with k = 64, of
#   which 2 diverge. Whether seed 274 itself would, cannot be told. The coefficients of this SDE grow faster than
#   linearly, and such rare paths can decide its mean; the fit gives this point little weight.
# * **rho = c lr**: both are of order 1, that of SAM .94 to .97 and 1.02 to 1.07, that of SGD .93 to .97 and .98 to
#   1.01.
# * **k = 1 looks too good**: for USAM on the quadratic its law is the rule's (error below 3e-17), for SAM there it is
#   within .013 of the error of the SDE, for the students within .04. Nothing of this tests the limit.
# * **k doubled** leaves the slopes: students .99 and 1.06, softplus .99 [.93, 1.06] and 1.02 [.98, 1.07].
# * **Fixed rho**: at the planned rho = .11 the control misses, 1.13 [1.09, 1.19] and 1.00 [.98, 1.02]: what first
#   order leaves out is below the O(lr) part down to the smallest lr. At rho = .8, added afterwards, the error stays:
#   for f it even grows as lr falls, .0051 to .0074, slope -.16 [-.22, -.13]; for |w - w0|^2 it flattens at .013, .55
#   [.47, .67].
# * **The flow** of SAM has slopes of about 1 too (.96 to 1.06; only that of the students' |w - w0|^2 is resolved,
#   1.06 [.96, 1.18]); on the students' f its error is that of the SDE. In v it is off by 1.4 whatever lr is, .01
#   [-.02, .04], where the SDE is of order .97 [.80, 1.22]. For the SDE of SGD the error of v changes sign:
#   unresolved.
