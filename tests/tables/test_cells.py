"""Grids of means, where they cross a level, and the constant of the law through the crossings."""

import numpy as np
import pandas as pd
import pytest

from featlearn.tables import boundary, fit_constant, phase_grid
from featlearn.theory import sam_boundary, sgd_boundary

X, Y = "data.signal_norm", "data.dim"


class TestPhaseGrid:
    def test_mean_standard_error_and_count_by_hand(self, runs):
        df = runs({"test_error": 0.1}, {"test_error": 0.3, "seed": 1}, {X: 9.0, "test_error": 0.5})
        grid = phase_grid(df, X, Y, "test_error").set_index(X)
        assert grid["mean"].tolist() == pytest.approx([0.2, 0.5])
        assert grid.loc[5.0, "se"] == pytest.approx(0.1)
        assert np.isnan(grid.loc[9.0, "se"])
        assert grid["n"].tolist() == [2, 1]

    def test_only_finished_runs_enter_the_mean(self, runs):
        df = runs(
            {"test_error": 0.1, "status": "fitted"},
            {"test_error": 0.9, "status": "diverged", "seed": 1},
            {"test_error": np.nan, "status": "failed", "seed": 2},
            {"test_error": np.nan, "status": "diverged", X: 9.0},
        )
        grid = phase_grid(df, X, Y, "test_error").set_index(X)
        assert grid.loc[5.0].tolist() == pytest.approx([1000, 0.1, np.nan, 1, 1, 1], nan_ok=True)
        assert grid.loc[9.0].tolist() == pytest.approx([1000, np.nan, np.nan, 0, 1, 0], nan_ok=True)

    def test_missing_cells_stay_missing(self, runs):
        df = runs({X: 1.0, Y: 10}, {X: 2.0, Y: 10}, {X: 1.0, Y: 20})
        matrix = phase_grid(df, X, Y, "test_error").pivot(index=Y, columns=X, values="mean")
        assert matrix.isna().to_numpy().tolist() == [[False, False], [False, True]]

    def test_runs_without_a_place_on_an_axis_are_left_out(self, runs):
        df = runs({}, {"optimizer.name": "sam", "optimizer.rho": 0.1})
        assert len(phase_grid(df, "optimizer.rho", Y, "test_error")) == 1

    def test_refuses_to_mix_runs_that_differ_in_more_than_the_seed(self, runs):
        df = runs({}, {"optimizer.name": "sam"})
        with pytest.raises(ValueError, match=r"they differ in optimizer.name \(sgd, sam\)"):
            phase_grid(df, X, Y, "test_error")

    def test_refuses_several_rows_of_a_run(self, curves):
        df = curves("a", [0, 10])
        with pytest.raises(ValueError, match="a run has several rows"):
            phase_grid(df, X, Y, "test_error")

    def test_names_the_nearest_column(self, runs):
        with pytest.raises(ValueError, match="no column 'test_eror'; did you mean 'test_error'"):
            phase_grid(runs({}), X, Y, "test_eror")

    def test_an_infinite_value_makes_an_infinite_mean(self, runs):
        df = runs({"test_error": np.inf}, {"test_error": 0.3, "seed": 1}, {X: 9.0})
        grid = phase_grid(df, X, Y, "test_error").set_index(X)
        assert grid["mean"].tolist() == [np.inf, 0.2] and np.isnan(grid.loc[5.0, "se"])

    @pytest.mark.parametrize("name", ["mean", "n", "diverged", "value"])
    def test_a_value_may_have_any_name_but_an_axis_not_that_of_the_table(self, runs, name):
        df = runs({name: 0.1}, {name: 0.3, "seed": 1})
        assert phase_grid(df, X, Y, name)["mean"].tolist() == pytest.approx([0.2])
        if name != "value":
            with pytest.raises(ValueError, match=f"adds a column '{name}' of its own"):
                phase_grid(df, name, Y, "test_error")


