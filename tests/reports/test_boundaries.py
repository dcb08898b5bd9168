"""Where an error crosses its level, the law there, and the exponent in words."""

import numpy as np
import pandas as pd
import pytest

from featlearn.reports.boundaries import boundaries, exponents, has_boundary
from featlearn.reports.layout import layout
from featlearn.reports.moments import Moment
from featlearn.theory import SETTINGS


@pytest.fixture(scope="module")
def lawful():
    """Runs of SGD whose test error crosses .1 exactly at |mu| = d^(1/4), in the setting of the theorem."""
    runs = [
        {"data.dim": d, "data.signal_norm": norm, "seed": seed, "test_error": 0.1 * d**0.25 / norm}
        for d in (16, 256, 4096)
        for norm in 2.0 ** np.arange(-1, 6)
        for seed in range(3)
    ]
    fixed = {
        "status": "ok",
        "step": 1,
        "data.n_samples": 20,
        "data.n_patches": 2,
        "data.noise_std": 1.0,
        **SETTINGS["sgd"],
    }
    return layout(pd.DataFrame(runs).assign(**fixed, run_id=[f"r{i}" for i in range(len(runs))]))


def test_the_crossings_and_the_law_in_the_plane(lawful):
    ((found,),) = boundaries(lawful, Moment("last", "", "", lawful.runs), "test_error")
    assert found["level"] == 0.1 and sorted(found["x"]) == pytest.approx([2, 4, 8], rel=1e-3)
    assert found["law"]["fitted"] and found["law"]["name"] == "C (d/n)^{1/4} P σ_{p}"
    assert found["law"]["c"] == pytest.approx(20**0.25 / 2, rel=1e-2)


def test_the_exponent_beside_that_of_theory(lawful):
    (fit,) = exponents(lawful, "test_error")
    assert (fit["exponent"], fit["theory"], fit["points"]) == ("0.250", "0.25", "3")
    assert fit["interval"] == "[0.250, 0.250]" and fit["signal"] == "‖μ‖" and fit["of"] == "d"


def test_other_quantities_and_other_planes_have_none(lawful, plan):
    assert boundaries(lawful, Moment("last", "", "", lawful.runs), "train_loss") == []
    assert has_boundary(plan, "test_error") and not has_boundary(
        layout(plan.runs[plan.runs["data.dim"] == 60]), "test_error"
    )
