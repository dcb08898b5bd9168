"""Which rows and which columns are meant."""

import pandas as pd
import pytest

from featlearn.tables import (
    by_optimizer,
    cell_columns,
    cell_labels,
    last_rows,
    main_axes,
    optimizer_labels,
    select,
    varying,
)

SAM = {"optimizer.name": "sam"}


def test_last_rows_ignores_the_order_of_rows():
    df = pd.DataFrame({"run_id": ["a", "b", "a", "b"], "step": [9, 0, 3, 4], "v": [1, 2, 3, 4]})
    assert last_rows(df)["v"].tolist() == [1, 4]


def test_varying_counts_missing_as_a_value_and_trackers_not_at_all(runs):
    df = runs({"optimizer.rho": 0.1, "test_error": 0.1}, {"seed": 1})
    assert varying(df) == ["seed", "optimizer.rho"]


def test_select_finds_close_floats_and_lists_what_there_is(runs):
    df = runs({"data.signal_norm": 0.1 + 0.2}, {"data.signal_norm": 0.4})
    assert select(df, {"data.signal_norm": 0.3})["run_id"].tolist() == ["r0"]
    assert select(df, {"optimizer.name": "sgd", "data.dim": 1000})["run_id"].tolist() == ["r0", "r1"]
    with pytest.raises(ValueError, match=r"no row has data.signal_norm = 0.5; it takes 0.3, 0.4"):
        select(df, {"data.signal_norm": 0.5})
    for word in ("data.dimm", "dim"):
        with pytest.raises(ValueError, match=rf"no column '{word}'; did you mean 'data\.dim'"):
            select(df, {word: 1})


def test_a_cell_is_named_by_lr_radius_and_what_varies(runs):
    df = runs({"optimizer.lr": 0.1}, SAM | {"optimizer.lr": 0.1, "optimizer.rho": 0.03}).assign(seed=[0, 1])
    assert cell_labels(df).tolist() == ["sgd lr=0.1", "sam lr=0.1 rho=0.03"]
    theory = df.assign(**{"data.dim": [100, 200], "optimizer.rho.theory": [None, 2.0]})
    assert cell_labels(theory).tolist() == ["sgd lr=0.1 data.dim=100", "sam lr=0.1 data.dim=200 rho.theory=2"]
    assert cell_labels(runs({}, {"seed": 1})).tolist() == ["sgd", "sgd"]


def test_what_follows_from_the_rest_tells_no_cells_apart(runs):
    norms = [{"data.dim": d, "data.signal_norm": s, "data.snr": s / d} for d in (10, 20) for s in (1.0, 2.0, 3.0)]
    init = [{"network.init_std": 1 / row["data.dim"], "network.init_std.theory": 1.0} for row in norms]
    df = runs(*({**row, **std} for row, std in zip(norms, init, strict=True)))
    assert {*cell_columns(df)} == {"data.dim", "data.signal_norm"}
    given = df.drop(columns="network.init_std.theory")
    assert {*cell_columns(given)} == {"data.dim", "data.signal_norm"}
    several = given.assign(**{"network.init_std": [0.1, 0.2] * 3})
    assert {*cell_columns(pd.concat([several, given]))} == {"data.dim", "data.signal_norm", "network.init_std"}
    snrs = df.assign(
        **{"data.snr": df["data.signal_norm"], "data.signal_norm": df["data.signal_norm"] * df["data.dim"]}
    )
    assert {*cell_columns(snrs)} == {"data.dim", "data.snr"}


class TestOptimizerLabels:
    def test_a_name_is_enough_where_it_is_alone(self, runs):
        assert optimizer_labels(runs({}, SAM)).tolist() == ["sgd", "sam"]

    def test_what_tells_two_apart_in_a_cell_is_spelled(self, runs):
        df = runs({}, SAM | {"optimizer.rho": 0.03}, SAM | {"optimizer.rho": 0.1, "optimizer.stop": 40.0})
        assert optimizer_labels(df).tolist() == ["sgd", "sam rho=0.03", "sam rho=0.1 stop=40"]

    def test_a_radius_that_follows_the_dimension_is_not_spelled(self, runs):
        near = SAM | {"data.dim": 1000, "optimizer.rho": 0.3}
        far = SAM | {"data.dim": 4000, "optimizer.rho": 0.15}
        assert optimizer_labels(runs(near, far)).unique().tolist() == ["sam"]

    def test_of_a_theory_radius_the_constant_is_spelled(self, runs):
        rows = [
            SAM | {"data.dim": d, "optimizer.rho": c / d**0.5, "optimizer.rho.theory": c}
            for d in (100, 400)
            for c in (1.0, 0.5)
        ]
        assert optimizer_labels(runs(*rows)).unique().tolist() == ["sam rho.theory=1", "sam rho.theory=0.5"]

    def test_numbers_and_theory_radii_can_meet(self, runs):
        radii = [{"optimizer.rho": 0.03}, {"optimizer.rho": 0.1}, {"optimizer.rho": 0.2, "optimizer.rho.theory": 1.0}]
        labels = optimizer_labels(runs(*(SAM | radius for radius in radii)))
        assert labels.tolist() == ["sam rho=0.03", "sam rho=0.1", "sam rho.theory=1"]

    def test_an_axis_is_not_spelled(self, runs):
        df = runs(SAM | {"optimizer.rho": 0.03}, SAM | {"optimizer.rho": 0.1})
        assert optimizer_labels(df, ignore=["optimizer.rho"]).unique().tolist() == ["sam"]

    def test_split_by_label_or_by_name(self, runs):
        df = runs({}, SAM | {"optimizer.rho": 0.03}, SAM | {"optimizer.rho": 0.1})
        assert list(by_optimizer(df)) == ["sgd", "sam rho=0.03", "sam rho=0.1"]
        assert list(by_optimizer(df, "sam")) == ["sam rho=0.03", "sam rho=0.1"]
        assert by_optimizer(df, "sam rho=0.1")["sam rho=0.1"]["run_id"].tolist() == ["r2"]
        with pytest.raises(ValueError, match=r"no optimizer 'adam'; there are sgd, sam rho=0.03"):
            by_optimizer(df, "adam")
        twice = pd.concat([df, df.assign(run_id=df["run_id"] + "+", seed=1)])  # its index repeats
        assert len(by_optimizer(twice)["sgd"]) == 2
        with pytest.raises(ValueError, match="no rows"):
            by_optimizer(df.head(0))


class TestMainAxes:
    def test_signal_against_dimension_whatever_follows_from_them(self, runs):
        df = runs(
            {"data.snr": 0.1, "network.init_std": 0.1},
            {"data.snr": 0.2, "data.signal_norm": 10.0, "network.init_std": 0.1},
            {"data.snr": 0.3, "data.dim": 100, "network.init_std": 0.3},
        )
        assert main_axes(df) == ("data.signal_norm", "data.dim")

    def test_snr_where_that_was_swept(self, runs):
        rows = [{"data.snr": s, "data.n_samples": n, "data.signal_norm": s * n} for s in (1.0, 2.0) for n in (3, 5)]
        assert main_axes(runs(*rows)) == ("data.snr", "data.n_samples")

    def test_what_is_given_stays_and_what_is_open_is_asked(self, runs):
        df = runs({}, {"data.dim": 4000, "network.n_filters": 5})
        assert main_axes(df, "network.n_filters", "data.dim") == ("network.n_filters", "data.dim")
        with pytest.raises(ValueError, match=r"these vary: data.dim, network.n_filters"):
            main_axes(df)
