"""Selection of rows and columns."""

import pandas as pd
import pytest

from featlearn.config import load_config
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
from featlearn.tables.cells import phase_grid
from featlearn.tables.columns import mixed_columns, places
from featlearn.tables.pairs import difference_grid, paired_difference

SAM = {"optimizer.name": "sam"}


def test_last_rows_ignores_the_order_of_rows():
    df = pd.DataFrame({"run_id": ["a", "b", "a", "b"], "step": [9, 0, 3, 4], "v": [1, 2, 3, 4]})
    assert last_rows(df)["v"].tolist() == [1, 4]


def test_varying_counts_missing_as_a_value_and_trackers_not_at_all(runs):
    df = runs({"optimizer.rho": 0.1, "test_error": 0.1}, {"seed": 1})
    assert varying(df) == ["seed", "optimizer.rho"]


def test_select_finds_close_floats_and_lists_the_values(runs):
    df = runs({"data.signal_norm": 0.1 + 0.2}, {"data.signal_norm": 0.4})
    assert select(df, {"data.signal_norm": 0.3})["run_id"].tolist() == ["r0"]
    assert select(df, {"optimizer.name": "sgd", "data.dim": 1000})["run_id"].tolist() == ["r0", "r1"]
    with pytest.raises(ValueError, match=r"no row has data.signal_norm = 0.5; it takes 0.3, 0.4"):
        select(df, {"data.signal_norm": 0.5})
    for word in ("data.dimm", "dim"):
        with pytest.raises(ValueError, match=rf"no column '{word}'; did you mean 'data\.dim'"):
            select(df, {word: 1})


def test_a_cell_is_named_by_lr_radius_and_varying_keys(runs):
    df = runs({"optimizer.lr": 0.1}, SAM | {"optimizer.lr": 0.1, "optimizer.rho": 0.03}).assign(seed=[0, 1])
    assert cell_labels(df).tolist() == ["sgd lr=0.1", "sam lr=0.1 rho=0.03"]
    theory = df.assign(**{"data.dim": [100, 200], "optimizer.rho.theory": [None, 2.0]})
    assert cell_labels(theory).tolist() == ["sgd lr=0.1 data.dim=100", "sam lr=0.1 data.dim=200 rho.theory=2"]
    assert cell_labels(runs({}, {"seed": 1})).tolist() == ["sgd", "sgd"]


def test_derived_columns_distinguish_no_cells(runs):
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

    def test_differences_within_a_cell_are_spelled_out(self, runs):
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
    def test_signal_against_dimension_whatever_is_derived_from_them(self, runs):
        df = runs(
            {"data.snr": 0.1, "network.init_std": 0.1},
            {"data.snr": 0.2, "data.signal_norm": 10.0, "network.init_std": 0.1},
            {"data.snr": 0.3, "data.dim": 100, "network.init_std": 0.3},
        )
        assert main_axes(df) == ("data.signal_norm", "data.dim")

    def test_snr_where_that_was_swept(self, runs):
        rows = [{"data.snr": s, "data.n_samples": n, "data.signal_norm": s * n} for s in (1.0, 2.0) for n in (3, 5)]
        assert main_axes(runs(*rows)) == ("data.snr", "data.n_samples")

    @pytest.mark.parametrize("given", [("data.dim", None), (None, "data.snr"), ("data.snr", None), (None, "data.dim")])
    def test_the_other_axis_is_the_remaining_one(self, planned, given):
        df = planned(SNR, "data.snr: [0.1, 0.2, 0.3], data.dim: [100, 200], seed: [0, 1]")
        assert {*main_axes(df, *given)} == {"data.dim", "data.snr"}

    def test_a_signal_that_follows_from_the_dimension_alone_is_no_axis(self, planned):
        recipe = "network: {init_std: {theory: 1}}"
        df = planned(NORM, "data.dim: [100, 200], network.init_std.theory: [1, 2], seed: [0, 1]", recipe)
        with pytest.raises(ValueError, match="choose the columns x and y"):
            main_axes(df)

    def test_given_axes_are_kept_and_ambiguous_ones_are_refused(self, runs):
        df = runs({}, {"data.dim": 4000, "network.n_filters": 5})
        assert main_axes(df, "network.n_filters", "data.dim") == ("network.n_filters", "data.dim")
        with pytest.raises(ValueError, match=r"these vary: data.dim, network.n_filters"):
            main_axes(df)


RECIPE = "optimizer: [{name: sgd, lr: 0.01}, {name: sam, lr: 0.01, rho: {theory: 1}}], seed: [0, 1]"
SNR = "data: {dim: 1000, snr: 0.1}"
NORM = "data: {dim: 1000, signal_norm: 5}"


@pytest.fixture
def planned(tmp_path):
    """The runs of a sweep as a table, as if each had been trained."""

    def table(data, sweep, more=""):
        base = (
            f"{data}\ntrain: {{n_steps: 5}}\noptimizer: {{name: sam, lr: 0.01, rho: 0.03}}\n{more}\nsweep: {{{sweep}}}"
        )
        (tmp_path / "x.yaml").write_text(base)
        runs = load_config(tmp_path / "x.yaml").runs()
        head = {"step": 5, "status": "ok", "test_error": 0.1}
        return pd.DataFrame([{"run_id": run.run_id, **run.columns(), **head} for run in runs])

    return table


