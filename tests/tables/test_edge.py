"""The ratio of sharpness to edge, from stores written out by hand."""

import numpy as np
import pandas as pd
import pytest

from featlearn.tables import edge_in_use, edge_ratio, edge_ratio_grid, mean_interval

STEPS = [0, 10, 20, 30, 40]


@pytest.fixture
def sam(curves):
    """Return a function that makes a SAM run with 2 / lr at 10 and its own edge at 5."""

    def make(run_id, sharpness, **values):
        head = {"optimizer.name": "sam", "optimizer.rho": 0.1, "stability_edge": 10.0, "sam_edge": 5.0}
        return curves(run_id, STEPS, **{**head, "sharpness": sharpness, **values})

    return make


def test_the_ratio_is_the_median_over_the_second_half_and_reached_is_read_in_the_first(sam):
    df = pd.concat(
        [
            sam("stays", [1.0, 5.0, 4.0, 5.1, 5.3]),
            sam("leaves", [6.0, 5.0, 4.0, 2.0, 1.0], seed=1),
            sam("late", [1.0, 2.0, 4.9, 6.0, 6.0], seed=2),
        ]
    )
    table = edge_ratio(df.sample(frac=1, random_state=0)).set_index("run_id")
    assert table["ratio"].to_dict() == pytest.approx({"stays": 1.04, "leaves": 0.3, "late": 1.2})
    assert table["reached"].to_dict() == {"stays": True, "leaves": True, "late": False}


def test_the_second_half_is_that_of_the_steps_not_of_the_records(sam):
    df = sam("r", [5.0, 5.0, 5.0, 5.0, 10.0]).assign(step=[0, 1, 2, 3, 40])
    assert edge_ratio(df)["ratio"].item() == 2.0


def test_the_edge_is_that_of_the_rule_in_use(sam):
    sgd = sam("gd", [10.0] * 5, **{"optimizer.name": "sgd", "sam_edge": np.nan, "optimizer.rho": np.nan})
    df = pd.concat([sgd, sam("sam", [5.0] * 5)], ignore_index=True)
    assert edge_in_use(df).tolist() == [10.0] * 5 + [5.0] * 5
    assert edge_ratio(df)["ratio"].tolist() == [1.0, 1.0]
    assert edge_ratio(sgd.drop(columns="sam_edge"))["ratio"].item() == 1.0


def test_a_diverged_run_has_no_ratio_and_is_counted(sam):
    df = pd.concat([sam("a", [5.0] * 5), sam("b", [5.0] * 5, seed=1, status="diverged")])
    ratios = edge_ratio(df)
    assert ratios["ratio"].isna().tolist() == [False, True]
    row = edge_ratio_grid(ratios).iloc[0]
    assert (row["n"], row["reached"], row["lost"], row["mean"]) == (1, 1, 1, 1.0) and np.isnan(row["low"])


def test_cells_are_averaged_over_seeds_with_the_students_interval(sam):
    ends = {0.1: (5.0, 5.5, 6.0), 0.2: (1.0, 2.0, 3.0)}
    df = pd.concat(
        [sam(f"{lr}-{i}", [end] * 5, seed=i, **{"optimizer.lr": lr}) for lr in ends for i, end in enumerate(ends[lr])]
    )
    table = edge_ratio_grid(edge_ratio(df))
    assert table["optimizer.lr"].tolist() == [0.1, 0.2] and table["reached"].tolist() == [3, 0]
    wanted = mean_interval([1.0, 1.1, 1.2])
    assert table.loc[0, ["mean", "se", "low", "high"]].tolist() == pytest.approx(list(wanted))
    assert table.loc[0, ["least", "most", "n", "lost"]].tolist() == pytest.approx([1.0, 1.2, 3, 0])


@pytest.mark.parametrize("column", ["sharpness", "sam_edge"])
@pytest.mark.parametrize("as_column", [True, False])
def test_columns_that_were_not_recorded_are_named(sam, column, as_column):
    df = sam("a", [5.0] * 5)
    df = df.assign(**{column: np.nan}) if as_column else df.drop(columns=column)
    with pytest.raises(ValueError, match=rf"1 runs \(sam\) hold no {column}: add the tracker {column} to record"):
        edge_ratio(df)


def test_a_rule_without_any_edge_is_named(sam):
    df = sam("a", [5.0] * 5, **{"optimizer.name": "msam"}).drop(columns=["stability_edge", "sam_edge"])
    with pytest.raises(ValueError, match=r"\(msam\) hold no stability_edge: .* which SGD, SAM and USAM have"):
        edge_ratio(df)