class TestBoundary:
    @pytest.mark.parametrize(
        ("heights", "place"), [([np.inf, 0.1], 3.0), ([0.1, np.inf], 1.0), ([-np.inf, np.inf], 3**0.5)]
    )
    def test_next_to_an_infinite_mean_it_is_at_the_finite_one(self, runs, heights, place):
        df = runs({X: 1.0, "test_error": heights[0]}, {X: 3.0, "test_error": heights[1]})
        assert boundary(df, Y, X, "test_error", 0.2)[X].tolist() == pytest.approx([place])

    def test_linear_beside_a_cell_at_zero_or_where_asked_for(self, runs):
        df = runs({X: 0.0, "test_error": 0.5}, {X: 2.0, "test_error": 0.1}, {X: 8.0, "test_error": 0.5})
        table = boundary(df, Y, X, "test_error", 0.2)
        assert table[X].tolist() == pytest.approx([1.5])
        assert table["crossings"].tolist() == [2]
        assert table["data.n_samples"].tolist() == [20]

    def test_one_convention_everywhere(self, runs):
        df = runs({X: 1.0, "test_error": 0.5}, {X: 3.0, "test_error": 0.1})
        table = boundary(df, Y, X, "test_error", 0.2)
        assert table[X].tolist() == pytest.approx([3**0.75])
        assert boundary(df, Y, X, "test_error", 0.2, log=False)[X].tolist() == pytest.approx([2.5])
        assert table["crossings"].tolist() == [1]
        assert table["data.n_samples"].tolist() == [20]

    def test_logarithmic_between_cells(self, runs):
        df = runs({Y: 100, "test_error": 0.0}, {Y: 10_000, "test_error": 0.4})
        assert boundary(df, X, Y, "test_error", 0.2)[Y].tolist() == pytest.approx([1000])
        assert boundary(df, X, Y, "test_error", 0.2, log=False)[Y].tolist() == pytest.approx([5050])

    def test_no_crossing_is_missing_and_several_are_counted(self, runs):
        errors = {1000: [0.5, 0.4, 0.3], 2000: [0.5, 0.1, 0.5]}
        df = runs(*({Y: d, X: float(i), "test_error": e} for d, es in errors.items() for i, e in enumerate(es)))
        table = boundary(df, Y, X, "test_error", 0.2)
        assert table[X].tolist() == pytest.approx([np.nan, 0.75], nan_ok=True)
        assert table["crossings"].tolist() == [0, 2]

    def test_a_logarithm_needs_positive_places(self, runs):
        df = runs({X: 0.0}, {X: 1.0})
        with pytest.raises(ValueError, match="no logarithm at 0"):
            boundary(df, Y, X, "test_error", 0.2, log=True)


class TestFitConstant:
    DIMS = np.array([1000.0, 4000.0, 16000.0])

    def table(self, signal):
        fixed = {"data.n_samples": 20, "data.n_patches": 2, "data.noise_std": 0.5}
        return pd.DataFrame({"data.dim": self.DIMS, X: signal, **fixed})

    def test_finds_the_constant_of_a_law_without_error(self):
        signal = sgd_boundary(1.7, dim=self.DIMS, n_samples=20, n_patches=2, noise_std=0.5)
        fit = fit_constant(self.table(signal), sgd_boundary)
        assert fit.c == pytest.approx(1.7)
        assert fit.se == pytest.approx(0, abs=1e-12)
        assert fit.n == 3

    def test_a_wrong_law_leaves_a_spread(self):
        signal = sgd_boundary(1.7, dim=self.DIMS, n_samples=20, n_patches=2, noise_std=0.5)
        fit = fit_constant(self.table(signal), sam_boundary)
        assert fit.c == pytest.approx(signal[1])
        assert fit.se == pytest.approx(fit.c * np.log(4) / 4 / np.sqrt(3))

    def test_signal_to_noise_ratio_is_made_into_a_norm(self):
        table = self.table(np.full(3, 3.0))
        ratio = table.assign(**{"data.snr": 3.0 / (0.5 * self.DIMS**0.5)}).drop(columns=X)
        assert fit_constant(ratio, sam_boundary).c == pytest.approx(fit_constant(table, sam_boundary).c)

    def test_one_point_has_no_error_and_no_point_no_constant(self):
        assert np.isnan(fit_constant(self.table([3.0, np.nan, np.nan]), sam_boundary).se)
        with pytest.raises(ValueError, match="no constant to fit"):
            fit_constant(self.table(np.nan), sam_boundary)

    def test_from_runs_to_the_constant(self, runs):
        rows = []
        for d in (1000, 4000, 16000):
            edge = float(sgd_boundary(1.2, dim=d, n_samples=20, n_patches=2, noise_std=1.0))
            rows += [{Y: d, X: x, "test_error": 0.2 - 0.1 * np.log(x / edge)} for x in np.linspace(1, 20, 9)]
        table = boundary(runs(*rows), Y, X, "test_error", 0.2)
        assert fit_constant(table, sgd_boundary).c == pytest.approx(1.2)