class TestGivenAndDerived:
    SIGNALS = "data.snr: {geomspace: [0.01, 0.2, 9]}, data.dim: {geomspace: [1000, 20000, 6]}"

    def test_a_given_snr_is_an_axis_like_any_other(self, planned):
        df = planned(SNR, f"{self.SIGNALS}, {RECIPE}")
        assert (df["data.snr"].nunique(), df["data.dim"].nunique()) == (9, 6)
        assert main_axes(df) == ("data.snr", "data.dim")
        assert {"data.snr", "data.dim"} == {c for c in cell_columns(df) if c.startswith("data.")}
        sgd = by_optimizer(df, ignore=("data.snr", "data.dim"))["sgd"]
        assert phase_grid(sgd, "data.snr", "data.dim", "test_error")["n"].tolist() == [2] * 54
        grid = difference_grid(paired_difference(df, "test_error"), ["data.snr", "data.dim"])
        assert grid["n"].tolist() == [2] * 54
        assert mixed_columns(sgd, ["data.snr"]) == ["data.dim"]
        for dim in df["data.dim"].unique():
            one = select(sgd, {"data.dim": int(dim)})
            assert mixed_columns(one, ["data.snr"]) == mixed_columns(one, ["data.signal_norm"]) == []
            assert one["data.signal_norm"].nunique() == 9

    @pytest.mark.parametrize(
        ("data", "sweep", "axes"),
        [
            (SNR, "data.dim: [1000, 1821, 3317]", ["data.dim"]),  # the norm follows
            (SNR, "data.noise_std: [0.1, 0.3, 0.7]", ["data.noise_std"]),
            (NORM, "data.noise_std: [0.1, 0.3, 0.7]", ["data.noise_std", "data.snr"]),
            (NORM, "data.signal_norm: [0.3, 0.7, 1.1]", ["data.signal_norm", "data.snr"]),
            (NORM, "data.n_samples: [10, 20]", ["data.n_samples", "train.batch_size"]),  # full
            (NORM, "data.dim: [1000, 4000]", ["data.dim", "network.init_std"]),
            (NORM, "zip: {data.dim: [1000, 4000], optimizer.lr: [0.02, 0.005]}", ["data.dim", "optimizer.lr"]),
            (NORM, "zip: {data.dim: [1000, 4000], network.n_filters: [5, 9]}", ["data.dim", "network.n_filters"]),
            (NORM, "network.init_std.theory: [0.1, 0.3]", ["network.init_std.theory", "network.init_std"]),
            (NORM, "optimizer.rho.theory: [0.1, 0.3]", ["optimizer.rho.theory", "optimizer.rho"]),
            (
                NORM,
                "optimizer.lr_schedule.name: [step], zip: {train.n_steps: [5, 9], optimizer.lr_schedule.every: [2, 3]}",
                ["train.n_steps", "optimizer.lr_schedule.every"],
            ),
        ],
    )
    def test_either_of_two_keys_is_an_axis_where_one_follows_from_the_other(self, planned, data, sweep, axes):
        df = planned(data, f"{sweep}, seed: [0, 1]", "network: {init_std: {theory: 1}}")
        for axis in axes:
            (part,) = by_optimizer(df, ignore=(axis,)).values()
            assert mixed_columns(part, [axis]) == []
            assert phase_grid(part, axis, "optimizer.name", "test_error")["n"].tolist() == [2] * df[axis].nunique()

    def test_a_derived_column_is_no_second_axis(self, planned):
        df = planned(NORM, "data.signal_norm: [1, 2], data.n_samples: [10, 20], seed: [0, 1]")
        assert main_axes(df) == ("data.signal_norm", "data.n_samples")
        df = planned(
            NORM, "data.signal_norm: [1, 2], network.init_std.theory: [1, 2]", "network: {init_std: {theory: 1}}"
        )
        assert main_axes(df) == ("data.signal_norm", "network.init_std.theory")
        assert main_axes(planned(SNR, "data.snr: [0.3, 0.7], network.n_filters: [3, 4]"))[0] == "data.snr"

    def test_values_that_differ_by_rounding_alone_are_one_place(self, planned):
        df = planned(NORM, "zip: {data.signal_norm: [0.7, 2.1], data.dim: [1000, 9000]}, seed: [0, 1]")
        assert df["data.snr"].nunique() == 2  # 0.7 / sqrt(1000), to the last bit
        assert phase_grid(df, "data.snr", "data.dim", "test_error")["data.snr"].nunique() == 1
        near = df.assign(**{"data.snr": [0.3, 0.1 + 0.2, 0.4, 0.3]})
        assert places(near, ["data.snr"], by=["run_id"])["data.snr"].tolist() == [0.3, 0.3, 0.4, 0.3]
        assert places(near.assign(seed=0), ["data.snr"])["data.snr"].tolist() == near["data.snr"].tolist()

    def test_mixed_cells_are_reported(self, planned):
        df = planned(NORM, "data.dim: [1000, 4000], data.signal_norm: [1, 2], network.bias: [true, false]")
        assert mixed_columns(df, ["data.dim"]) == ["data.signal_norm", "network.bias"]
