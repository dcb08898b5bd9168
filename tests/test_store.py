"""The store keeps every bit, never shows half a file, and touches nothing that is not its own."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from helpers import make_run

from featlearn.lookup import selected
from featlearn.runs import Trajectory
from featlearn.store import Store, StoreError, StoreWarning, failed_rows, load, rows, status, summary
from featlearn.store.folder import MARKER


def trajectory(seed, *, end="ok", steps=(0, 10, 20), columns=("train_loss",), **changes):
    run = make_run(seed=seed, **changes)
    values = {name: np.sqrt(seed + np.array(steps, float)) for name in columns}
    return Trajectory(run, end, f"ended {end}", steps[-1], np.array(steps), values)


def filled(path, *parts):
    """A store with one part for each list of trajectories, all of them planned in this order."""
    store = Store.create(path, "test")
    store.add_plan([t.run.run_id for part in parts for t in part], "{}")
    for part in parts:
        store.add_part(rows(part), {})
    return store


def test_what_goes_in_comes_out_bit_for_bit(tmp_path):
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


def test_list_columns_come_back_as_arrays(tmp_path):
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


def test_status_counts_the_runs_of_the_latest_sweep(tmp_path):
    store = Store.create(tmp_path / "s", "test")
    ends = ["ok", "fitted", "diverged"]
    store.add_part(rows([trajectory(seed, end=end) for seed, end in enumerate(ends)]), {})
    store.add_plan([make_run(seed=seed).run_id for seed in range(1, 8)], "{}")
    store.add_part(rows([trajectory(3)]), {})
    store.add_part(failed_rows([make_run(seed=4), make_run(seed=5)], "killed"), {})
    now = status(tmp_path / "s")
    assert (now.n_runs, now.done, now.reused, now.failed, now.missing, now.others) == (7, 3, 2, 2, 2, 1)
    assert (now.fitted, now.diverged) == (1, 1)
    assert now.failures == {"killed": 2}


SAID = r"left out {} that the latest sweep into .* does not ask for; all_sweeps=True \(plot: --all-sweeps\)"


@pytest.mark.parametrize("read", [load, summary])
def test_the_latest_sweep_is_read_as_if_there_were_no_earlier(tmp_path, read):
    """Rows, their order, columns, dtypes; what is left out is said."""
    old = [trajectory(seed, columns=("test_error", "train_loss"), train__n_steps=60) for seed in (8, 9)]
    new = [trajectory(seed) for seed in (3, 1, 2)]
    filled(tmp_path / "alone", new)
    filled(tmp_path / "s", old, new[1:2])
    store = filled(tmp_path / "s", new[:1], new[1:])
    store.add_part(failed_rows([make_run(seed=7)], "no result, so nobody misses it"), {})
    with pytest.warns(StoreWarning, match=SAID.format("2 runs")) as warned:
        got = read(tmp_path / "s")
    assert warned[0].filename == __file__
    pd.testing.assert_frame_equal(got, read(tmp_path / "alone"), check_exact=True)
    assert {*read(tmp_path / "s", all_sweeps=True)["seed"]} >= {8, 9, 1, 3, 2}
    assert (status(tmp_path / "s").n_runs, status(tmp_path / "s").others) == (3, 2)


def test_an_earlier_sweep_is_the_latest_when_it_begins_again(tmp_path):
    first, second = [trajectory(0)], [trajectory(1), trajectory(2)]
    filled(tmp_path / "s", first)
    store = filled(tmp_path / "s", second)
    with pytest.warns(StoreWarning, match=SAID.format("1 run")):
        assert summary(tmp_path / "s")["seed"].tolist() == [1, 2]
    store.add_plan([first[0].run.run_id], "{}")
    with pytest.warns(StoreWarning, match=SAID.format("2 runs")):
        assert summary(tmp_path / "s")["seed"].tolist() == [0]


def test_nothing_is_left_out_of_a_wider_sweep_nor_of_a_store_that_knows_no_sweep(tmp_path):
    """Any warning is an error here: a later sweep that asks for all, all asked for by hand, a store without plans."""
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


def test_what_is_read_has_the_words_of_the_latest_sweep(tmp_path):
    """Three runs by their numbers, then asked for by snr and {theory: c}, then by their numbers again."""
    snrs, path = [0.01, 0.031, 0.11], tmp_path / "s"
    by_snr = [make_run(data__dim=1821, data__signal_norm=None, data__snr=snr) for snr in snrs]
    by_snr = [replace(run, theory=(("network.init_std", 2.0),)) for run in by_snr]
    plain = [trajectory(0, data__dim=1821, data__signal_norm=run.data.strength) for run in by_snr]
    assert [t.run.run_id for t in plain] == [run.run_id for run in by_snr]
    assert [t.run.columns()["data.snr"] for t in plain] != snrs
    filled(path, plain)
    assert [*summary(path)["data.snr"]] != snrs
    for runs, c in ((by_snr, 2.0), ([t.run for t in plain], None), (by_snr[::-1], 2.0)):
        words = [run.given for run in runs]
        given = {name: [each.get(name) for each in words] for name in words[0]}
        Store.open(path).add_plan([run.run_id for run in runs], "{}", given)
        last, everything = summary(path), load(path, all_sweeps=True)
        assert [*last["data.snr"]] == [run.columns()["data.snr"] for run in runs]
        assert {*everything["data.snr"]} == {*last["data.snr"]}
        theory = last.get("network.init_std.theory", pd.Series([None] * 3))
        assert theory.isna().all() if c is None else (theory == c).all()
        assert [*last["data.signal_norm"]] == [run.data.strength for run in runs]
    Store.open(path).add_plan([run.run_id for run in by_snr], "{}")  # as it was written before
    assert [*summary(path)["data.snr"]] == [t.run.columns()["data.snr"] for t in plain]


def test_config_and_provenance_stand_in_the_footer(tmp_path):
    import pyarrow.parquet as pq

    store = Store.create(tmp_path / "s", "test")
    store.add_part(rows([trajectory(0)]), {"config": "{}", "provenance": {"torch": "2"}})
    [file] = (tmp_path / "s" / "parts").iterdir()
    assert json.loads(pq.read_schema(file).metadata[b"featlearn"])["provenance"] == {"torch": "2"}


def test_an_interrupted_write_leaves_nothing_that_is_read(tmp_path, monkeypatch):
    store = filled(tmp_path / "s", [trajectory(0)])

    def cut_short(table, file, **_):
        file.write(b"PAR1 and then the power went off")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("featlearn.store.files.pq.write_table", cut_short)
        patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)  # nobody tidies up after a power cut
        with pytest.raises(KeyboardInterrupt):
            store.add_part(rows([trajectory(1)]), {})
    assert len(list((tmp_path / "s" / "parts").iterdir())) == 2
    assert summary(tmp_path / "s")["seed"].tolist() == [0]


def test_a_foreign_folder_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    for attempt in (Store.find, Store.open, lambda path: Store.create(path, "test")):
        with pytest.raises(StoreError, match="not a featlearn store"):
            attempt(tmp_path / "thesis")
    assert [file.read_text() for file in (tmp_path / "thesis").iterdir()] == ["years of work"]


def test_what_cannot_be_a_store_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        Store.create(tmp_path / "file", "test")
    with pytest.raises(StoreError, match="cannot write"):
        Store.create(tmp_path / "file" / "below", "test")
    with pytest.raises(StoreError, match="no store at"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("marker", "message"), [('{"schema": 99}', "schema version 99"), ("[", "not the marker"), ("[]", "not the marker")]
)
def test_a_store_of_another_version_is_refused(tmp_path, marker, message):
    filled(tmp_path / "s", [trajectory(0)])
    (tmp_path / "s" / MARKER).write_text(marker)
    for attempt in (load, summary, status, Store.find):
        with pytest.raises(StoreError, match=message):
            attempt(tmp_path / "s")


def test_a_damaged_part_is_named(tmp_path):
    filled(tmp_path / "s", [trajectory(0)])
    [part] = (tmp_path / "s" / "parts").iterdir()
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(StoreError, match=part.name):
        load(tmp_path / "s")


def test_a_store_without_parts_has_a_status(tmp_path):
    filled(tmp_path / "s")
    store = Store.open(tmp_path / "s")
    store.add_plan(["a", "b"], "{}")
    assert (status(store.path).missing, status(store.path).done) == (2, 0)


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bytes_in_a_part_are_found(tmp_path, seed):
    filled(tmp_path / "s", [trajectory(i, columns=("a", "b", "c")) for i in range(20)])
    (part,) = (tmp_path / "s").glob("parts/*.parquet")
    damaged = bytearray(part.read_bytes())
    start = np.random.default_rng(seed).integers(4, len(damaged) // 3)
    damaged[start : start + 40] = bytes(byte ^ 0x5A for byte in damaged[start : start + 40])
    part.write_bytes(damaged)
    with pytest.raises(StoreError, match=r"damaged.*delete it and sweep again"):
        load(tmp_path / "s")


class TestColumnsAndConditions:
    @pytest.fixture
    def path(self, tmp_path):
        """Runs of three radii, SGD among them without one, in parts with other columns."""
        first = [trajectory(seed, optimizer__lr=0.1 / 3) for seed in range(3)]
        second = [trajectory(seed, optimizer__lr=0.2, columns=("train_loss", "test_error")) for seed in range(3)]
        filled(tmp_path / "s", first, second)
        return tmp_path / "s"

    @pytest.mark.parametrize("read", [load, summary])
    def test_the_columns_asked_for_come_in_their_order_and_bits(self, path, read):
        names = ["test_error", "optimizer.lr", "step", "status"]
        pd.testing.assert_frame_equal(read(path, columns=names), read(path)[names], check_exact=True)
        assert list(read(path, columns="optimizer.lr")) == ["optimizer.lr"]

    def test_nothing_else_is_read_from_the_files(self, path, monkeypatch):
        asked = []
        whole = pq.ParquetFile.read
        monkeypatch.setattr(
            pq.ParquetFile, "read", lambda *args: asked.append({*args[-1]} if args[1:] else {}) or whole(*args)
        )
        load(path, columns=["test_error", "seed"], where={"optimizer.lr": 0.2}, all_sweeps=True)
        always = {"run_id", "status", "step", "seed", "optimizer.lr"}
        assert [columns for columns in asked if "seed" in columns] == [always, always | {"test_error"}]

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
    def test_what_the_store_lacks_is_refused(self, path, read):
        with pytest.raises(ValueError, match=r"no column 'dim'; did you mean 'data.dim'"):
            read(path, columns=["dim"])
        with pytest.raises(ValueError, match=r"no column 'tset_error'; did you mean 'test_error'"):
            read(path, where={"tset_error": 1})
        with pytest.raises(ValueError, match=r"no row has seed = 7; it takes 0, 1, 2"):
            read(path, columns=["seed"], where={"seed": 7})

    def test_a_column_of_earlier_sweeps_only_is_said_to_be_there(self, path):
        Store.open(path).add_plan([trajectory(0, optimizer__lr=0.1 / 3).run.run_id], "{}")
        with pytest.warns(StoreWarning), pytest.raises(ValueError, match=r"no column 'test_error' in the latest sweep"):
            load(path, columns=["test_error"])

    def test_an_empty_store_has_none_of_them(self, tmp_path):
        Store.create(tmp_path / "e", "test")
        assert summary(tmp_path / "e", columns=["test_error"], where={"seed": 1}).empty
