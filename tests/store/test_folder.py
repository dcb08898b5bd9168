"""A store is known by its marker; anything else is refused and left unchanged. Damage costs no more than its rows."""

import os
import warnings

import numpy as np
import pandas as pd
import pytest
from stores import DAMAGES, LOSES, damaged, filled, trajectory

from featlearn.store import Store, StoreError, StoreWarning, load, rows, status, summary


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


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_named_and_costs_no_more_than_its_rows(tmp_path, kind):
    """Then it is set aside, and what it had can be committed again."""
    path, parts = tmp_path / "s", [[trajectory(0), trajectory(1)], [trajectory(2)]]
    filled(path, *parts)
    whole = load(path)
    file = damaged(kind)(path)
    left = whole[whole["seed"] > 1].reset_index(drop=True) if kind in LOSES else whole
    for read in (load, summary):
        with pytest.warns(StoreWarning, match=f"{file.name} .*sweep again to compute its runs anew") as warned:
            found = read(path)
        assert len(warned) == 1 and warned[0].filename == __file__
        assert found["seed"].drop_duplicates().tolist() == left["seed"].drop_duplicates().tolist()
    (text,) = status(path).damaged
    assert text.startswith(f"{file.parent.name}/{file.name}: ")
    store = Store.open(path)
    assert len(store.finished()) == left["seed"].nunique()
    assert [damage.path for damage in store.damaged()] == [file]
    store.set_aside(store.damaged())
    assert [aside.name for aside in (path / "damaged").iterdir()] == [file.name] and store.damaged() == []
    if kind in LOSES:
        store.add_part(rows(parts[0]), {})
    with warnings.catch_warnings(action="error"):
        pd.testing.assert_frame_equal(load(path), whole, check_exact=True)
    assert status(path).damaged == () and status(path).missing == 0


def test_a_damaged_column_of_one_part_leaves_the_other_columns_readable(tmp_path):
    """What is read is checked, and nothing else: the damage is found by ``status``, and by who reads that column."""
    path = tmp_path / "s"
    trajectories = [trajectory(seed, columns=("a", "b"), steps=range(20_000)) for seed in range(8)]
    for t in trajectories:
        t.values["b"] = np.random.default_rng(t.run.seed).random(20_000)
    filled(path, trajectories)
    (part,) = path.glob("parts/*.parquet")
    content = bytearray(part.read_bytes())
    content[len(content) - 40_000] ^= 1  # in the block of b, the last column
    part.write_bytes(content)
    assert load(path, columns=["a"])["a"].notna().all()
    with pytest.warns(StoreWarning, match="a byte has changed.*8 rows"):
        assert load(path, columns=["b"]).empty
    assert status(path).damaged and Store.open(path).damaged()


def test_a_run_of_a_damaged_part_is_read_from_another(tmp_path):
    path = tmp_path / "s"
    store = filled(path, [trajectory(0)])
    store.add_part(rows([trajectory(0)]), {})
    damaged("a torn part")(path)
    with pytest.warns(StoreWarning, match="left out"):
        assert len(load(path)) == 3
    assert status(path).missing == 0


def test_a_file_set_aside_never_replaces_another(tmp_path):
    path = tmp_path / "s"
    filled(path, [trajectory(0)])
    for _ in range(3):
        damaged("integer run ids")(path)
        Store.open(path).set_aside(Store.open(path).damaged())
    names = [f"7-01234567.parquet{end}" for end in ("", "-1", "-2")]
    assert sorted(file.name for file in (path / "damaged").iterdir()) == names


def test_a_store_is_mended_before_a_sweep(tmp_path):
    """With one warning; a sound store is left as it is."""
    store = filled(tmp_path / "s", [trajectory(0)])
    with warnings.catch_warnings(action="error"):
        store.mend()
    files = [damaged(kind)(store.path) for kind in ("a torn part", "a foreign name", "no footer", "a part as a plan")]
    (store.path / "parts" / f".tmp-{'0' * 8}-1-{'a' * 32}").touch()
    os.utime(store.path / "parts" / f".tmp-{'0' * 8}-1-{'a' * 32}", (0, 0))
    with pytest.warns(StoreWarning, match="moved into .*damaged: .*, 1 more; their runs") as warned:
        store.mend()
    assert len(warned) == 1 and warned[0].filename == __file__
    assert {file.name for file in (store.path / "damaged").iterdir()} == {file.name for file in files}
    assert len([*(store.path / "parts").iterdir()]) == 0 and len(store.plans()) == 1


@pytest.mark.parametrize("behind", [0, 86_400])
def test_the_latest_sweep_is_the_one_that_began_last_whatever_the_clock(tmp_path, monkeypatch, behind):
    path, now = tmp_path / "s", 1_800_000_000_000_000_000
    monkeypatch.setattr("featlearn.store.listing.time.time_ns", lambda: now)
    store = filled(path, [trajectory(0)])
    monkeypatch.setattr("featlearn.store.listing.time.time_ns", lambda: now - behind * 10**9)
    filled(path, [trajectory(1)])
    with pytest.warns(StoreWarning, match="left out 1 run"):
        assert summary(path)["seed"].tolist() == [1]
    store.add_plan([trajectory(0).run.run_id, trajectory(2).run.run_id], "{}")
    store.add_part(rows([trajectory(2)]), {})
    assert summary(path, all_sweeps=True)["seed"].tolist() == [0, 1, 2]
    assert (status(path).done, status(path).reused, status(path).others) == (2, 1, 1)


def test_a_sweep_that_begins_again_has_one_plan(tmp_path):
    path = tmp_path / "s"
    for _ in range(3):
        filled(path, [trajectory(0)])
    assert len([*path.glob("plans/*")]) == 1 == len(Store.open(path).plans())
