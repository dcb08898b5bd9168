"""A run of a store, computed again: the same bits, or what differs, by how much, and why it may."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

import featlearn as fl
from featlearn.cli import app
from featlearn.provenance import provenance
from featlearn.reruns import _apart, rerun
from featlearn.store import Store, StoreError
from featlearn.store.contents import read_part
from featlearn.store.listing import PARTS, entries
from featlearn.texts import rerun_text

CONFIG = {
    "data": {"n_samples": 4, "dim": 100, "signal_norm": 2.0},
    "network": {"n_filters": 2, "init_std": 0.1},
    "optimizer": {"name": "sam", "lr": 0.1, "rho": 0.03},
    "train": {"n_steps": 5},
    "record": {"every": 1},
    "sweep": {"optimizer.rho": [0.03, 0.1], "seed": {"range": [0, 3]}},
}
OWN = """
from dataclasses import dataclass
from featlearn.optim.perturbed import Perturbed

@dataclass(frozen=True, kw_only=True)
class MySAM(Perturbed):
    def perturbation(self, loss, w, memory, t):
        return self.radius(t) * loss.unit(loss.gradient(w)), memory.own
"""


@pytest.fixture
def store(tmp_path):
    fl.sweep(CONFIG, tmp_path / "store", progress=False)
    return tmp_path / "store"


def altered(store, column, change):
    """The store with other numbers in a column of its only part."""
    (entry,) = entries(store, PARTS)[0]
    part = read_part(entry)
    lists = [change(list(values)) for values in part.table[column].to_pylist()]
    place = part.table.schema.get_field_index(column)
    table = part.table.set_column(
        place, part.table.schema.field(column), pa.array(lists, part.table.schema.field(column).type)
    )
    entry.path.unlink()
    Store.open(store).add_part(table, part.pieces[0].footer)


def test_every_run_has_the_same_bits(store):
    for run_id in fl.summary(store)["run_id"]:
        found = rerun(store, run_id)
        assert found.equal and found.run_id == run_id and found.n_columns > 8 and not found.provenance
    assert rerun_text(found, store).startswith(f"{run_id}: the same bits in all ")


def test_the_first_characters_of_an_id_name_it(store):
    first = fl.summary(store)["run_id"].iloc[0]
    assert rerun(store, first[:10]).run_id == first
    with pytest.raises(StoreError, match="no run 'zzz'; the ids are in the column run_id"):
        rerun(store, "zzz")
    with pytest.raises(StoreError, match="no run ''"):
        rerun(store, "")


def test_a_changed_number_is_found(store):
    run_id = fl.summary(store)["run_id"].iloc[2]
    altered(store, "train_loss", lambda losses: [*losses[:-1], losses[-1] * (1 + 1e-9)])
    found = rerun(store, run_id)
    assert [*found.differences] == ["train_loss"] and 1e-10 < found.differences["train_loss"] < 1e-8
    assert "with the same versions: this should not happen" in rerun_text(found, store)
    assert CliRunner().invoke(app, ["rerun", str(store), run_id]).exit_code == 1


def test_another_installation_is_named(store, monkeypatch):
    run_id = fl.summary(store)["run_id"].iloc[2]
    altered(store, "train_loss", lambda losses: [losses[0] + 1.0, *losses[1:]])
    now = provenance("cpu")
    monkeypatch.setattr(
        sys.modules[rerun.__module__], "provenance", lambda device: now | {"torch": "0.1", "processor": "abacus"}
    )
    found = rerun(store, run_id)
    assert found.provenance == {"torch": (now["torch"], "0.1"), "processor": (now["processor"], "abacus")}
    text = rerun_text(found, store)
    assert "processor: " in text and "abacus here" in text and "train_loss: by " in text


def test_code_of_ones_own_is_that_of_the_sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    rules = tmp_path / "mine" / "rules.py"
    rules.write_text(OWN)
    (tmp_path / "mine" / "c.yaml").write_text(
        "data: {n_samples: 4, dim: 100, signal_norm: 2.0}\nnetwork: {n_filters: 2, init_std: 0.1}\n"
        'optimizer: {name: "rules.py:MySAM", lr: 0.1, rho: 0.1}\ntrain: {n_steps: 3}\n'
    )
    fl.sweep("mine/c.yaml", "store", progress=False)
    run_id = fl.summary("store")["run_id"].iloc[0]
    assert rerun("store", run_id).equal
    rules.write_text(OWN + "# another\n")
    with pytest.raises(StoreError, match="describes no such run here: own code has moved or changed"):
        rerun("store", run_id)


@pytest.mark.parametrize(
    ("a", "b", "apart"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.2),
        ([np.nan, 2.0], [np.nan, 1.0], 0.5),
        ([np.inf, 2.0], [np.inf, 1.0], 0.5),
        ([np.nan, 2.0], [0.0, 2.0], np.inf),
        ([np.inf], [1.0], np.inf),
        ([0.0], [1e-300], 1.0),
    ],
)
def test_differences_are_relative_to_the_largest_number(a, b, apart):
    assert _apart(np.array(a), np.array(b)) == apart


def test_a_row_that_no_sweep_wrote_is_refused(store):
    (entry,) = entries(store, PARTS)[0]
    table = read_part(entry).table
    entry.path.unlink()
    Store.open(store).add_part(table, {})
    with pytest.raises(StoreError, match="has no config: no sweep has written it"):
        rerun(store, table["run_id"][0].as_py())
