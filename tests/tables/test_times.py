"""Trajectories on a common clock."""

import numpy as np
import pandas as pd
import pytest

from featlearn.tables import (
    at_train_loss,
    common_train_loss,
    half_time,
    mean_interval,
    paired_difference,
    paired_over_steps,
    seed_quantiles,
)


class TestSeedQuantiles:
    def test_statistics_by_hand(self, curves):
        df = pd.concat([curves(f"r{s}", [0, 10], seed=s, v=[0.0, float(s)]) for s in range(5)])
        table = seed_quantiles(df, "v", "optimizer.name", quantiles=(0.25, 0.5)).set_index("step")
        assert table.columns.tolist() == ["optimizer.name", "mean", "se", "n", "q25", "q50"]
        assert table.loc[10, ["mean", "q25", "q50"]].tolist() == pytest.approx([2.0, 1.0, 2.0])
        assert table.loc[10, "se"] == pytest.approx(np.std([0, 1, 2, 3, 4], ddof=1) / 5**0.5)
        assert table["n"].tolist() == [5, 5]

    def test_a_fitted_run_is_carried_forward_so_that_the_mean_does_not_jump(self, curves):
        df = pd.concat(
            [
                curves("a", [0, 10, 13], seed=0, v=[0.0, 1.0, 1.3], status="fitted"),
                curves("b", [0, 10, 20], seed=1, v=[0.0, 3.0, 4.0]),
            ]
        )
        table = seed_quantiles(df, "v", "optimizer.name").set_index("step")
        assert table["n"].tolist() == [2, 2, 2, 2]
        assert table["mean"].tolist() == pytest.approx([0.0, 2.0, (1.3 + 3.3) / 2, (1.3 + 4.0) / 2])

    def test_a_run_that_was_only_shorter_is_not(self, curves):
        df = pd.concat([curves("a", [0, 10], seed=0, v=[0.0, 1.0]), curves("b", [0, 20], seed=1, v=[0.0, 4.0])])
        table = seed_quantiles(df, "v", "optimizer.name").set_index("step")
        assert table.loc[20, ["n", "mean"]].tolist() == [1, 4.0]

    def test_diverged_runs_are_left_out_from_the_start(self, curves):
        df = pd.concat(
            [curves("a", [0, 10], v=[1.0, 1.0]), curves("b", [0, 5], seed=1, v=[9.0, 9e9], status="diverged")]
        )
        table = seed_quantiles(df, "v", "optimizer.name")
        assert table["step"].tolist() == [0, 10]
        assert table["mean"].tolist() == [1.0, 1.0]
        with pytest.raises(ValueError, match="no finished run in which to follow v"):
            seed_quantiles(df[df["status"] == "diverged"], "v", "optimizer.name")

    def test_several_groups_and_no_mixing(self, curves):
        a = curves("a", [0, 10], v=[1.0, 2.0])
        b = curves("b", [0, 10], v=[3.0, 4.0]).assign(**{"data.dim": 2000})
        table = seed_quantiles(pd.concat([a, b]), "v", ["optimizer.name", "data.dim"])
        assert table["data.dim"].tolist() == [1000, 1000, 2000, 2000]
        assert table["mean"].tolist() == [1.0, 2.0, 3.0, 4.0]
        with pytest.raises(ValueError, match=r"they differ in data.dim \(1000, 2000\)"):
            seed_quantiles(pd.concat([a, b]), "v", "optimizer.name")


