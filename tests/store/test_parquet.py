"""Every byte of a file is covered by a checksum: a flipped bit changes no number silently."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stores import trajectory

from featlearn.store import Store, StoreError, rows
from featlearn.store.files import Damage
from featlearn.store.parquet import BLOCK, has_digest, opened, read_table, verify, write_table

TABLE = rows([trajectory(seed, columns=("a", "b", "a.b")) for seed in range(20)])
WIDE = pa.table({name: np.random.default_rng(i).random(6 * BLOCK // 8) for i, name in enumerate(["a", "a.b", "c"])})


def flipped(path, bit, folder):
    """A copy of a file with one bit flipped, under the same name."""
    folder.mkdir(exist_ok=True)
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    (folder / path.name).write_bytes(content)
    return folder / path.name


def test_config_and_provenance_are_in_the_footer(tmp_path):
    store = Store.create(tmp_path / "s", "test")
    store.add_part(rows([trajectory(0)]), {"config": "{}", "provenance": {"torch": "2"}})
    [file] = (tmp_path / "s" / "parts").iterdir()
    assert json.loads(pq.read_schema(file).metadata[b"featlearn"])["provenance"] == {"torch": "2"}
    with opened(file) as part:
        assert part.footer()["config"] == "{}"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_found(tmp_path, data):
    path = write_table(tmp_path, "1", TABLE, {"config": "{}"})
    bit = data.draw(st.integers(0, 8 * path.stat().st_size - 1))
    changed = flipped(path, bit, tmp_path / "changed")
    for look in (read_table, verify):
        with pytest.raises(Damage, match=path.name):
            look(changed)


def test_a_flipped_bit_is_found_wherever_it_is_read(tmp_path):
    """In one column of several blocks; those that are not read do not matter, and ``verify`` reads all."""
    path = write_table(tmp_path, "1", WIDE, {})
    sound = {name: read_table(path, [name]) for name in WIDE.column_names}
    found = dict.fromkeys(sound, 0)
    for bit in np.random.default_rng(0).integers(8 * path.stat().st_size, size=120).tolist():
        changed = flipped(path, bit, tmp_path / "changed")
        with pytest.raises(Damage):
            verify(changed)
        for name, table in sound.items():
            try:
                assert read_table(changed, [name]) == table
            except Damage:
                found[name] += 1
    assert all(0 < n < 120 for n in found.values())


@pytest.mark.parametrize(
    ("content", "why"), [(b"", "it is empty"), (b"PAR1" * 9, "its (end|footer)"), (b"x" * 50, "its end")]
)
def test_a_file_that_is_no_parquet_is_named(tmp_path, content, why):
    for name in ("1-01234567.parquet", "1-0123456789abcdef.parquet"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StoreError, match=f"{name}.*{why}.*sweep again"):
            read_table(tmp_path / name)


def test_a_cut_file_is_named_at_every_length(tmp_path):
    path = write_table(tmp_path, "1", TABLE, {})
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 50).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(Damage):
            read_table(path)


def test_a_file_of_an_older_version_is_read_and_its_pages_are_checked(tmp_path):
    """Its name has no digest, and its footer no checksums."""
    path = tmp_path / "1-01234567.parquet"
    pq.write_table(WIDE, path, compression="zstd", write_page_checksum=True)
    assert not has_digest(path) and read_table(path).equals(WIDE)
    verify(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 64
    path.write_bytes(content)
    with pytest.raises(Damage):
        verify(path)


def test_an_empty_table_and_columns_that_a_file_lacks_are_read(tmp_path):
    path = write_table(tmp_path, "1", WIDE.slice(0, 0), {})
    assert read_table(path).num_rows == 0 and read_table(path, ["a", "no"]).column_names == ["a"]
    verify(path)
