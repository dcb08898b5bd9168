"""Means and differences over the axes are those of the tables."""

import pytest
from small_report import EVIL, error

from featlearn.reports.grids import differences, is_share, means, pairs, quantities
from featlearn.reports.moments import Moment
from featlearn.tables import mean_interval


@pytest.fixture(scope="module")
def last(plan):
    return Moment("last", "", "", plan.runs)


def test_a_mean_with_its_interval(plan, last):
    sgd, sam = means(plan, last, "test_error")
    told = mean_interval([error("sgd", 2.0, 60, seed)[-1] for seed in range(4)])
    assert sgd["mean"][2] == pytest.approx(told.mean, rel=1e-3)  # signal 2 is the second, dim 60 the first of two
    assert sgd["half"][2] == pytest.approx(told.high - told.mean, rel=5e-3)
    assert sam["mean"][2] < sgd["mean"][2]


def test_runs_that_ended_otherwise_are_counted_where_they_are(plan, last):
    sgd, sam = means(plan, last, "test_error")
    assert sgd["diverged"] == [0, 0, 0, 0, 0, 1] and sgd["n"] == [4, 4, 4, 4, 4, 3] and sgd["failed"] == 0
    assert sam["failed"] == [0, 0, 0, 0, 0, 1]


def test_differences_are_paired_by_seed(plan, last):
    (difference,) = differences(plan, last, "test_error")
    assert pairs(plan) == [(0, 1)]
    assert difference["mean"][2] == pytest.approx(0.05 * 2.0) and difference["half"][2] == pytest.approx(0, abs=1e-12)
    assert difference["n"] == [4, 4, 4, 4, 4, 2] and difference["dropped"] == [0, 0, 0, 0, 0, 2]


def test_the_quantities_that_are_asked_for_come_first(plan):
    shown, left_out = quantities(plan)
    assert shown == ["test_error", "train_loss", "noise_coef_pos_mean", EVIL] and left_out == []
    assert is_share("test_error") and not is_share("train_loss")
