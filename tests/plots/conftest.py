"""A store that follows a law, so that its plots are known; figures are closed after each test."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("agg")

SGD = {"optimizer.name": "sgd"}
SAM = {"optimizer.name": "sam", "optimizer.rho.theory": 1.0}
OF_SAM = {"optimizer.name": "sam", "optimizer.lr": 0.1, "optimizer.rho": 0.05}
INTEGRATION = {"optimizer.substeps": np.nan, "optimizer.integrator": None}
RULE = OF_SAM | INTEGRATION | {"optimizer.dynamics": "rule"}
FLOW = RULE | {"optimizer.dynamics": "flow", "optimizer.integrator": "rk4"}
SDE = RULE | {"optimizer.dynamics": "sde", "optimizer.substeps": 8, "optimizer.integrator": "euler_maruyama"}
OFF = {"rule": 0.0, "flow": -0.02, "sde": 0.01}


@pytest.fixture(autouse=True)
def closed_figures():
    from matplotlib import pyplot as plt

    yield
    plt.close("all")


def run_rows(optimizer, signal, dim, seed, steps):
    """Return one run: its error falls from 1/2 to a line in signal / boundary, its coefficients rise to it."""
    edge = 1.2 * (dim / 20) ** 0.25 * 2 if optimizer["optimizer.name"] == "sgd" else 1.5 * 2
    if "optimizer.rho.theory" in optimizer:
        optimizer = optimizer | {"optimizer.rho": 1 / dim**0.5}
    luck = 0.02 * np.cos(7 * seed)
    final = np.clip(0.1 - 0.2 * (signal / edge - 1), 0, 0.5) + luck
    grown = 1 - np.exp(-np.asarray(steps) / 30)
    config = {"seed": seed, "data.dim": dim, "data.signal_norm": signal, "data.snr": signal / dim**0.5}
    fixed = {"data.n_samples": 20, "data.n_patches": 2, "data.noise_std": 1.0, "data.flip_prob": 0.0}
    values = {
        "train_loss": 0.7 - 0.65 * grown,
        "test_error": 0.5 + (final - 0.5) * grown,
        "signal_coef_max": grown * (1 + luck),
        "signal_coef_mean": grown * (1 + luck) / 2,
        "noise_coef_pos_mean": 5 * grown * (1 + luck),
    }
    name = "-".join(str(x) for x in (*optimizer.values(), signal, dim, seed))
    head = {"run_id": name, "step": steps, "status": "ok"}
    return pd.DataFrame({**head, **config, **fixed, "network.activation": "relu", **optimizer, **values})


@pytest.fixture(scope="session")
def make_rows():
    """Return a function that makes the rows of a grid."""

    def make(signals=(0.0, 2.0, 4.0, 6.0, 8.0, 10.0), dims=(1000, 2000, 4000, 8000), seeds=3, optimizers=(SGD, SAM)):
        steps = [0, 50, 400]
        cells = [(o, s, d, i) for o in optimizers for s in signals for d in dims for i in range(seeds)]
        return pd.concat([run_rows(*cell, steps) for cell in cells], ignore_index=True)

    return make


@pytest.fixture(scope="session")
def made_rows(make_rows):
    """Return the rows of `rows`, made once."""
    return make_rows()


def limit_rows(optimizer, seed, steps=(0, 10, 20, 30)):
    """Return one run: a loss that falls alike for all dynamics of a seed, but for an offset with a little noise."""
    luck, noise = np.random.default_rng(seed).standard_normal(2)
    step = np.asarray(steps)
    loss = 0.1 + (1 + 0.2 * luck) * np.exp(-step / 15)
    loss = loss + OFF[optimizer["optimizer.dynamics"]] * (1 + 0.3 * noise) * (step > 0)
    head = {"run_id": f"{optimizer}{seed}", "step": step, "status": "ok", "seed": seed}
    fixed = {"train.n_steps": 30, "data.dim": 1000}
    return pd.DataFrame({**head, **optimizer, **fixed, "train_loss": loss, "grad_norm": 2 * loss})


@pytest.fixture(scope="session")
def make_limits():
    """Return a function that makes the rows of a rule, its flow and its SDE, or of other dynamics."""

    def make(*optimizers, seeds=6):
        runs = [limit_rows(o, seed) for o in optimizers or (RULE, FLOW, SDE) for seed in range(seeds)]
        return pd.concat(runs, ignore_index=True)

    return make


@pytest.fixture(scope="session")
def made_limits(make_limits):
    """Return the rows of `three`, made once."""
    return make_limits()


@pytest.fixture
def three(made_limits):
    """Return the rows of a rule, its flow and its SDE, with 6 seeds."""
    return made_limits.copy()


@pytest.fixture(scope="session")
def rows_of(make_rows, make_limits):
    """Return a function that makes rows which a kind of figure can draw."""

    def rows_of(kind):
        cells = {"dynamics": ((5.0,), (1000,)), "edge": ((5.0,), (1000,)), "curve": ((4.0, 6.0), (1000,))}
        df = make_limits() if kind == "compare" else make_rows(*cells.get(kind, ()))
        return df.assign(sharpness=1.0, stability_edge=2.0, sam_edge=1.0)

    return rows_of


@pytest.fixture
def rows(made_rows):
    """Return a store of two optimizers on a grid of 6 signals and 4 dimensions, with 3 seeds."""
    return made_rows.copy()
