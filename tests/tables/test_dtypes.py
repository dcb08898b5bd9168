"""Every column type gives the same numbers."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from featlearn.tables import (
    at_step,
    at_train_loss,
    by_optimizer,
    cell_labels,
    difference_grid,
    edge_ratio,
    edge_ratio_grid,
    half_time,
    main_axes,
    mean_interval,
    paired_difference,
    phase_grid,
    seed_quantiles,
    varying,
)
from featlearn.tables.dtypes import missing, plain, refuse_names


def as_objects(df):
    return df.astype(object).where(df.notna(), None)


KINDS = {
    "nullable": lambda df: df.convert_dtypes(),
    "arrow": lambda df: df.convert_dtypes(dtype_backend="pyarrow"),
    "categories": lambda df: df.astype("category"),
    "objects": as_objects,
}


@pytest.fixture(params=KINDS)
def convert(request):
    """Return a function that turns the columns of a table into another kind."""
    return KINDS[request.param]


@pytest.fixture
def table(runs):
    """Return two optimizers with two seeds at two signals; SGD has no radius, and one run has no value."""
    rules = [{}, {"optimizer.name": "sam", "optimizer.rho": 0.1}]
    rows = [
        rule | {"data.signal_norm": s, "seed": seed, "test_error": np.nan if rule and seed else 0.1 * s + seed / 10}
        for rule in rules
        for s in (1.0, 2.5)
        for seed in (0, 1)
    ]
    return runs(*rows).assign(sharpness=10.0, stability_edge=12.0, sam_edge=[np.nan] * 4 + [9.0] * 4)


def test_numbers_words_and_gaps_come_back(table, convert):
    back = plain(convert(table))
    pd.testing.assert_frame_equal(back, table, check_dtype=False)
    assert [dtype.kind for dtype in back[["test_error", "optimizer.rho", "step"]].dtypes if dtype.kind != "f"] in (
        ["i"],
        [],
    )
    assert plain(table) is table


@pytest.mark.parametrize(
    "make",
    [
        lambda df: phase_grid(df[df["optimizer.name"] == "sgd"], "data.signal_norm", "data.dim", "test_error"),
        lambda df: paired_difference(df, "test_error").astype({"outcome": "str"}),
        lambda df: difference_grid(paired_difference(df, "test_error"), ["data.signal_norm"]),
        lambda df: edge_ratio_grid(edge_ratio(df))[["mean", "n", "lost"]],
        lambda df: pd.DataFrame({"names": varying(df)}),
        lambda df: pd.DataFrame({"cell": cell_labels(df).tolist(), "n": [len(by_optimizer(df))] * len(df)}),
    ],
)
def test_tables_are_the_same(table, convert, make):
    pd.testing.assert_frame_equal(make(convert(table)), make(table), check_dtype=False)


def test_trajectories_are_the_same(curves, convert):
    df = curves("a", [0, 10, 20], train_loss=[1.0, 0.5, 0.1], test_error=[0.5, 0.3, 0.2])
    for make in (
        lambda df: at_train_loss(df, 0.3, ["test_error"])[["step", "test_error"]],
        lambda df: half_time(df, "test_error")[["half_time", "final"]],
        lambda df: seed_quantiles(df, "test_error", "optimizer.name")[["step", "mean", "n"]],
    ):
        pd.testing.assert_frame_equal(make(convert(df)), make(df), check_dtype=False)


def test_axes_and_means_of_other_kinds(table, convert):
    df = convert(table.assign(**{"data.dim": [100, 200] * 4, "seed": 0}))
    assert main_axes(df) == ("data.signal_norm", "data.dim")
    assert mean_interval(pd.array([1.0, None, 3.0], dtype="Float64")).mean == 2.0


def test_lists_become_tuples_and_decimals_numbers():
    df = plain(pd.DataFrame({"a": [[1.0, [2]], np.array([3.0])], "b": [Decimal("0.5"), None], "c": ["x", 1]}))
    assert df["a"].tolist() == [(1.0, (2,)), (3.0,)] and df["a"].nunique() == 2
    assert df["b"].dtype == float and np.isnan(df["b"][1])
    assert df["c"].tolist() == ["x", 1]


def test_missing_values():
    assert all(map(missing, [None, pd.NA, pd.NaT, np.nan]))
    assert not any(map(missing, [(), (np.nan,), "", 0, np.inf]))


def test_names_of_the_tables_own_are_refused():
    refuse_names(["a"], ["mean"])
    with pytest.raises(ValueError, match="the table adds a column 'mean' of its own: rename yours first"):
        refuse_names(["a", "mean"], ["mean", "n"])


@pytest.mark.parametrize("name", ["run_id", "step"])
def test_an_index_may_have_the_name_of_a_column(curves, name):
    df = curves("a", [0, 10], train_loss=[1.0, 0.01], v=[0.0, 2.0]).set_index(name, drop=False)
    assert half_time(df, "v")["half_time"].tolist() == [5.0]
    assert at_step(df, 10)["v"].tolist() == [2.0]


def test_a_step_is_found_in_every_kind_of_column(curves, convert):
    df = convert(curves("a", [0, 10], train_loss=[1.0, 0.01]))
    assert at_step(df, 10)["train_loss"].tolist() == [0.01]
