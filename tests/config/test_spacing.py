"""Spaced values are the decimals as written, rounded once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featlearn.config import ConfigWarning, SweepConfig
from featlearn.config.spacing import geomspace, linspace

Load = Callable[..., SweepConfig]


class TestExactNumbers:
    """A spaced value is the number that a list would hold, on any machine."""

    @pytest.mark.parametrize(
        ("spaced", "listed"),
        [
            ("{linspace: [0.1, 0.5, 5]}", "[0.1, 0.2, 0.3, 0.4, 0.5]"),
            ("{linspace: [0.5, 0.1, 5]}", "[0.5, 0.4, 0.3, 0.2, 0.1]"),
            ("{linspace: [0, 1.1, 12]}", "[0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1]"),
            ("{linspace: [0.05, 0.2, 4]}", "[0.05, 0.1, 0.15, 0.2]"),
            ("{linspace: [1e-3, 7e-3, 7]}", "[0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007]"),
            ("{geomspace: [1, 1000, 4]}", "[1, 10, 100, 1000]"),
            ("{geomspace: [1e-5, 1, 6]}", "[0.00001, 0.0001, 0.001, 0.01, 0.1, 1]"),
            ("{geomspace: [0.3, 0.0003, 4]}", "[0.3, 0.03, 0.003, 0.0003]"),
            ("{geomspace: [0.1, 72.9, 7]}", "[0.1, 0.3, 0.9, 2.7, 8.1, 24.3, 72.9]"),
        ],
    )
    def test_spaced_values_are_those_of_the_list(self, load: Load, spaced: str, listed: str) -> None:
        runs = [list(load(f"sweep: {{optimizer.rho: {axis}}}").runs()) for axis in (spaced, listed)]
        assert [run.run_id for run in runs[0]] == [run.run_id for run in runs[1]]

    @given(st.floats(1e-12, 1e12), st.floats(1e-12, 1e12), st.integers(2, 40))
    def test_ends_are_what_was_written_and_the_rest_is_numpys_but_for_rounding(
        self, first: float, last: float, n: int
    ) -> None:
        for spaced, numpys in ((linspace, np.linspace), (geomspace, np.geomspace)):
            found = spaced(first, last, n)
            assert (found[0], found[-1], len(found)) == (first, last, n)
            np.testing.assert_allclose(found, numpys(first, last, n), rtol=1e-12)

    def test_zero_is_zero_and_large_numbers_do_not_overflow(self) -> None:
        assert linspace(-0.3, 0.3, 7)[3] == 0.0
        assert linspace(-1e308, 1e308, 3) == [-1e308, 0.0, 1e308]
        assert geomspace(5e-324, 1e308, 2) == [5e-324, 1e308]

    def test_integers_that_coincide_are_reported(self, load: Load) -> None:
        with pytest.warns(ConfigWarning, match=r"x.yaml:6: sweep.seed: rounding to integers leaves 3 of 9 values"):
            assert load("sweep: {seed: {linspace: [1, 3, 9]}}").n_runs == 3
        assert load("sweep: {data.dim: {geomspace: [50, 500, 5]}}").n_runs == 5
