"""Types of columns: values of one type stay as they are, mixed columns are read with their original values."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers import make_run
from stores import trajectory

from featlearn.store import Store, StoreError, failed_rows, load, rows, summary
from featlearn.store.columns import concat, series, settings_table
from featlearn.store.parquet import read_table, write_table
from featlearn.tables.columns import varying
from featlearn.types import LATER

BIG = 2**60 + 1
MIXTURES = [
    ["auto", 0.5, None],
    [True, 0.5],
    [True, 1, "true"],
    [1, "1", "null"],
    [BIG, 0.5],
    [2**70, 1],
    [[1, 2], 3.0],
    ["[1, 2]", 2],
    [{"a": [1, None]}, None],
    [float("inf"), "inf", False],
]
PLAIN = [[1, 2], [1, None], [0.5, None], [True, False], ["a", None], [None, None], [1, 0.5], [BIG, None], [BIG, 1]]


def stored(path, *parts):
    """The column x of several tables, written and read again."""
    tables = (settings_table([{"run_id": "a", "x": value} for value in values]) for values in parts)
    files = [write_table(path, str(i), table, {}) for i, table in enumerate(tables)]
    table = concat(map(read_table, files))
    return series(table["x"], table.schema.field("x"))


def halves(values):
    return [values], [values[:1], values[1:]], [values[1:], values[:1], values]


@pytest.mark.parametrize("values", MIXTURES, ids=str)
def test_mixtures_are_read_with_their_types_in_one_part_or_several(tmp_path, values):
    for parts in halves(values):
        given = [value for part in parts for value in part]
        found = stored(tmp_path, *parts).tolist()
        assert found == given and [*map(type, found)] == [*map(type, given)]


@pytest.mark.parametrize("values", PLAIN, ids=str)
def test_values_are_read_in_one_part_or_several(tmp_path, values):
    for parts in halves(values):
        found = stored(tmp_path, *parts).tolist()
        assert [None if pd.isna(a) else a for a in found] == [value for part in parts for value in part]


def test_a_column_of_one_type_is_unchanged(tmp_path):
    assert stored(tmp_path, [1, 2]).dtype == np.int64
    assert stored(tmp_path, [1, None]).dtype == stored(tmp_path, [1], [0.5]).dtype == np.float64
    assert stored(tmp_path, [np.int64(3), np.float64(0.5)]).tolist() == [3.0, 0.5]
    assert stored(tmp_path, ["a"], [None]).dtype == "str"
    assert stored(tmp_path, [np.bool_(True)]).dtype == bool
    assert stored(tmp_path, [None], [None]).dtype == np.float64


def with_words(*cuts):
    """Runs whose rule has words, numbers and switches for one setting."""

    class Run:
        def __init__(self, seed, cut):
            self.seed, self.run_id, self.cut, self.setting = seed, f"run{seed}", cut, self

        def columns(self):
            return {**make_run(seed=self.seed).columns(), "optimizer.cut": self.cut}

    return [Run(seed, cut) for seed, cut in enumerate(cuts)]


def test_a_store_of_mixtures_can_be_read_and_grouped(tmp_path):
    store = Store.create(tmp_path / "s", "test")
    cuts = ["auto", 0.5, True, None, "auto", 0.5]
    runs = with_words(*cuts)
    for part in (runs[:2], runs[2:3], runs[3:]):
        store.add_part(failed_rows(part, "no"), {})
    found = summary(tmp_path / "s").sort_values("seed")["optimizer.cut"]
    assert found.tolist() == cuts
    assert len(store.finished()) == 0
    assert summary(tmp_path / "s").groupby("optimizer.cut", dropna=False).size().sum() == 6


def test_keys_that_were_added_later_are_filled_in_beside_rows_without_them(tmp_path):
    """A store of an earlier version to which the rest of a sweep is added: its rows still pair with the others."""
    store, changed = Store.create(tmp_path / "s", "test"), {"train__batch_sampling": "with_replacement"}
    old, new = [trajectory(seed) for seed in (0, 1)], [trajectory(2), trajectory(3, **changed)]
    store.add_part(rows(old).drop_columns([*LATER]), {})
    assert not {*summary(tmp_path / "s")} & {*LATER}
    store.add_part(rows(new[:1]), {})
    assert store.finished() == {t.run.run_id for t in old + new[:1]}
    assert varying(summary(tmp_path / "s")) == ["seed"]
    store.add_part(rows(new[1:]), {})
    found = summary(tmp_path / "s").set_index("seed")
    assert found["train.batch_sampling"].tolist() == ["epochs"] * 3 + ["with_replacement"]
    assert found["train.gradient_noise"].tolist() == [0.0] * 4
    assert len(summary(tmp_path / "s", where={"train.batch_sampling": "epochs"})) == 3


def test_a_tracker_may_write_a_number_in_one_sweep_and_a_list_in_another(tmp_path):
    store = Store.create(tmp_path / "s", "test")
    one, many = trajectory(0), trajectory(1)
    many.values["train_loss"] = np.arange(6.0).reshape(3, 2)
    for t in (one, many):
        store.add_part(rows([t]), {})
    found = load(tmp_path / "s").set_index(["seed", "step"])["train_loss"]
    assert found[0].tolist() == one.values["train_loss"].tolist()
    assert np.array_equal(np.stack(found[1]), many.values["train_loss"])
    assert summary(tmp_path / "s")["train_loss"][0] == one.values["train_loss"][-1]


def test_a_column_of_settings_and_of_lists_is_named(tmp_path):
    tables = [pa.table({"run_id": ["a"], "x": column}) for column in ([1], pa.array([[1.0]]))]
    with pytest.raises(StoreError, match="the column x is a setting in some runs and a tracker's in others"):
        concat(tables)
