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
    assert found["law"]["fitted"] and found["law"]["name"] == "C (d/n)^{1/4}Pσ_{p}" and found["law"]["of"] == "‖μ‖"
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


def test_every_law_of_theory_is_named_in_the_plane(lawful):
    """The boundary of another data model: b_c = C b_s (2 alpha - 1)^(1/3), of an error that only some samples show."""
    runs = [
        {"data.alignment": a, "data.core_norm": b, "seed": 0, "test_error.minority": 0.1 * (2 * a - 1) ** (1 / 3) / b}
        for a in (0.6, 0.75, 0.9)
        for b in 2.0 ** np.arange(-3, 1, 0.25)
    ]
    sizes = {f"data.{key}": 1.0 for key in ("spurious_norm", "n_samples", "dim", "noise_std")}
    table = pd.DataFrame(runs).assign(status="ok", step=1, run_id=[*map(str, range(len(runs)))])
    plan = layout(table.assign(**sizes, **SETTINGS["spurious"]))
    ((found,),) = boundaries(plan, Moment("last", "", "", plan.runs), "test_error.minority")
    assert (found["law"]["of"], found["law"]["name"]) == ("b_{c}", "C b_{s}(2\N{GREEK SMALL LETTER ALPHA}−1)^{1/3}")
    assert found["law"]["c"] == pytest.approx(1, rel=2e-2) and len(found["x"]) == 3
    assert exponents(plan, "test_error.minority") == []
