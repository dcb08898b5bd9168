"""The merged store of shards is that of one undisturbed sweep, row for row."""

import os

import pandas as pd
import pytest
from helpers import make_run
from stores import damaged, filled, trajectory

from featlearn.store import Store, StoreError, failed_rows, load, merge, rows, status, summary
from featlearn.store.contents import read_part
from featlearn.store.listing import entries

ALL = [trajectory(seed, columns=("a", "b") if seed % 2 else ("a",)) for seed in range(9)]


def shard(path, *trajectories, failed=(), given=None):
    """A store of some runs of the sweep, a part each, and of failures."""
    store = Store.create(path, "test")
    store.add_plan([t.run.run_id for t in ALL], "{}", given or {})
    if failed:
        store.add_part(failed_rows([make_run(seed=seed) for seed in failed], "no"), {"from": "failed"})
    for t in trajectories:
        store.add_part(rows([t]), {"seed": t.run.seed})
    return path


def same(a, b):
    for read in (load, summary):
        pd.testing.assert_frame_equal(read(a), read(b), check_exact=True)
    assert status(a) == status(b)


def test_shards_become_the_store_of_one_sweep(tmp_path):
    """A failure in one was computed in another, and is kept; a run is in two; given numbers are kept."""
    given = {"data.snr": [0.1 * seed or None for seed in range(9)]}
    shards = [
        shard(tmp_path / "1", *ALL[:4], failed=[5], given=given),
        shard(tmp_path / "2", *ALL[3:6], failed=[8], given=given),
        shard(tmp_path / "3", *ALL[6:], given=given),
    ]
    assert merge(shards, tmp_path / "m") == 9
    same(tmp_path / "m", shard(tmp_path / "whole", *ALL, given=given))
    assert status(tmp_path / "m").failed == status(tmp_path / "m").reused == 0
    parts = [*(tmp_path / "m" / "parts").iterdir()]
    assert len(parts) == 3 and len(Store.open(tmp_path / "m").plans()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"1", "2", "3", "m", "whole"}
    again = merge([tmp_path / "m"], tmp_path / "n")
    assert again == 9 and [p.name for p in sorted((tmp_path / "n").rglob("*.parquet"))] == [
        p.name for p in sorted((tmp_path / "m").rglob("*.parquet"))
    ]


def test_runs_that_no_shard_has_are_missing_and_failures_stay_when_alone(tmp_path):
    shards = [shard(tmp_path / "1", *ALL[:4], failed=[5]), shard(tmp_path / "2", ALL[6], failed=[5])]
    merge(shards, tmp_path / "m")
    found = status(tmp_path / "m")
    assert (found.done, found.failed, found.missing, found.failures) == (5, 1, 3, {"no": 1})


def test_part_of_a_part_keeps_its_footer(tmp_path):
    store = Store.open(shard(tmp_path / "1"))
    store.add_part(rows(ALL[:4:2]), {"torch": "2"})
    store.add_part(rows([ALL[0]]), {"torch": "3"})
    merge([tmp_path / "1"], tmp_path / "m")
    (part,) = [read_part(entry) for entry in entries(tmp_path / "m", "parts")[0]]
    assert part.table["seed"].to_pylist() == [2, 0]
    assert [(piece.rows, piece.footer) for piece in part.pieces] == [(1, {"torch": "2"}), (1, {"torch": "3"})]


def test_what_cannot_be_merged_is_refused_and_left_as_it_is(tmp_path):
    one, two = shard(tmp_path / "1", *ALL[:2]), filled(tmp_path / "2", [trajectory(30)]).path
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    before = sorted(tmp_path.rglob("*"))
    for stores, out, message in (
        ([one, two], "m", "the latest sweeps into .*1 and .*2 have other runs; all_sweeps"),
        ([one, one], "m", "given twice"),
        ([one, tmp_path / "no"], "m", "no store at"),
        ([one, tmp_path / "full"], "m", "not a featlearn store"),
        ([one], "full", "not empty"),
        ([one], "1", "not empty"),
        ([], "m", "give the stores"),
    ):
        with pytest.raises(StoreError, match=message):
            merge(stores, tmp_path / out)
    assert sorted(tmp_path.rglob("*")) == before
    assert merge([one, two], tmp_path / "m", all_sweeps=True) == 3
    damaged("a flipped bit")(one)
    with pytest.raises(StoreError, match=r"cannot be read: sweep again into .*1 first"):
        merge([one], tmp_path / "n")


@pytest.mark.parametrize("fails", range(1, 9))
def test_an_interrupted_merge_shows_nothing_and_goes_on(tmp_path, monkeypatch, fails):
    """Killed at each of its renames; or then called with other stores."""
    shards = [shard(tmp_path / "1", *ALL[:3]), shard(tmp_path / "2", *ALL[3:5])]
    calls = []

    def stop(name):
        real = getattr(os, name)

        def rename(*paths):
            calls.append(paths)
            if len(calls) == fails:
                raise KeyboardInterrupt
            return real(*paths)

        return rename

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        for name in ("replace", "rename"):
            patch.setattr(os, name, stop(name))
        merge(shards, tmp_path / "m")
    assert not (tmp_path / "m").exists()
    merge(shards[: 1 + fails % 2], tmp_path / "m")
    whole = shard(tmp_path / "whole", *ALL[: 5 if fails % 2 else 3])
    same(tmp_path / "m", whole)
    assert not [*tmp_path.glob(".*")] and not [*tmp_path.rglob(".tmp-*")]


def test_began_is_when_the_sweep_first_began(tmp_path):
    """So that the runs of shards which began later do not make the others' reused."""
    shards = [shard(tmp_path / str(i), t) for i, t in enumerate(ALL[:3])]
    merge(shards[::-1], tmp_path / "m")
    assert (status(tmp_path / "m").reused, status(tmp_path / "m").done) == (0, 3)
    [plan] = Store.open(tmp_path / "m").plans()
    firsts = [Store.open(path).plans()[0] for path in shards]
    assert plan.began == min(first.began for first in firsts) and plan.order == max(first.order for first in firsts)
