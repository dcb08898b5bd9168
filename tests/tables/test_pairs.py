"""Pairing runs, and refusal where it is ambiguous."""

import numpy as np
import pytest
from scipy import stats

from featlearn.tables import difference_grid, mean_interval, paired_difference

SAM = {"optimizer.name": "sam", "optimizer.rho": 0.03}


def test_subtracts_runs_of_one_seed_and_cell_in_any_order(runs):
    df = runs(
        SAM | {"seed": 1, "test_error": 0.1},
        {"seed": 0, "test_error": 0.4},
        {"seed": 1, "test_error": 0.3},
        SAM | {"seed": 0, "test_error": 0.25},
    )
    pairs = paired_difference(df, "test_error").set_index("seed")
    assert pairs["difference"].to_dict() == pytest.approx({0: 0.15, 1: 0.2})
    assert (pairs["outcome"] == "paired").all()
    assert pairs["first"].tolist() == [0.4, 0.3]


def test_pairing_removes_the_common_part_of_two_runs(runs):
    luck = np.random.default_rng(0).normal(0, 0.1, 20)
    rows = [{"seed": s, "test_error": 0.4 + x} for s, x in enumerate(luck)]
    rows += [SAM | {"seed": s, "test_error": 0.3 + x + 0.01 * (-1) ** s} for s, x in enumerate(luck)]
    df = runs(*rows)
    paired = mean_interval(paired_difference(df, "test_error")["difference"])
    assert paired.low < 0.1 < paired.high and paired.se < 0.003
    unpaired = df.groupby("optimizer.name")["test_error"].sem().pow(2).sum() ** 0.5
    assert unpaired > 8 * paired.se


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"seed": 7}, "no partner"),
        ({"status": "diverged"}, "diverged"),
        ({"test_error": np.nan}, "no value"),
        ({"train_loss": 0.121}, "train loss"),
        ({"train_loss": 0.119}, "paired"),
        ({"status": "fitted"}, "paired"),
    ],
)
def test_incomplete_pairs_are_reported(runs, change, outcome):
    df = runs({"seed": 0}, SAM | {"seed": 0}, {"seed": 1}, SAM | {"seed": 1} | change)
    pairs = paired_difference(df, "test_error", train_loss_tol=1.2)
    row = pairs[pairs["seed"] == 1].iloc[0]
    assert row["outcome"] == outcome
    assert np.isnan(row["difference"]) == (outcome != "paired")


def test_train_losses_are_not_looked_at_unless_asked(runs):
    df = runs({"train_loss": 0.001}, SAM | {"train_loss": 0.6})
    assert paired_difference(df, "test_error")["outcome"].tolist() == ["paired"]
    assert paired_difference(df.drop(columns="train_loss"), "test_error")["outcome"].tolist() == ["paired"]


def test_refuses_to_guess_and_lists_the_choices(runs):
    df = runs({}, SAM, SAM | {"optimizer.rho": 0.1})
    with pytest.raises(ValueError, match=r"2 sam runs share seed = 0; they differ in optimizer.rho \(0.03, 0.1\)"):
        paired_difference(df, "test_error")
    chosen = df[df["optimizer.rho"] != 0.1]
    assert len(paired_difference(chosen, "test_error")) == 1


def test_other_optimizers_do_not_disturb(runs):
    df = runs({}, SAM, {"optimizer.name": "adam"}, {"optimizer.name": "adam", "optimizer.lr": 3.0})
    assert len(paired_difference(df, "test_error")) == 1


def test_keys_can_be_chosen(runs):
    df = runs({"train.n_steps": 100}, SAM | {"train.n_steps": 50})
    with pytest.raises(ValueError, match=r"no sgd run shares seed, train.n_steps with a sam run"):
        paired_difference(df, "test_error")
    assert paired_difference(df, "test_error", keys=["data.dim"])["outcome"].tolist() == ["paired"]


def test_bad_calls_are_refused(runs):
    df = runs({}, SAM)
    with pytest.raises(ValueError, match=r"no run has optimizer.name = 'adam'"):
        paired_difference(df, "test_error", second="adam")
    with pytest.raises(ValueError, match=r"at least 1, not 0\.1"):
        paired_difference(df, "test_error", train_loss_tol=0.1)


def test_cells_of_pairs(runs):
    differences = {1000: [0.1, 0.2, 0.4], 2000: [0.3, np.nan], 3000: [0.5]}
    rows = []
    for dim, values in differences.items():
        for seed, x in enumerate(values):
            rows += [{"seed": seed, "data.dim": dim}, SAM | {"seed": seed, "data.dim": dim, "test_error": 0.2 - x}]
    grid = difference_grid(paired_difference(runs(*rows), "test_error"), ["data.dim"]).set_index("data.dim")
    assert grid["n"].tolist() == [3, 1, 1]
    assert grid["dropped"].tolist() == [0, 1, 0]
    low, high = stats.t.interval(0.95, df=2, loc=0.7 / 3, scale=stats.sem(differences[1000]))
    assert grid.loc[1000, ["mean", "low", "high"]].tolist() == pytest.approx([0.7 / 3, low, high])
    assert grid.loc[[2000, 3000], ["se", "low", "high"]].isna().all(axis=None)


def test_cells_refuse_to_mix(runs):
    df = runs({}, SAM, {"data.dim": 2000}, SAM | {"data.dim": 2000})
    with pytest.raises(ValueError, match=r"2 pairs share data.signal_norm = 5.0, seed = 0"):
        pairs = paired_difference(df, "test_error").assign(**{"data.signal_norm": 5.0})
        difference_grid(pairs, ["data.signal_norm"])


def test_infinite_values(runs):
    rows = [(np.inf, 0.2), (np.inf, np.inf), (0.1, np.inf)]
    df = runs(*(rule | {"seed": s, "test_error": v[i]} for s, v in enumerate(rows) for i, rule in enumerate(({}, SAM))))
    pairs = paired_difference(df, "test_error").set_index("seed")
    assert pairs["difference"].tolist() == pytest.approx([np.inf, np.nan, -np.inf], nan_ok=True)
    assert pairs["outcome"].tolist() == ["paired", "no value", "paired"]


def test_two_may_be_named_row_by_row_and_columns_have_any_name(runs):
    df = runs({"optimizer": 0.4, "value": 0.3}, SAM | {"optimizer": 0.1, "value": 0.1})
    names = df["optimizer.name"].map({"sgd": "plain", "sam": "flat"}).rename("optimizer")
    pairs = paired_difference(df, "optimizer", names, "plain", "flat")
    assert pairs["difference"].tolist() == pytest.approx([0.3])
    assert paired_difference(df, "value")["difference"].tolist() == pytest.approx([0.2])
    with pytest.raises(ValueError, match="no run has optimizer = 'adam'; it takes plain, flat"):
        paired_difference(df, "value", names, "plain", "adam")
    with pytest.raises(ValueError, match="adds a column 'value' of its own"):
        paired_difference(df, "test_error", keys=["value"])
