"""What a report reads of a store."""

from pathlib import Path

import pytest
import yaml
from small_report import EVIL, small_store

from featlearn.reports.sources import named, read, selection
from featlearn.store import StoreError


def test_runs_config_and_provenance(source):
    assert len(source.last) == 48 and source.name == EVIL and source.revision == "abc123"
    assert yaml.safe_load(source.yaml()) == {"name": EVIL, "data": {"dim": 60}, "sweep": {"seed": [0]}}
    (environment,) = source.provenance
    assert environment["processor"] == "x86_64 AVX512" and environment["code of featlearn"] == "abc123"


def test_failures_by_cause_and_damage_by_file(source):
    assert source.failures == {f"ValueError: bad value 3.1 {EVIL} (rules.py:7)": 1}
    assert len(source.status.damaged) == 1 and "7-0123456789abcdef.parquet" in source.status.damaged[0]
    assert any("7-0123456789abcdef.parquet" in note for note in source.notes)


def test_every_recorded_step_is_there_without_a_second_warning(source):
    rows = source.rows()
    assert len(rows) == 47 * 6 and {"run_id", "step", "status", "seed", "test_error", EVIL} <= {*rows}


def test_runs_of_a_changed_revision_have_none(tmp_path):
    small_store(tmp_path / "s", axes=0)
    found = read(tmp_path / "s")
    changed = [{**found.provenance[0], "code of featlearn": "abc123 with changes"}]
    assert type(found)(found.path, found.last, found.status, {}, changed, []).revision == ""


def test_a_selection_of_runs(folder, source):
    found = read(folder, {"data.dim": [60], "optimizer.name": "sam"})
    assert len(found.last) == found.expected == 12 and source.expected == 48
    assert {*found.rows()["run_id"]} == {*found.last["run_id"]} and len(found.rows()) == 12 * 6
    assert selection(found.where) == ["data.dim=60", "optimizer.name=sam"]
    with pytest.raises(ValueError, match=r"no row has data\.dim = 61"):
        read(folder, {"data.dim": 61})


def test_paths_are_told_without_the_folders_of_a_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert named(tmp_path / "results" / "a") == named(Path("results/a")) == "results/a"
    assert named(tmp_path.parent / "elsewhere" / "a") == "a"


def test_no_store_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="no store"):
        read(tmp_path / "none")
