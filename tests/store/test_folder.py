"""A store is known by its marker; anything else is refused and left unchanged."""

import pytest
from stores import filled, trajectory

from featlearn.store import Store, StoreError, load, status, summary
from featlearn.store.folder import MARKER


def test_a_foreign_folder_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    for attempt in (Store.find, Store.open, lambda path: Store.create(path, "test")):
        with pytest.raises(StoreError, match="not a featlearn store"):
            attempt(tmp_path / "thesis")
    assert [file.read_text() for file in (tmp_path / "thesis").iterdir()] == ["years of work"]


def test_a_folder_that_cannot_be_a_store_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        Store.create(tmp_path / "file", "test")
    with pytest.raises(StoreError, match="cannot write"):
        Store.create(tmp_path / "file" / "below", "test")
    with pytest.raises(StoreError, match="no store at"):
        load(tmp_path / "missing")


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('{"schema": 99}', "schema version 99"),
        ('{"schema": 2}', "schema version 2, this featlearn reads and writes 3"),
        ("[", "not the marker"),
        ("[]", "not the marker"),
    ],
)
def test_a_store_of_another_version_is_refused(tmp_path, marker, message):
    filled(tmp_path / "s", [trajectory(0)])
    (tmp_path / "s" / MARKER).write_text(marker)
    for attempt in (load, summary, status, Store.find):
        with pytest.raises(StoreError, match=message):
            attempt(tmp_path / "s")
