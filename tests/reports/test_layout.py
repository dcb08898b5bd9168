"""Axes and optimizers of a sweep, and tables as arrays."""

import numpy as np
import pandas as pd
import pytest

from featlearn.reports.grids import pairs
from featlearn.reports.layout import OPTIMIZER, axis_columns, layout
from featlearn.tables import cell_means


def sweep(**columns):
    head = {"run_id": "", "step": 1, "status": "ok", "seed": 0, "optimizer.name": "sgd", "test_error": 0.5}
    table = pd.DataFrame({**head, **columns})
    return table.assign(run_id=[f"r{i}" for i in range(len(table))])


def test_the_signal_comes_first_then_the_dimension():
    plan = layout(sweep(**{"data.dim": [1, 10, 100] * 2, "data.signal_norm": [1.0] * 3 + [2.0] * 3}))
    assert plan.keys == ["data.signal_norm", "data.dim"]
    assert [axis.log for axis in plan.axes] == [False, True] and plan.sizes == (2, 3)


def test_a_column_that_another_one_decides_is_no_axis():
    assert axis_columns(sweep(**{"data.dim": [1, 2, 3], "data.n_samples": [10, 20, 30]})) == ["data.dim"]


def test_words_are_an_axis_too():
    (axis,) = layout(sweep(**{"network.activation": ["relu", "gelu"]})).axes
    assert axis.values == ("relu", "gelu") and not axis.numeric


def test_many_settings_of_an_optimizer_are_an_axis_and_others_stand_all_along_it():
    rho = [np.nan, *(0.1 * k for k in range(1, 9))]
    runs = sweep(**{"optimizer.name": ["sgd"] + ["sam"] * 8, "optimizer.rho": rho})
    plan = layout(runs)
    assert plan.keys == ["optimizer.rho"] and plan.optimizers == ("sgd", "sam")
    assert plan.groups() == [([], ["sgd"]), (["optimizer.rho"], ["sam"])]
    sgd = cell_means(plan.runs[plan.runs[OPTIMIZER] == "sgd"], [OPTIMIZER], "test_error")
    assert plan.dense(sgd, [], "mean").tolist() == [0.5] * 8
    assert pairs(plan) == []  # a difference would have no one radius


def test_cells_without_a_run_have_no_number():
    plan = layout(sweep(**{"data.dim": [1, 2, 2], "data.signal_norm": [1.0, 1.0, 2.0]}))
    dense = plan.dense(cell_means(plan.runs, plan.keys, "test_error"), plan.keys, "mean")
    assert np.isnan(dense).tolist() == [[False, False], [True, False]]


def test_too_many_cells_are_refused(monkeypatch):
    monkeypatch.setattr("featlearn.reports.layout.MOST_CELLS", 3)
    with pytest.raises(ValueError, match=r"up to 3 cells, and data\.signal_norm, data\.dim span 4"):
        layout(sweep(**{"data.dim": [1, 2, 1, 2], "data.signal_norm": [1.0, 1.0, 2.0, 2.0]}))
