"""A store of another version is refused; one that has lost its marker is recognised, and gets a new one."""

import json

import pandas as pd
import pyarrow as pa
import pytest
from stores import damaged, filled, trajectory

from featlearn.store import Store, StoreError, StoreWarning, load, status, summary
from featlearn.store.marker import MARKER, check_marker
from featlearn.store.parquet import write_table


@pytest.fixture
def path(tmp_path):
    return filled(tmp_path / "s", [trajectory(0), trajectory(1)]).path


@pytest.mark.parametrize(
    ("marker", "message"),
    [('{"schema": 99}', "schema version 99"), ('{"schema": 2}', "schema version 2, this featlearn reads and writes 3")],
)
def test_a_store_of_another_version_is_refused(path, marker, message):
    (path / MARKER).write_text(marker)
    for attempt in (load, summary, status, Store.find, Store.open):
        with pytest.raises(StoreError, match=message):
            attempt(path)


BROKEN = [None, "", "[", "[]", "{}", "[" * 5000, '{"schema": 3, "name": "s", "crc32": 5}', "\xff"]


@pytest.mark.parametrize("marker", BROKEN)
def test_a_store_without_a_sound_marker_is_read_and_gets_a_new_one(path, marker):
    whole = load(path)
    (path / MARKER).unlink() if marker is None else (path / MARKER).write_text(marker, encoding="latin1")
    for read in (load, summary):
        with pytest.warns(StoreWarning, match=r"featlearn.json: it is (missing|broken)") as warned:
            assert read(path)["seed"].unique().tolist() == [0, 1]
        assert warned[0].filename == __file__
    assert status(path).damaged[0].startswith("featlearn.json: it is ") and Store.find(path) is not None
    with pytest.warns(StoreWarning, match=r"made .*featlearn.json again \(it is (missing|broken)\)"):
        Store.create(path, "test")
    pd.testing.assert_frame_equal(load(path), whole)
    assert status(path).damaged == () and json.loads((path / MARKER).read_text())["name"] == "test"


def test_a_flipped_bit_in_the_marker_is_found_or_changes_nothing(path):
    whole = (path / MARKER).read_bytes()
    for bit in range(0, 8 * len(whole), 7):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        (path / MARKER).write_bytes(content)
        assert check_marker(path) in (None, "it is broken")


def test_a_folder_is_recognised_by_a_sound_file_of_this_version_alone(tmp_path, path, monkeypatch):
    (path / MARKER).unlink()
    damaged("a torn part")(path)
    assert check_marker(path) == "it is missing"
    damaged("a flipped bit in a plan")(path)
    with pytest.raises(StoreError, match=r"not a featlearn store: it has no featlearn\.json"):
        check_marker(path)
    monkeypatch.setattr("featlearn.store.parquet.SCHEMA_VERSION", 4)
    write_table(tmp_path / "new" / "parts", "1", pa.table({"run_id": ["a"], "status": ["ok"]}), {})
    assert check_marker(tmp_path / "new") == "it is missing"
    monkeypatch.undo()
    with pytest.raises(StoreError, match="not empty and not a featlearn store"):
        Store.find(tmp_path / "new")
