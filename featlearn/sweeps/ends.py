"""How runs of a store ended, as far as a sweep must know while it goes on: earlier failures, and the rows of others."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featlearn.store.contents import Part, read_part
from featlearn.store.files import Damage
from featlearn.store.listing import PARTS, entries

COLUMNS = ["run_id", "status"]


def part_files(store: Path) -> list[str]:
    """Return the files with rows."""
    folder = str(store / "parts")
    try:
        return sorted(f"{folder}/{name}" for name in os.listdir(folder) if name.endswith(".parquet"))
    except (FileNotFoundError, NotADirectoryError):
        return []


class Ends:
    """The ends of runs in ``files``, and of those that other sweeps have committed since these were all."""

    def __init__(self, store: Path, files: Sequence[str]) -> None:
        self._store = store
        self._known = set(files)
        self._start = max((entry.order or 0 for entry in entries(store, PARTS)[0]), default=0)
        self._own = set[str]()  # committed by this sweep, in files not seen yet
        self.others: dict[str, str] = {}  # status by run_id

    def failures(self) -> Counter[str]:
        """Return how often each run has failed, according to the files."""
        found = Counter[str]()
        for table in _tables(sorted(self._known)):
            found.update(table.filter(pc.equal(table["status"], "failed"))["run_id"].to_pylist())
        return found

    def commit(self, run_ids: Sequence[str]) -> None:
        """Note runs that this sweep is about to commit."""
        self._own.update(run_ids)

    def refresh(self) -> None:
        """Read the files that are new."""
        new = [entry for entry in entries(self._store, PARTS)[0] if str(entry.path) not in self._known]
        self._known.update(str(entry.path) for entry in new)
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


def _tables(files: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the ends in each file that can be read; others are the store's affair."""
    for file in files:
        try:
            yield pq.read_table(file, columns=COLUMNS, partitioning=None)
        except (OSError, ValueError, KeyError):
            continue
