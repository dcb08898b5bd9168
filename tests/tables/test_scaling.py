"""The exponent of a boundary: a known law is found, its interval covers, and unfitted runs are left out."""

import numpy as np
import pandas as pd
import pytest

from featlearn.tables import boundary, boundary_exponent, boundary_scaling, fitted
from featlearn.tables.resamples import resampled_boundary

X, Y = "data.dim", "data.signal_norm"
DIMS = 1000 * 10 ** np.arange(4)


def sweep(exponent=0.25, *, dims=DIMS, seeds=5, luck=0.0, shared=0.0, tilt=0.0, random=0, status="fitted"):
    """Return a store in which the test error of seed s, 0.3 - 0.2 log(y / edge), is 0.1 at y = e edge.

    edge = a (d / 1000)^b. Seeds differ in log a by Gaussians of standard deviation `luck`, anew for every d, and
    `shared`, the same for all d; and in b by one of standard deviation `tilt`.
    """
    rng = np.random.default_rng(random)
    b, a = exponent + tilt * rng.standard_normal(seeds), shared * rng.standard_normal(seeds)
    rows = []
    for d in dims:
        edge = (d / 1000) ** b * np.exp(a + luck * rng.standard_normal(seeds))
        for y in np.geomspace(0.5, 50, 15) * (d / 1000) ** exponent:
            error = 0.3 - 0.2 * np.log(y / edge)
            rows += [{X: d, Y: y, "seed": s, "status": status, "test_error": e} for s, e in enumerate(error)]
    return pd.DataFrame(rows).assign(run_id=range(len(rows)), **{"train.stop_at_train_loss": 0.05})


class TestExponent:
    @pytest.mark.parametrize("exponent", [0.25, 0.0, -0.5])
    def test_a_noiseless_law_is_found_exactly(self, exponent):
        found = boundary_exponent(sweep(exponent), 0.1)
        assert found[:3] == pytest.approx([exponent] * 3, abs=1e-12)
        assert found.factor == pytest.approx(np.e / 1000**exponent)
        assert (found.n_points, found.n_resamples) == (4, 1000)

    def test_another_level_is_another_factor_and_the_same_exponent(self):
        found = boundary_exponent(sweep(), 0.2)
        assert found.exponent == pytest.approx(0.25)
        assert found.factor == pytest.approx(np.exp(0.5) / 1000**0.25)

    def test_any_axis_scales(self):
        table = sweep().rename(columns={X: "data.n_samples"})
        assert boundary_exponent(table, 0.1, x="data.n_samples").exponent == pytest.approx(0.25)

    def test_intervals_have_their_nominal_coverage(self):
        """Of 60 sweeps of 20 seeds, 95% intervals hold the truth in 51 (the chance of fewer is 1%, at 0.92 each)."""
        found = [
            boundary_exponent(sweep(seeds=20, luck=0.1, tilt=0.02, dims=DIMS[:3], random=i), 0.1, n_boot=200)
            for i in range(60)
        ]
        hits = sum(e.low <= 0.25 <= e.high for e in found)
        assert 51 <= hits <= 60
        assert not any(e.low <= 0.0 <= e.high for e in found)  # negative control: a wrong law is excluded

    def test_the_interval_is_that_of_the_mean_over_seeds(self):
        found = boundary_exponent(sweep(seeds=30, tilt=0.05), 0.1)
        assert found.high - found.low == pytest.approx(2 * 1.96 * 0.05 / 30**0.5, rel=0.3)

    def test_seeds_are_resampled_jointly(self):
        """An effect of a seed common to all d moves no exponent; it is lost if seeds are shuffled within cells."""
        table = sweep(seeds=10, shared=0.3)
        joint = boundary_exponent(table, 0.1)
        rng = np.random.default_rng(1)
        shuffled = table.assign(seed=table.groupby([X, Y])["seed"].transform(lambda s: rng.permutation(s.to_numpy())))
        twin = boundary_exponent(shuffled, 0.1)
        assert twin.exponent == pytest.approx(joint.exponent)
        assert joint.high - joint.low < 1e-9 and twin.high - twin.low > 0.01

    def test_the_same_seed_gives_the_same_interval(self):
        table = sweep(seeds=12, luck=0.1)
        assert boundary_exponent(table, 0.1, seed=3) == boundary_exponent(table, 0.1, seed=3)
        assert boundary_exponent(table, 0.1, seed=3) != boundary_exponent(table, 0.1, seed=4)

    def test_one_seed_has_no_interval(self):
        found = boundary_exponent(sweep(seeds=1), 0.1)
        assert found.exponent == pytest.approx(0.25)
        assert np.isnan([found.low, found.high]).all() and found.n_resamples == 0


