"""Files are listed by their order, and read while others write and join them."""

import pytest

from featlearn.store.files import Damage, StoreError
from featlearn.store.listing import entries, next_order, read_each, steady

NAMES = ["12-0123456789abcdef.parquet", "3-01234567.parquet", "200-aaaaaaaaaaaaaaaa.parquet"]


@pytest.fixture
def store(tmp_path):
    (tmp_path / "parts").mkdir()
    for name in [*NAMES, "notes.txt", ".tmp-1", "._3-01234567.parquet", "3-01234567 (1).parquet"]:
        (tmp_path / "parts" / name).touch()
    return tmp_path


def test_files_come_by_order_and_foreign_ones_apart(store):
    found, foreign = entries(store, "parts")
    assert [entry.order for entry in found] == [3, 12, 200]
    assert [damage.path.name for damage in foreign] == ["3-01234567 (1).parquet"]
    assert entries(store, "plans") == ([], [])


def test_an_order_is_above_all_others_and_the_clock_if_it_is_right(monkeypatch):
    assert next_order(10**18 * 9) == 10**18 * 9 + 1
    assert next_order(5) > 10**18


def test_damaged_files_are_left_out(store):
    def read(entry):
        if entry.order == 12:
            raise Damage(entry.path, "torn")
        return entry.order

    found, damaged = read_each(store, "parts", read)
    assert found == [3, 200] and {damage.reason for damage in damaged} == {"torn", "its name is not that of a part"}


def test_reading_begins_again_when_a_file_goes_or_turns_out_damaged(store):
    tries = []

    def read(known):
        tries.append(dict(known))
        if len(tries) == 1:
            raise FileNotFoundError(2, "gone", "a")
        if len(tries) == 2:
            raise Damage(store / "b", "torn")
        return "done"

    assert steady(read) == "done"
    assert tries[:2] == [{}, {}] and [*tries[2]] == [store / "b"]
    with pytest.raises(StoreError, match="it went while it was read"):
        steady(lambda known: (store / "nothing").read_bytes())


def test_a_list_that_misses_a_file_is_taken_again(store, monkeypatch):
    """Files 3 and 12 are joined into 200 while the folder is listed: the first list lacks all three."""
    lists = iter([[], NAMES[2:], NAMES[2:]])
    monkeypatch.setattr("featlearn.store.listing.os.listdir", lambda _: next(lists))
    assert [entry.order for entry in entries(store, "parts")[0]] == [200]
