"""Progress of a sweep: the state of the runs in the latest plan of a store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from featlearn.store.contents import read_part
from featlearn.store.folder import Store
from featlearn.store.listing import steady
from featlearn.store.marker import MARKER
from featlearn.store.snapshot import Snapshot, planned_ids


@dataclass(frozen=True)
class StoreStatus:
    """Numbers of runs of the latest sweep, and why runs failed.

    done: runs with a result; of these ``diverged`` diverged, ``fitted`` stopped at the requested training loss, and
    ``reused`` were finished before the sweep last began. missing: neither done nor failed. others: runs with a result
    that are not in the latest sweep. failures: number of failed runs by message. damaged: the files that cannot be
    read, each with the reason; their runs are missing unless other files have them.
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
    damaged: tuple[str, ...] = ()


def status(path: str | Path, *, verify: bool = True) -> StoreStatus:
    """Return the status of the latest sweep into a store.

    verify: read every byte to find damage; otherwise it is found in what has to be read alone.
    """
    store = Store.open(path)
    return steady(lambda known: _status(store, Snapshot.of(store.path, verify=verify, known=known)))


def _status(store: Store, runs: Snapshot) -> StoreStatus:
    """Count the runs. Raises FileNotFoundError if a file goes meanwhile."""
    plans = runs.plans[-1:]
    asked, others = runs.current(plans)
    n_runs, began = len(planned_ids(plans)), plans[0].began if plans else 0
    statuses = runs.column("status").take(pa.array(asked))
    ends = Counter({pair["values"]: pair["counts"] for pair in pc.value_counts(statuses).to_pylist()})
    done = len(asked) - ends["failed"]
    failed = runs.failed[asked]
    messages = Counter[str | None]()
    for part, rows in runs.split(asked[failed]):
        table = read_part(part.entry, lambda schema: ["message"], rows=rows).table
        messages.update(table["message"].to_pylist() if table.num_columns else [None] * len(rows))
    return StoreStatus(
        n_runs=n_runs,
        done=done,
        reused=int((runs.committed[asked[~failed]] < began).sum()),
        failed=ends["failed"],
        diverged=ends["diverged"],
        fitted=ends["fitted"],
        missing=n_runs - len(asked),
        others=int((~runs.failed[others]).sum()),
        failures={str(message): n for message, n in messages.most_common()},
        damaged=(
            *([f"{MARKER}: {store.marker}"] if store.marker else []),
            *(f"{damage.path.relative_to(store.path)}: {damage.reason}" for damage in runs.damaged),
        ),
    )