class TestPoints:
    def test_they_are_the_measured_boundary_with_an_interval(self):
        table = sweep(luck=0.1)
        points = boundary_scaling(table, 0.1).points
        ends = ["low", "high", "crossings", "beyond", "censored", "first", "last", "n", "left_out"]
        assert points.columns.tolist() == [X, Y, *ends]
        measured = boundary(table, X, Y, "test_error", 0.1, log=True)
        assert points[Y].tolist() == pytest.approx(measured[Y].tolist())
        assert (points["low"] < points[Y]).all() and (points[Y] < points["high"]).all()
        assert points["n"].tolist() == [75] * 4 and not points["left_out"].any()

    def test_a_lower_confidence_is_a_shorter_interval(self):
        wide, short = (boundary_scaling(sweep(luck=0.1), 0.1, confidence=c).points for c in (0.95, 0.5))
        assert (short["high"] - short["low"] < wide["high"] - wide["low"]).all()

    def test_a_dimension_without_crossing_is_missing_and_the_others_count(self):
        table = sweep()
        scaling = boundary_scaling(table[(table[X] != 10_000) | (table[Y] < 2)], 0.1)
        assert scaling.points[Y].isna().tolist() == [False, True, False, False]
        assert scaling.points["crossings"].tolist() == [1, 0, 1, 1]
        assert scaling.points["beyond"].tolist() == ["", "above", "", ""]
        assert scaling.exponent.n_points == 3
        assert scaling.exponent.exponent == pytest.approx(0.25)

    def test_zero_signal_is_left_out(self):
        table = sweep()
        zero = table[table[Y] == table.groupby(X)[Y].transform("min")].assign(**{Y: 0.0, "test_error": 0.0})
        assert boundary_exponent(pd.concat([table, zero]), 0.1).exponent == pytest.approx(0.25)

    @pytest.mark.parametrize(("level", "n"), [(0.99, 0), (0.1, 1)])
    def test_fewer_than_two_crossings_are_refused(self, level, n):
        table = sweep()
        few = table[(table[X] == 1000) | (table[Y] < 4)]
        with pytest.raises(ValueError, match=rf"crosses {level} at {n} of 4 values of data.dim: an exponent needs two"):
            boundary_scaling(few, level)

    def test_nothing_fitted_is_refused_likewise(self):
        with pytest.raises(ValueError, match="at 0 of 4 values"):
            boundary_scaling(sweep(status="ok"), 0.1)

    def test_impossible_calls_are_refused(self):
        table = sweep()
        with pytest.raises(ValueError, match=r"2 runs share data\.dim"):
            boundary_scaling(pd.concat([table, table]).assign(run_id=range(2 * len(table))), 0.1)
        with pytest.raises(ValueError, match=r"did you mean 'data\.dim'"):
            boundary_scaling(table, 0.1, x="data.dims")
        with pytest.raises(ValueError, match="between 0 and 1, not at 2"):
            boundary_scaling(table, 0.1, confidence=2)