class TestPairedOverSteps:
    def test_means_and_intervals_are_those_of_single_differences(self, curves):
        luck, own = np.random.default_rng(0).standard_normal((2, 6))
        parts = [curves(f"r{s}", [0, 10], seed=s, v=[x, 2 * x]) for s, x in enumerate(luck)]
        parts += [
            curves(f"s{s}", [10, 0], seed=s, v=[2 * x + 1 + e, x])
            for s, (x, e) in enumerate(zip(luck, own, strict=True))
        ]
        by = pd.Series(["rule"] * 12 + ["sde"] * 12)
        table = paired_over_steps(pd.concat(parts), "v", by, "sde", "rule").set_index("step")
        assert table.loc[0].tolist() == pytest.approx([0, 0, 6, 0, 0])
        mean, se, low, high = mean_interval(1 + own)
        assert table.loc[10].tolist() == pytest.approx([mean, se, 6, low, high])

    def test_pairs_are_complete_and_fitted_runs_are_carried(self, curves):
        df = pd.concat(
            [
                curves("a", [0, 10], seed=0, v=[1.0, 2.0], status="fitted", dynamics="rule"),
                curves("b", [0, 20], seed=0, v=[1.0, 4.0], dynamics="sde"),
                curves("c", [0, 20], seed=1, v=[5.0, 5.0], dynamics="rule"),
                curves("d", [0, 20], seed=1, v=[9.0, 9.0], status="diverged", dynamics="sde"),
                curves("e", [0, 20], seed=2, v=[7.0, 7.0], dynamics="sde"),
            ]
        )
        table = paired_over_steps(df, "v", "dynamics", "sde", "rule")
        assert table["step"].tolist() == [0, 10, 20] and table["n"].tolist() == [1, 1, 1]
        assert table["mean"].tolist() == pytest.approx([0, 0.5, 2]) and table[["se", "low", "high"]].isna().all(
            axis=None
        )
        with pytest.raises(ValueError, match="no pair of sde and rule is left"):
            paired_over_steps(df[df["seed"] > 0], "v", "dynamics", "sde", "rule")
        twins = pd.concat([df, df[df["run_id"] == "c"].assign(run_id="f")])
        with pytest.raises(ValueError, match="2 runs share seed = 1"):
            paired_over_steps(twins, "v", "dynamics", "sde", "rule")


class TestAtTrainLoss:
    def test_exact_for_an_exponential_loss_and_a_linear_value(self, curves):
        steps = np.arange(0, 101, 10)
        df = curves("a", steps, train_loss=0.7 * np.exp(-steps / 30), v=2.0 * steps)
        row = at_train_loss(df, 0.1, ["v"]).iloc[0]
        expected = 30 * np.log(7)
        assert row[["step", "v"]].tolist() == pytest.approx([expected, 2 * expected])
        assert row["reached"]

    def test_first_crossing_of_a_loss_that_comes_back(self, curves):
        df = curves("a", [0, 1, 2, 3], train_loss=[1.0, 0.01, 1.0, 0.01], v=[0.0, 1.0, 2.0, 3.0])
        assert at_train_loss(df, 0.1, ["v"])["v"].tolist() == pytest.approx([0.5])

    def test_below_from_the_start_never_and_zero(self, curves):
        df = pd.concat(
            [
                curves("a", [0, 10], train_loss=[0.05, 0.01], v=[7.0, 8.0]),
                curves("b", [0, 10], train_loss=[0.7, 0.5], v=[7.0, 8.0]),
                curves("c", [0, 10], train_loss=[0.7, 0.0], v=[7.0, 8.0]),
            ]
        )
        table = at_train_loss(df, 0.1, ["v"])
        assert table["reached"].tolist() == [True, False, True]
        assert table["v"].tolist()[:2] == pytest.approx([7.0, np.nan], nan_ok=True)
        assert 7.0 < table["v"].iloc[2] < 7.01

    def test_the_train_loss_is_the_level_between_records(self, curves):
        df = pd.concat([curves("a", [0, 10], train_loss=[1.0, 0.01]), curves("b", [0, 10], train_loss=[0.05, 0.01])])
        table = at_train_loss(df, 0.1)
        assert table["train_loss"].tolist() == [0.1, 0.05]  # b was below it from the start
        assert table["train_loss_level"].tolist() == [0.1, 0.1]

    def test_a_missing_value_is_not_made_up(self, curves):
        df = curves("a", [0, 10], train_loss=[1.0, 0.01], v=[np.nan, 8.0])
        assert np.isnan(at_train_loss(df, 0.1, ["v"])["v"].iloc[0])

    def test_no_run_reaches_it(self, curves):
        table = at_train_loss(curves("a", [0, 10]), 1e-9, ["test_error"])
        assert table["reached"].tolist() == [False]
        assert table[["step", "test_error"]].isna().all(axis=None)

    def test_pairs_at_equal_train_loss(self, curves):
        slow = curves("a", [0, 10, 20], train_loss=[1.0, 0.1, 0.01], test_error=[0.5, 0.4, 0.3])
        fast = curves("b", [0, 10], train_loss=[1.0, 0.01], test_error=[0.5, 0.1])
        fast["optimizer.name"] = "sam"
        there = at_train_loss(pd.concat([slow, fast]), 0.1, ["test_error"])
        assert paired_difference(there, "test_error")["difference"].tolist() == pytest.approx([0.4 - 0.3])

    def test_one_row_a_run_does_not_know_when(self, curves):
        df = curves({}, {"train_loss": [1.0, 0.5, 0.2]})
        with pytest.raises(ValueError, match="every run has one row"):
            at_train_loss(df.drop_duplicates("run_id", keep="last"), 0.3, [])

    def test_a_level_is_positive(self, curves):
        with pytest.raises(ValueError, match="positive, not 0"):
            at_train_loss(curves("a", [0]), 0.0, ["test_error"])


