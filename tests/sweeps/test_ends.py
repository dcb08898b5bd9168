"""Which runs failed, how often, and what other sweeps commit."""

from fakes import FakeConfig, fake_block

from featlearn.store import Store, failed_rows, rows
from featlearn.store.snapshot import Snapshot
from featlearn.sweeps.ends import Ends

RUNS = list(FakeConfig(tuple(range(4))).runs())
IDS = [run.run_id for run in RUNS]


def results(*which):
    return rows(fake_block([RUNS[i] for i in which], device="cpu"))


def test_what_others_commit_is_read_and_what_is_known_or_ones_own_is_not(tmp_path):
    store = Store.create(tmp_path, "fake")
    store.add_part(results(0), {})
    ends = Ends(tmp_path, Snapshot.of(tmp_path))
    ends.refresh()
    assert ends.others == {}
    ends.commit([IDS[1]])
    store.add_part(results(1), {})
    store.add_part(failed_rows(RUNS[2:3], "no"), {})
    ends.refresh()
    assert ends.others == {IDS[2]: "failed"}


def test_a_file_that_cannot_be_read_is_passed_over(tmp_path):
    Store.create(tmp_path, "fake").add_part(results(0), {})
    (tmp_path / "parts" / "1-a.parquet").write_text("foreign")
    ends = Ends(tmp_path)
    ends.refresh()
    assert list(ends.others) == [IDS[0]]
    Ends(tmp_path / "nowhere").refresh()


def test_earlier_failures_in_a_joined_part_are_no_news(tmp_path):
    """Another process compacts the store while their runs are tried again; what it adds at the same time is news."""
    store = Store.create(tmp_path, "fake")
    store.add_part(failed_rows(RUNS[:2], "no"), {})
    store.add_part(failed_rows(RUNS[:1], "no"), {})
    ends = Ends(tmp_path, Snapshot.of(tmp_path))
    store.add_part(failed_rows(RUNS[3:4], "no"), {})
    assert Store.open(tmp_path).compact() == (3, 1)
    ends.refresh()
    assert ends.others == {IDS[3]: "failed"}