class TestCensored:
    """Resamples without a crossing: their boundary lies beyond the sweep, as the same seeds in a wider sweep show."""

    @pytest.fixture
    def wide(self):
        return sweep(seeds=6, luck=0.8, random=1)

    @staticmethod
    def cut(table, d, *, above=np.inf, below=0.0):
        """Return the table without the signals of dimension d beyond these."""
        return table[(table[X] != d) | table[Y].between(below, above)]

    def test_an_end_among_them_is_open_and_the_other_stays(self, wide):
        whole = boundary_scaling(wide, 0.1)
        at = whole.points[Y].iloc[-1]
        grid = np.sort(wide.loc[wide[X] == DIMS[-1], Y].unique())
        table = self.cut(wide, DIMS[-1], above=grid[grid > at][0])
        short = boundary_scaling(table, 0.1)
        assert 0.025 < short.points["censored"].iloc[-1] < 0.5
        assert short.points["high"].iloc[-1] == np.inf
        assert short.points["low"].tolist() == whole.points["low"].tolist()
        assert short.exponent.high == np.inf and short.exponent.low <= whole.exponent.low
        assert short.exponent[:1] == whole.exponent[:1]
        assert short.exponent.n_censored >= 1000 * short.points["censored"].iloc[-1]
        cells = table.pivot(index=[X, Y], columns="seed", values="test_error")
        crossed = resampled_boundary(cells, 0.1, 1000, 0).place[DIMS[-1]].iloc[1:]
        _, high = np.nanquantile(crossed, [0.025, 0.975])  # negative control: of those that cross, as if all did,
        assert high < grid[grid > at][0] < whole.points["high"].iloc[-1]  # the interval is cut off

    @pytest.mark.parametrize("end", ["above", "below"])
    @pytest.mark.parametrize("which", [0, 2, 3])
    def test_no_shorter_sweep_has_a_narrower_interval(self, wide, end, which):
        d = DIMS[which]
        whole = boundary_scaling(wide, 0.1, n_boot=200)
        for y in np.sort(wide.loc[wide[X] == d, Y].unique())[1:-1]:
            table = self.cut(wide, d, **{end: y})
            short = boundary_scaling(table, 0.1, n_boot=200)
            assert (short.points["low"] <= whole.points["low"]).all()
            assert (short.points["high"] >= whole.points["high"]).all()
            if short.exponent.n_points == 4:
                assert short.exponent.low <= whole.exponent.low and short.exponent.high >= whole.exponent.high

    def test_their_share_is_that_of_the_draws_without_the_one_seed_that_crosses(self):
        """Seeds 1 and 2 stay above the level at the third d: a draw crosses there unless it lacks seed 0, (2/3)^3."""
        table = sweep(dims=DIMS[:3], seeds=3)
        lost = (table[X] == DIMS[2]) & (table["seed"] > 0)
        found = boundary_scaling(table.assign(test_error=table["test_error"].mask(lost, 0.12)), 0.1)
        assert found.points["censored"].tolist() == [0, 0, pytest.approx((2 / 3) ** 3, abs=0.045)]
        assert found.exponent.n_points == 3 and found.exponent.n_resamples == 1000
        assert found.exponent.high == np.inf and np.isfinite(found.exponent.low)

    def test_a_value_that_rises_is_bounded_on_the_same_side(self, wide):
        table = self.cut(wide, DIMS[-1], above=20)
        fall = boundary_scaling(table, 0.1)
        rise = boundary_scaling(table.assign(test_error=-table["test_error"]), -0.1)
        pd.testing.assert_frame_equal(fall.points, rise.points)
        assert fall.exponent == rise.exponent

    def test_the_middle_of_a_geometric_axis_has_no_weight_in_the_slope(self):
        table = sweep(dims=DIMS[:3], seeds=6, luck=0.8)
        whole = boundary_scaling(table, 0.1)
        y = whole.points[Y].iloc[1]
        short = boundary_scaling(self.cut(table, DIMS[1], above=y * 1.2), 0.1)
        assert short.points["high"].iloc[1] == np.inf
        assert short.exponent[1:3] == pytest.approx(whole.exponent[1:3])

    def test_a_dimension_without_crossing_bounds_its_boundary_on_one_side(self, wide):
        low, high = self.cut(wide, DIMS[0], above=0.6), self.cut(wide, DIMS[0], below=30)
        for table, side in ((low, "above"), (high, "below")):
            for seeds in (6, 1):
                point = boundary_scaling(table[table["seed"] < seeds], 0.1).points.iloc[0]
                assert np.isnan(point[Y]) and point["beyond"] == side
        assert (point["first"], point["last"]) == (pytest.approx(36.0, abs=3), pytest.approx(50.0))

    def test_where_no_run_is_drawn_nothing_is_known(self):
        """One run of six seeds is there at the second d: it is not drawn in (5/6)^6 = .33 of the resamples."""
        table = sweep(seeds=6)
        points = boundary_scaling(table[(table[X] != DIMS[1]) | (table["seed"] == 2)], 0.1).points
        assert points.loc[1, ["low", "high"]].tolist() == [0, np.inf]
        assert points.loc[1, "censored"] == pytest.approx((5 / 6) ** 6, abs=0.045)


class TestFitted:
    def test_a_run_that_did_not_reach_its_train_loss_stays_out_and_is_counted(self):
        table = sweep(seeds=4)
        bad = table["seed"] == 3
        spoilt = table.assign(status=table["status"].mask(bad, "ok"), test_error=table["test_error"].mask(bad, 0.5))
        scaling = boundary_scaling(spoilt, 0.1)
        assert scaling.exponent.factor == pytest.approx(np.e / 1000**0.25)
        assert scaling.points["n"].tolist() == [45] * 4
        assert scaling.points["left_out"].tolist() == [15] * 4

    def test_where_no_train_loss_was_asked_for_finished_runs_count(self):
        table = sweep(status="ok")
        assert len(fitted(table)) == 0
        assert len(fitted(table.assign(**{"train.stop_at_train_loss": None}))) == len(table)
        assert len(fitted(table.drop(columns="train.stop_at_train_loss"))) == len(table)
        assert len(fitted(table.drop(columns="train.stop_at_train_loss").assign(status="diverged"))) == 0


def test_an_infinite_value_is_refused():
    df = sweep()
    with pytest.raises(ValueError, match="test_error is infinite in 1 runs, which have no mean"):
        boundary_scaling(df.assign(test_error=df["test_error"].mask(df.index == 0, np.inf)), 0.1)
