"""The Student t interval against scipy's own, and where it is undefined."""

import numpy as np
import pytest
from scipy import stats

from featlearn.tables import mean_interval
from featlearn.tables.intervals import limits


def test_agrees_with_scipy():
    x = np.random.default_rng(0).normal(size=7)
    interval = mean_interval(x, level=0.9)
    assert interval.mean == pytest.approx(x.mean())
    assert interval.se == pytest.approx(stats.sem(x))
    expected = stats.t.interval(0.9, df=6, loc=x.mean(), scale=stats.sem(x))
    assert (interval.low, interval.high) == pytest.approx(expected)


def test_covers_the_truth_at_its_level_where_a_normal_interval_does_not():
    draws = np.random.default_rng(1).normal(size=(4000, 4))
    covered = np.mean([low <= 0 <= high for _, _, low, high in map(mean_interval, draws)])
    assert covered == pytest.approx(0.95, abs=0.012)
    reach = 1.96 * stats.sem(draws, axis=1)
    assert np.mean(np.abs(draws.mean(1)) <= reach) < 0.9


def test_missing_entries_are_left_out():
    assert mean_interval([1.0, np.nan, 3.0]) == mean_interval([1.0, 3.0])


def test_one_entry_has_no_interval_and_none_has_no_mean():
    assert mean_interval([2.0]).mean == 2.0
    assert np.isnan(mean_interval([2.0])[1:]).all()
    assert np.isnan(mean_interval([])).all()


def test_equal_entries_have_an_interval_of_no_width():
    assert mean_interval([2.0, 2.0]) == (2.0, 0.0, 2.0, 2.0)


def test_a_level_is_a_probability():
    with pytest.raises(ValueError, match="between 0 and 1, not at 95"):
        mean_interval([1.0, 2.0], level=95)


def test_limits_of_columns():
    assert limits("test_error") == limits("test_error_true") == limits("test_error.small") == (0, 1)
    assert limits("signal_kept") == (0, 1) and limits("grad_norm") == (0, np.inf)
    assert limits("test_error_se") == limits("sharpness") == (-np.inf, np.inf)
