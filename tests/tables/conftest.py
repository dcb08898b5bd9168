"""Small stores, written out by hand."""

import pandas as pd
import pytest

DEFAULTS = {
    "status": "ok",
    "seed": 0,
    "data.n_samples": 20,
    "data.dim": 1000,
    "data.n_patches": 2,
    "data.signal_norm": 5.0,
    "data.noise_std": 1.0,
    "optimizer.name": "sgd",
    "train_loss": 0.1,
    "test_error": 0.2,
}


@pytest.fixture
def runs():
    """Return a function that makes one row per run, each a dict over the defaults."""

    def make(*rows):
        return pd.DataFrame([{"run_id": f"r{i}", "step": 100, **DEFAULTS, **r} for i, r in enumerate(rows)])

    return make


@pytest.fixture
def curves():
    """Return a function that makes recorded rows from lists of equal length, one call a run."""

    def make(run_id, steps, **values):
        head = {"run_id": run_id, "step": steps, **DEFAULTS}
        return pd.DataFrame({**head, **values})

    return make
