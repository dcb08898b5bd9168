"""The store keeps every bit, never shows a partial file, and changes no foreign file."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from helpers import make_run
from stores import filled, trajectory

from featlearn.lookup import selected
from featlearn.store import Store, StoreWarning, failed_rows, load, rows, status, summary


def test_rows_are_read_as_written_bit_for_bit(tmp_path):
    trajectories = [trajectory(seed) for seed in range(5)]
    filled(tmp_path / "s", trajectories[:2], trajectories[2:])
    expected = pd.concat([t.to_frame() for t in trajectories], ignore_index=True)
    got = load(tmp_path / "s")
    assert list(got.columns[:4]) == ["run_id", "step", "status", "stopped_step"]
    pd.testing.assert_frame_equal(got[expected.columns], expected, check_exact=True, check_dtype=False)
    assert got["step"].dtype == got["seed"].dtype == got["data.dim"].dtype == np.int64


def test_summary_is_the_last_step_of_every_run(tmp_path):
    filled(tmp_path / "s", [trajectory(0), trajectory(1, steps=(0,)), trajectory(2, steps=(0, 7))])
    last = summary(tmp_path / "s")
    assert last["step"].tolist() == [20, 0, 7]
    assert last["train_loss"].tolist() == [np.sqrt(20.0), np.sqrt(1.0), np.sqrt(9.0)]
    assert last["message"].tolist() == ["ended ok"] * 3


def test_list_columns_are_read_as_arrays(tmp_path):
    base = trajectory(0)
    coef = np.arange(12.0).reshape(3, 4)
    filled(tmp_path / "s", [replace(base, values={"signal_coef": coef})])
    np.testing.assert_array_equal(np.stack(load(tmp_path / "s")["signal_coef"].tolist()), coef)
    np.testing.assert_array_equal(summary(tmp_path / "s")["signal_coef"][0], coef[-1])


def test_parts_with_other_columns_fill_up_with_nan(tmp_path):
    first = [trajectory(0, columns=("train_loss",)), trajectory(1)]
    second = [trajectory(2, columns=("test_error",), steps=(0, 5), train__stop_at_train_loss=0.1)]
    filled(tmp_path / "s", first, second)
    df = load(tmp_path / "s")
    assert df["train_loss"].notna().tolist() == [True] * 6 + [False] * 2
    assert df["test_error"].notna().tolist() == [False] * 6 + [True] * 2
    assert df["train.stop_at_train_loss"].tolist()[-1] == 0.1
    assert df["train.stop_at_train_loss"].isna().sum() == 6
    assert summary(tmp_path / "s")["test_error"].isna().tolist() == [True, True, False]


def test_rows_come_in_the_order_of_the_sweep_whoever_finished_first(tmp_path):
    store = Store.create(tmp_path / "s", "test")
    trajectories = [trajectory(seed) for seed in range(4)]
    store.add_plan([t.run.run_id for t in trajectories], "{}")
    for seed in (2, 0, 3, 1):
        store.add_part(rows([trajectories[seed]]), {})
    assert summary(tmp_path / "s")["seed"].tolist() == [0, 1, 2, 3]
    assert load(tmp_path / "s")["seed"].tolist() == np.repeat([0, 1, 2, 3], 3).tolist()


def test_a_failure_has_a_row_without_numbers_until_a_success_replaces_it(tmp_path):
    path = tmp_path / "s"
    store = filled(path, [trajectory(0)])
    store.add_plan([make_run(seed=seed).run_id for seed in range(2)], "{}")
    store.add_part(failed_rows([make_run(seed=1)], "ValueError: no"), {})
    last = summary(path)
    assert last["status"].tolist() == ["ok", "failed"]
    assert last["message"][1] == "ValueError: no"
    assert last.loc[1, ["step", "stopped_step", "train_loss"]].isna().all()
    assert load(path)["seed"].unique().tolist() == [0]
    assert len(store.finished()) == 1

    store.add_part(rows([trajectory(1)]), {})
    store.add_part(failed_rows([make_run(seed=1)], "later, from another machine"), {})
    assert summary(path)["status"].tolist() == ["ok", "ok"]
    assert len(load(path)) == 6
    assert len(store.finished()) == 2


def test_a_store_of_failures_only_and_an_empty_one_can_be_read(tmp_path):
    store = Store.create(tmp_path / "s", "test")
    assert load(tmp_path / "s").empty and summary(tmp_path / "s").empty
    store.add_part(failed_rows([make_run()], "no"), {})
    assert load(tmp_path / "s").empty
    assert summary(tmp_path / "s")["step"].isna().tolist() == [True]


LEFT_OUT = r"left out {} that the latest sweep into .* does not contain; all_sweeps=True \(plot: --all-sweeps\)"


@pytest.mark.parametrize("read", [load, summary])
def test_the_latest_sweep_is_read_as_if_there_were_no_earlier(tmp_path, read):
    """Rows, their order, columns, dtypes; a warning counts what is left out."""
    old = [trajectory(seed, columns=("test_error", "train_loss"), train__n_steps=60) for seed in (8, 9)]
    new = [trajectory(seed) for seed in (3, 1, 2)]
    filled(tmp_path / "alone", new)
    filled(tmp_path / "s", old, new[1:2])
    store = filled(tmp_path / "s", new[:1], new[1:])
    store.add_part(failed_rows([make_run(seed=7)], "no result, so nobody misses it"), {})
    with pytest.warns(StoreWarning, match=LEFT_OUT.format("2 runs")) as warned:
        got = read(tmp_path / "s")
    assert warned[0].filename == __file__
    pd.testing.assert_frame_equal(got, read(tmp_path / "alone"), check_exact=True)
    assert {*read(tmp_path / "s", all_sweeps=True)["seed"]} >= {8, 9, 1, 3, 2}
    assert (status(tmp_path / "s").n_runs, status(tmp_path / "s").others) == (3, 2)


def test_an_earlier_sweep_is_the_latest_when_it_begins_again(tmp_path):
    first, second = [trajectory(0)], [trajectory(1), trajectory(2)]
    filled(tmp_path / "s", first)
    store = filled(tmp_path / "s", second)
    with pytest.warns(StoreWarning, match=LEFT_OUT.format("1 run")):
        assert summary(tmp_path / "s")["seed"].tolist() == [1, 2]
    store.add_plan([first[0].run.run_id], "{}")
    with pytest.warns(StoreWarning, match=LEFT_OUT.format("2 runs")):
        assert summary(tmp_path / "s")["seed"].tolist() == [0]


def test_nothing_is_left_out_of_a_wider_sweep_nor_of_a_store_without_plans(tmp_path):
    """Warnings are errors here: a later sweep of all runs, all_sweeps=True, and a store without plans."""
    trajectories = [trajectory(seed) for seed in range(4)]
    filled(tmp_path / "s", trajectories[2:])
    store = filled(tmp_path / "s", trajectories[:2])
    assert summary(tmp_path / "s", all_sweeps=True)["seed"].tolist() == [2, 3, 0, 1]
    store.add_plan([t.run.run_id for t in trajectories], "{}")
    assert summary(tmp_path / "s")["seed"].tolist() == [0, 1, 2, 3]
    for plan in (tmp_path / "s" / "plans").iterdir():
        plan.unlink()
    assert sorted(summary(tmp_path / "s")["seed"]) == [0, 1, 2, 3]
    assert len(load(tmp_path / "s")) == 12


class TestColumnsAndConditions:
    @pytest.fixture
    def path(self, tmp_path):
        """Runs of three radii, SGD among them without one, in parts with other columns."""
        first = [trajectory(seed, optimizer__lr=0.1 / 3) for seed in range(3)]
        second = [trajectory(seed, optimizer__lr=0.2, columns=("train_loss", "test_error")) for seed in range(3)]
        filled(tmp_path / "s", first, second)
        return tmp_path / "s"

    @pytest.mark.parametrize("read", [load, summary])
    def test_requested_columns_are_returned_in_their_order_and_bits(self, path, read):
        names = ["test_error", "optimizer.lr", "step", "status"]
        pd.testing.assert_frame_equal(read(path, columns=names), read(path)[names], check_exact=True)
        assert list(read(path, columns="optimizer.lr")) == ["optimizer.lr"]

    def test_nothing_else_is_read_from_the_files(self, path, monkeypatch):
        """First what decides about rows, then the rest, of the parts that have some of them."""
        asked = []
        whole = pq.ParquetFile.read

        def read(file, names=None, **options):
            asked.append({*(names or ())})
            return whole(file, names, **options)

        monkeypatch.setattr(pq.ParquetFile, "read", read)
        load(path, columns=["test_error", "seed"], where={"optimizer.lr": 0.2}, all_sweeps=True)
        decides = {"run_id", "status", "optimizer.lr"}
        *first, last = asked[1:]  # the first is a plan
        assert first == [decides, decides] and last == decides | {"step", "test_error", "seed"}

    @pytest.mark.parametrize("read", [load, summary])
    def test_conditions_are_a_mapping(self, path, read):
        with pytest.raises(TypeError, match=r"where is a mapping .* found 'data\.dim=1000'"):
            read(path, where="data.dim=1000")

    @pytest.mark.parametrize("read", [load, summary])
    @pytest.mark.parametrize(
        "where",
        [
            {"optimizer.lr": 0.0333333},
            {"seed": [0, 2]},
            {"seed": range(1, 3), "optimizer.lr": [0.2]},
            {"step": 20},
            {"test_error": None, "seed": 1},
        ],
    )
    def test_conditions_keep_the_rows_that_meet_them(self, path, read, where):
        whole = read(path)
        expected = whole[selected(whole, where)].reset_index(drop=True)
        assert 0 < len(expected) < len(whole) or where == {"step": 20}
        pd.testing.assert_frame_equal(read(path, where=where), expected, check_exact=True)
        names = ["run_id", "train_loss"]
        pd.testing.assert_frame_equal(read(path, columns=names, where=where), expected[names], check_exact=True)

    @pytest.mark.parametrize("read", [load, summary])
    def test_missing_columns_and_values_are_refused(self, path, read):
        with pytest.raises(ValueError, match=r"no column 'dim'; did you mean 'data.dim'"):
            read(path, columns=["dim"])
        with pytest.raises(ValueError, match=r"no column 'tset_error'; did you mean 'test_error'"):
            read(path, where={"tset_error": 1})
        with pytest.raises(ValueError, match=r"no row has seed = 7; it takes 0, 1, 2"):
            read(path, columns=["seed"], where={"seed": 7})

    def test_a_column_of_earlier_sweeps_only_is_reported(self, path):
        Store.open(path).add_plan([trajectory(0, optimizer__lr=0.1 / 3).run.run_id], "{}")
        with pytest.raises(ValueError, match=r"no column 'test_error' in the latest sweep"):
            load(path, columns=["test_error"])

    def test_an_empty_store_has_none_of_them(self, tmp_path):
        Store.create(tmp_path / "e", "test")
        assert summary(tmp_path / "e", columns=["test_error"], where={"seed": 1}).empty
