"""Joined parts have the same rows and footers, whoever is killed, reads or writes meanwhile."""

import os
import shutil
import threading
import warnings
from pathlib import Path

import pandas as pd
import pytest
from helpers import make_run
from stores import damaged, trajectory

from featlearn.store import Store, StoreWarning, failed_rows, joining, load, rows, status, summary
from featlearn.store.contents import read_part
from featlearn.store.listing import entries

COLUMNS = [("a",), ("a", "b")]


@pytest.fixture
def store(tmp_path):
    """Two sweeps of parts with two kinds of columns, a failure with its result, and a failure alone."""
    store = Store.create(tmp_path / "s", "test")
    for sweep in (range(5), range(3, 12)):
        store.add_plan([make_run(seed=seed).run_id for seed in [*sweep, 99]], "{}")
        store.add_part(failed_rows([make_run(seed=sweep[0]), make_run(seed=99)], "no"), {"of": "failed"})
        for seed in sweep:
            store.add_part(rows([trajectory(seed, columns=COLUMNS[seed % 2])]), {"of": seed // 4})
    return store


def seen(path, reads=((load, False), (load, True), (summary, False), (summary, True))):
    """What a reader sees of a store."""
    with warnings.catch_warnings(action="ignore", category=StoreWarning):
        frames = [read(path, all_sweeps=every) for read, every in reads]
    return [*frames, status(path)]


def same(found, expected):
    for a, b in zip(found[:-1], expected[:-1], strict=True):
        pd.testing.assert_frame_equal(a, b, check_exact=True)
    assert found[-1] == expected[-1]


def footers(store):
    """The footer and the order of every run's result."""
    found = {}
    for entry in entries(store.path, "parts")[0]:
        part = read_part(entry)
        pieces = [piece for piece in part.pieces for _ in range(piece.rows)]
        for run, status_, piece in zip(
            *part.table.select(["run_id", "status"]).to_pydict().values(), pieces, strict=True
        ):
            if status_ != "failed":
                found.setdefault(run, set()).add((piece.order, str(piece.footer)))
    return {run: max(pieces) for run, pieces in found.items()}


def test_nothing_but_the_number_of_files_changes(store):
    before, kept = seen(store.path), footers(store)
    n = len(entries(store.path, "parts")[0])
    assert store.compact() == (n, 3)  # three schemas: failures alone, a, a and b
    same(seen(store.path), before)
    assert footers(store) == kept and len({footer for _, footer in kept.values()}) == 3
    assert store.compact() == (3, 3)
    for seed in (20, 21, 22):
        store.add_part(rows([trajectory(seed, columns=COLUMNS[seed % 2])]), {"of": "later"})
    before, kept = seen(store.path), footers(store)
    store.compact()
    same(seen(store.path), before)
    assert footers(store) == kept and len(entries(store.path, "parts")[0]) == 3


def test_a_join_that_is_killed_at_any_moment_loses_nothing(store, tmp_path, monkeypatch):
    """At each rename and each removal."""
    reads = [(load, True)]
    before = seen(store.path, reads)
    for fails in range(1, 100):
        copy = Store.open(shutil.copytree(store.path, tmp_path / str(fails)))
        calls = []

        def stop(real, calls=calls, fails=fails):
            def call(*words, **options):
                if not Path(words[0]).name.startswith(".tmp-") or real is os.replace:
                    calls.append(words)
                if len(calls) == fails:
                    raise KeyboardInterrupt
                return real(*words, **options)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", stop(os.replace))
            patch.setattr(Path, "unlink", stop(Path.unlink))
            try:
                copy.compact()
            except KeyboardInterrupt:
                pass
            else:
                break
        same(seen(copy.path, reads), before)
        copy.compact()
        assert len(entries(copy.path, "parts")[0]) == 3
    same(seen(copy.path, reads), before)
    assert fails > 15


def test_readers_and_writers_do_not_notice(store, monkeypatch):
    """Rows only ever come, each once, while parts are added and joined."""
    monkeypatch.setattr("featlearn.store.folder.SMALL_PARTS", 3)
    errors, done = [], threading.Event()

    def write():
        try:
            for seed in range(30, 60):
                Store.open(store.path).add_part(rows([trajectory(seed, columns=("a",))]), {})
                if seed % 4 == 0:
                    Store.open(store.path).compact()
        except BaseException as error:
            errors.append(error)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    counts = []
    while not done.is_set():
        runs = summary(store.path, all_sweeps=True)["run_id"]
        assert runs.is_unique
        counts.append(len(runs))
    thread.join()
    assert not errors and counts == sorted(counts) and counts[0] >= 13
    assert len(summary(store.path, all_sweeps=True)) == 13 + 30


def test_a_process_joins_its_own_commits_as_it_goes(tmp_path):
    store = Store.create(tmp_path / "s", "test")
    for seed in range(130):
        store.add_part(rows([trajectory(seed)]), {"seed": seed})
    assert len(entries(store.path, "parts")[0]) == 2 + 2
    assert summary(store.path)["seed"].tolist() == [*range(130)]
    assert len({footer for _, footer in footers(store).values()}) == 130


def test_the_parts_of_many_short_sweeps_are_joined_by_the_last(tmp_path, monkeypatch):
    monkeypatch.setattr("featlearn.store.folder.SMALL_PARTS", 5)
    for seed in range(5):
        Store.create(tmp_path / "s", "test").add_part(rows([trajectory(seed)]), {"seed": seed})
        Store.open(tmp_path / "s").tidy()
        assert len(entries(tmp_path / "s", "parts")[0]) == (seed + 1 if seed < 4 else 1)
    assert summary(tmp_path / "s")["seed"].tolist() == [*range(5)]
    assert len({footer for _, footer in footers(Store.open(tmp_path / "s")).values()}) == 5


def test_damaged_and_large_parts_stay_as_they_are(store, monkeypatch):
    file = damaged("no footer")(store.path)
    torn = damaged("a torn part")(store.path)
    store.compact()
    assert file.exists() and torn.exists() and len(entries(store.path, "parts")[0]) == 5
    monkeypatch.setattr(joining, "LARGE", 10)
    assert [*joining.small_groups(entries(store.path, "parts")[0])] == [[]]


def test_failed_attempts_are_kept_for_they_are_counted(tmp_path):
    store, run = Store.create(tmp_path / "s", "test"), make_run(seed=1)
    store.add_plan([run.run_id], "{}")
    for part in (failed_rows([run], "one"), failed_rows([run], "two"), rows([trajectory(1)]), rows([trajectory(1)])):
        store.add_part(part, {})
    store.compact()
    parts = [read_part(entry).table for entry in entries(store.path, "parts")[0]]
    assert sorted(status for part in parts for status in part["status"].to_pylist()) == ["failed", "failed", "ok"]
    assert summary(tmp_path / "s")["status"].tolist() == ["ok"]


def test_a_traceback_is_a_column_where_a_run_has_failed(tmp_path):
    store, run = Store.create(tmp_path / "s", "test"), make_run(seed=1)
    store.add_part(rows([trajectory(2)]), {})
    assert "traceback" not in summary(tmp_path / "s")
    assert summary(tmp_path / "s", columns=["message", "traceback"])["traceback"].isna().all()
    failed = failed_rows([run], "no")
    store.add_part(failed.append_column("traceback", [["line 1"]]), {})
    assert summary(tmp_path / "s")["traceback"].tolist()[-1] == "line 1" and "traceback" not in load(tmp_path / "s")
