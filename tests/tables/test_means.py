"""Means of cells on any number of axes."""

import numpy as np
import pytest

from featlearn.tables import cell_means, mean_interval, phase_grid

X, Y = "data.signal_norm", "data.dim"


def test_on_two_axes_it_is_the_phase_grid(runs):
    df = runs(
        *({"seed": s, X: x, Y: y, "test_error": s + x / y} for s in range(3) for x in (1.0, 2.0) for y in (10, 20))
    )
    mine, grid = cell_means(df, [X, Y], "test_error"), phase_grid(df, X, Y, "test_error")
    for column in grid:
        assert mine[column].tolist() == grid[column].tolist()


def test_the_interval_is_that_of_mean_interval(runs):
    df = runs(*({"seed": s, "test_error": e} for s, e in enumerate((0.1, 0.4, 0.2))))
    row = cell_means(df, ["optimizer.name"], "test_error").iloc[0]
    assert (row["mean"], row["se"], row["low"], row["high"]) == pytest.approx(mean_interval([0.1, 0.4, 0.2]))


def test_runs_that_ended_otherwise_are_counted_beside_the_mean(runs):
    df = runs({}, {"seed": 1, "status": "diverged"}, {"seed": 2, "status": "failed", "test_error": np.nan})
    row = cell_means(df, ["optimizer.name"], "test_error").iloc[0]
    assert row[["n", "diverged", "failed"]].tolist() == [1, 1, 1] and np.isnan(row["low"])


def test_two_runs_of_one_seed_are_refused(runs):
    with pytest.raises(ValueError, match=r"data\.dim"):
        cell_means(runs({}, {Y: 20}), [X], "test_error")
