"""Commits: the first at once, then at intervals that grow with the time so far; nothing counts before."""

import json
from dataclasses import replace

import pytest
from fakes import FakeConfig, fake_block

from featlearn.store import Store, StoreError, rows, status
from featlearn.store.contents import read_part
from featlearn.store.listing import PARTS, entries
from featlearn.sweeps import SweepReport, commits
from featlearn.sweeps.commits import Commits
from featlearn.sweeps.ends import Ends
from featlearn.sweeps.remote import PROVENANCE
from featlearn.sweeps.signals import Signals

RUNS = list(FakeConfig(tuple(range(8))).runs())
TABLES = [rows(fake_block([run], device="cpu")) for run in RUNS]


@pytest.fixture
def kept(tmp_path):
    store = Store.create(tmp_path / "s", "fake")
    store.add_plan([run.run_id for run in RUNS], "{}")
    report = SweepReport(total=len(RUNS), reused=0)
    seen = []
    ends = Ends(store.path)

    def show():
        seen.append((report.done, report.unsaved))

    return Commits(store, {}, report, ends, Signals(), show), seen


def test_a_run_counts_once_it_is_on_disk(kept, tmp_path):
    to, seen = kept
    to.keep(table for table in (TABLES[0], None, TABLES[1], TABLES[2]))
    assert seen == [(1, 0), (1, 0), (1, 1), (1, 2), (3, 0)]
    assert status(tmp_path / "s").done == 3


def test_intervals_grow_with_the_time(kept, monkeypatch):
    """Tables after .5 s, 2 s (waits), 6 s, 1000 s, 1009 s (waits for a hundredth of the time) and 1012 s."""
    to, seen = kept
    clock = [0.0]
    monkeypatch.setattr(commits.time, "monotonic", lambda: clock[0])

    def tables():
        for at, table in zip((0.5, 2, 6, 1000, 1009, 1012), TABLES, strict=False):
            clock[0] = at
            yield table

    to.keep(tables())
    assert [done for done, _ in seen] == [1, 1, 3, 4, 4, 6, 6]


def test_an_error_commits_the_rest_and_a_commit_that_fails_counts_nothing(kept, monkeypatch):
    to, seen = kept

    def tables():
        yield from TABLES[:2]
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        to.keep(tables())
    assert seen[-1] == (2, 0)

    def full(*_):
        raise StoreError("no space left")

    monkeypatch.setattr(Store, "add_part", full)
    with pytest.raises(StoreError, match="no space left"):
        to.keep(table for table in TABLES[2:4])
    assert to.report.done == 2


def test_rows_of_workers_of_several_kinds_become_a_part_each_that_names_its_own(kept, tmp_path):
    commits_, _ = kept
    kinds = [{"processor": "abacus"}, {"processor": "slide rule"}, {"processor": "abacus"}]
    tables = [
        table.replace_schema_metadata({PROVENANCE: json.dumps(kind)})
        for table, kind in zip(TABLES[:3], kinds, strict=True)
    ]
    with_versions = replace(commits_, footer={"provenance": {"torch": "2", "processor": "this"}})
    with_versions._commit([*tables, TABLES[3]])
    parts = [read_part(entry) for entry in entries(tmp_path / "s", PARTS)[0]]
    found = [(part.table.num_rows, part.pieces[0].footer["provenance"]["processor"]) for part in parts]
    assert found == [(2, "abacus"), (1, "slide rule"), (1, "this")]
    assert all(part.pieces[0].footer["provenance"]["torch"] == "2" for part in parts)
    assert with_versions.report.done == 4
