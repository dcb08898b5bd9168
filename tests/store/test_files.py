"""A file is written whole or not at all."""

import pytest
from stores import filled, trajectory

from featlearn.store import StoreError, rows, summary
from featlearn.store.files import write_file


def test_an_interrupted_write_leaves_nothing_that_is_read(tmp_path, monkeypatch):
    store = filled(tmp_path / "s", [trajectory(0)])

    def cut_short(writer, table, **_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("featlearn.store.parquet.pq.ParquetWriter.write_table", cut_short)
        patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)  # nobody tidies up after a power cut
        with pytest.raises(KeyboardInterrupt):
            store.add_part(rows([trajectory(1)]), {})
    assert len(list((tmp_path / "s" / "parts").iterdir())) == 2
    assert summary(tmp_path / "s")["seed"].tolist() == [0]


def test_a_failed_write_is_reported_and_leaves_nothing(tmp_path):
    def full(file):
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match=r"cannot write to .*: No space left on device"):
        write_file(tmp_path, full)
    assert list(tmp_path.iterdir()) == []
