"""Progress of a sweep: the state of the runs in the latest plan of a store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from featlearn.store.folder import Plan, Store


@dataclass(frozen=True)
class StoreStatus:
    """Numbers of runs of the latest sweep, and why runs failed.

    done: runs with a result; of these ``diverged`` diverged, ``fitted`` stopped at the requested training loss, and
    ``reused`` were finished before the sweep last began. missing: neither done nor failed. others: runs with a result
    that are not in the latest sweep. failures: number of failed runs by message.
    """

    n_runs: int
    done: int
    reused: int
    failed: int
    diverged: int
    fitted: int
    missing: int
    others: int
    failures: dict[str, int]


def status(path: str | Path) -> StoreStatus:
    """Return the status of the latest sweep into a store."""
    store = Store.open(path)
    plans = store.plans()
    plan = plans[-1] if plans else Plan([], "{}", 0)
    planned = set(plan.run_ids)
    table = store.read(["run_id", "status", "message"])
    rows = table.take(pa.array(store.current(table, [plan]), pa.int64())).to_pylist()
    asked = [row for row in rows if row["run_id"] in planned]
    ends = Counter(row["status"] for row in asked)
    done = len(asked) - ends["failed"]
    return StoreStatus(
        n_runs=len(planned),
        done=done,
        reused=sum(row["status"] != "failed" and row["committed"] < plan.began for row in asked),
        failed=ends["failed"],
        diverged=ends["diverged"],
        fitted=ends["fitted"],
        missing=len(planned) - len(asked),
        others=sum(row["status"] != "failed" and row["run_id"] not in planned for row in rows),
        failures=dict(Counter(row["message"] for row in asked if row["status"] == "failed").most_common()),
    )
