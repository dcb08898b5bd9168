"""One run of a store: its row, and the config and provenance of the sweep that computed it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from featlearn.store.contents import read_part
from featlearn.store.files import StoreError
from featlearn.store.folder import Store
from featlearn.store.snapshot import Snapshot


@dataclass(frozen=True)
class StoredRun:
    """The row of a run as a table, the config of its sweep as JSON text, and its provenance; {} where unknown."""

    run_id: str
    row: pa.Table
    config: str
    provenance: dict[str, Any]


def stored_run(path: str | Path, run_id: str) -> StoredRun:
    """Return the current row of a run, which the first characters of its id may name if no other has them.

    Raises StoreError if there is no such run, or several.
    """
    store = Store.open(path)
    runs = Snapshot.of(store.path, plans=False)
    _, rows = runs.current([])
    ids = np.asarray(runs.column("run_id").to_numpy(), dtype=str)[rows]
    found = rows[np.char.startswith(ids, run_id)] if run_id else rows[:0]
    if len(found) != 1:
        names = ", ".join(np.asarray(runs.column("run_id").to_numpy(), dtype=str)[found[:4]])
        why = f"{len(found)} runs begin with {run_id!r}: {names}, ..." if len(found) else f"no run {run_id!r}"
        raise StoreError(f"{path}: {why}; the ids are in the column run_id")
    [(part, places)] = runs.split(found)
    whole = read_part(part.entry, rows=places)
    piece = whole.pieces[int(np.searchsorted(np.cumsum([p.rows for p in whole.pieces]), places[0], side="right"))]
    footer = piece.footer
    table = whole.table
    return StoredRun(table["run_id"][0].as_py(), table, footer.get("config", ""), footer.get("provenance", {}))
