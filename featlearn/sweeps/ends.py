"""How runs of a store end that others compute while a sweep goes on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from featlearn.store.contents import Part, read_part
from featlearn.store.files import Damage
from featlearn.store.listing import PARTS, entries
from featlearn.store.snapshot import Snapshot

COLUMNS = ["run_id", "status"]


class Ends:
    """The ends of runs that other sweeps have committed since ``before``, which is all that there was."""

    def __init__(self, store: Path, before: Snapshot | None = None) -> None:
        self._store = store
        before = before or Snapshot([], [], [])
        self._known = {part.entry.path for part in before.parts} | {damage.path for damage in before.damaged}
        self._start = max((part.entry.order or 0 for part in before.parts), default=0)
        self._own = set[str]()  # committed by this sweep, in files not seen yet
        self.others: dict[str, str] = {}  # status by run_id

    def commit(self, run_ids: Sequence[str]) -> None:
        """Note runs that this sweep is about to commit."""
        self._own.update(run_ids)

    def refresh(self) -> None:
        """Read the files that are new."""
        new = [entry for entry in entries(self._store, PARTS)[0] if entry.path not in self._known]
        self._known.update(entry.path for entry in new)
        for entry in new:
            with suppress(Damage, FileNotFoundError):
                self._add(read_part(entry, lambda _: COLUMNS))

    def _add(self, part: Part) -> None:
        """Add the ends in a part. It may be one of earlier parts joined: their failures are no news."""
        failed = pc.equal(part.table["status"], "failed").to_numpy()
        table = part.table.filter(pa.array(~failed | (part.committed > self._start)))
        ends = dict(zip(*(table[name].to_pylist() for name in COLUMNS), strict=True))
        if self._own.isdisjoint(ends):
            self.others |= ends
        else:
            self._own.difference_update(ends)