class TestHalfTime:
    def test_linear_between_records_and_blind_to_the_sign(self, curves):
        df = pd.concat([curves("a", [0, 10, 40], v=[0.0, 1.0, 4.0]), curves("b", [0, 10, 40], v=[0.0, -1.0, -4.0])])
        table = half_time(df, "v")
        assert table["half_time"].tolist() == pytest.approx([20.0, 20.0])
        assert table["final"].tolist() == [4.0, -4.0]

    def test_first_time_of_a_value_that_overshoots(self, curves):
        df = curves("a", [0, 10, 20, 30], v=[0.0, 4.0, 0.0, 2.0])
        assert half_time(df, "v")["half_time"].tolist() == pytest.approx([2.5])

    def test_a_curve_in_units_of_its_half_life(self, curves):
        steps = np.arange(0, 1001)
        df = curves("a", steps, v=1 - np.exp(-steps / 50))
        assert half_time(df, "v")["half_time"].iloc[0] == pytest.approx(50 * np.log(2), abs=1e-2)

    def test_no_answer_for_zero_nor_for_a_diverged_run(self, curves):
        df = pd.concat(
            [
                curves("a", [0, 10], v=[0.0, 0.0]),
                curves("b", [0, 10], v=[0.0, 9.0], status="diverged"),
                curves("c", [0, 10], v=[0.0, np.nan]),
            ]
        )
        assert half_time(df, "v")["half_time"].isna().all()


@pytest.mark.parametrize("name", ["height", "share", "before", "mean", "optimizer"])
def test_a_value_may_have_any_name(curves, name):
    df = curves("a", [0, 10], train_loss=[1.0, 0.1], **{name: [4.0, 2.0]})
    assert at_train_loss(df, 0.1, [name])[name].tolist() == [2.0]
    assert seed_quantiles(df, name, "optimizer.name")["mean"].tolist() == [4.0, 2.0]
    with pytest.raises(ValueError, match="adds a column 'reached' of its own"):
        at_train_loss(df.assign(reached=1.0), 0.1, ["reached"])


def test_infinite_values_are_followed(curves):
    df = pd.concat([curves("a", [0, 10], v=[np.inf, 1.0]), curves("b", [0, 10], v=[2.0, 3.0]).assign(seed=1)])
    assert seed_quantiles(df, "v", "optimizer.name")["mean"].tolist() == [np.inf, 2.0]


def test_runs_come_in_the_order_of_the_table():
    df = pd.DataFrame({"run_id": ["z", "z", "a", "a"], "step": [0, 1, 0, 1], "train_loss": [1.0, 0.1, 1.0, 0.1]})
    assert at_train_loss(df, 0.5)["run_id"].tolist() == ["z", "a"]


class TestCommonTrainLoss:
    @pytest.mark.parametrize(("last", "level"), [([0.03, 0.012], 0.05), ([0.1, 0.05], 0.1), ([0.2, 0.21], None)])
    def test_the_least_round_loss_that_every_run_reaches(self, curves, last, level):
        rows = pd.concat([curves(f"r{i}", [0, 1], seed=i, train_loss=[0.3, end]) for i, end in enumerate(last)])
        assert common_train_loss(rows) == level

    def test_a_share_of_runs_may_miss_it(self, curves):
        rows = pd.concat([curves(f"r{i}", [0, 1], seed=i, train_loss=[1.0, 0.9 if i else 0.9**9]) for i in range(2)])
        assert common_train_loss(rows, 0.5) is None and common_train_loss(rows.query("seed == 0")) == 0.5

    def test_runs_that_diverged_do_not_count(self, curves):
        assert common_train_loss(curves("a", [0, 1], status="diverged", train_loss=[0.5, 0.1])) is None
