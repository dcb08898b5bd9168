"""A store that follows a law, so that its plots are known; figures are closed after each test."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("agg")

SGD = {"optimizer.name": "sgd"}
SAM = {"optimizer.name": "sam", "optimizer.rho.theory": 1.0}


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


@pytest.fixture
def rows(made_rows):
    """Return a store of two optimizers on a grid of 6 signals and 4 dimensions, with 3 seeds."""
    return made_rows.copy()
