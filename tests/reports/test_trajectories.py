"""Trajectories of cells: their panels, their steps, and their place among packed curves."""

import numpy as np
import pytest
from reading import unpacked
from small_report import error

from featlearn.reports.sections import _placed
from featlearn.reports.trajectories import MOST_NUMBERS, thinned, trajectories


@pytest.fixture(scope="module")
def found(source, plan):
    return trajectories(plan, _placed(plan, source.rows()), ["test_error", "train_loss", "noise_coef_pos_mean"])


def test_every_recorded_step_where_there_are_few(found):
    assert found["steps"] == [0, 1, 2, 5, 10, 20] and found["recorded"] == 6 and found["log"]
    assert [panel["value"] for panel in found["panels"]] == ["noise_coef_pos_mean", "train_loss", "test_error"]


def test_a_cell_has_the_quantiles_of_its_runs(found):
    curves = unpacked(found["curves"]["test_error"], 6).reshape(2, 6, 3, 6)  # optimizer, cell, quantile, step
    for i, rule in enumerate(("sgd", "sam")):
        runs = [error(rule, 2.0, 60, seed) for seed in range(4)]
        assert curves[i, 2] == pytest.approx(np.quantile(runs, (0.1, 0.5, 0.9), axis=0), rel=1e-4)


def test_runs_of_few_records_have_none(source, plan):
    rows = _placed(plan, source.rows())
    assert trajectories(plan, rows[rows["step"].isin([0, 20])], ["test_error"]) is None


@pytest.mark.parametrize("curves", [3, 300, 40 * 40 * 2 * 6 * 3, 200_000])
def test_steps_are_thinned_to_the_size_of_a_page(curves):
    steps = thinned(np.arange(0.0, 1001), curves)
    assert (steps[0], steps[-1]) == (0, 1000) and 8 <= len(steps) <= 120
    assert len(steps) * curves <= MOST_NUMBERS or len(steps) == 8
