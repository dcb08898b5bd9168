"""A file is written whole or not at all; damage is found and named."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from stores import filled, trajectory

from featlearn.store import Store, StoreError, load, rows, summary


def test_config_and_provenance_are_in_the_footer(tmp_path):

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


def test_a_damaged_part_is_named(tmp_path):
    filled(tmp_path / "s", [trajectory(0)])
    [part] = (tmp_path / "s" / "parts").iterdir()
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(StoreError, match=part.name):
        load(tmp_path / "s")


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
