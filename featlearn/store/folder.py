"""The folder of a store.

    featlearn.json   the marker (marker.py)
    plans/           the run_ids of each sweep, in its order, and how it gives their numbers (given.py); its config in
                     the footer
    parts/           one row per run; config and provenance in the footer
    damaged/         files that could not be read when a sweep began

The names of the files are those of listing.py. Files are created by a rename and never change: a killed sweep leaves
only complete files, and several processes may write at once. A file that is damaged or foreign is left out when the
store is read, and set aside by the next sweep, which computes its runs anew. Other files are ignored.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from featlearn.store.contents import Plan, order_of, write_plan
from featlearn.store.files import Damage, StoreError, StoreWarning, named
from featlearn.store.joining import join, small_groups
from featlearn.store.listing import PARTS, PLANS, Entry, entries, next_order, read_each, steady
from featlearn.store.marker import MARKER, check_marker, is_recognised, write_marker
from featlearn.store.parquet import write_table
from featlearn.store.snapshot import Snapshot, read_plans
from featlearn.store.temporary import TEMPORARY, remove_left_over

DAMAGED = "damaged"
SMALL_PARTS = 64  # commits of one process that become one part


class Store:
    """An open store: ``Store.open`` requires that it exists, ``Store.create`` creates it if needed."""

    def __init__(self, path: Path, marker: str | None = None) -> None:
        """Marker: what is wrong with the store's marker."""
        self.path, self.marker = path, marker
        self._last: int | None = None
        self._small: list[Entry] = []

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Open the store at ``path``. Raises StoreError if this version can read none there.

        A store that has lost its marker can be read; ``notes`` says so.
        """
        return cls(Path(path), check_marker(Path(path)))

    @classmethod
    def find(cls, path: str | Path) -> Store | None:
        """Open the store at ``path``; None if one can be created there, StoreError if the path is occupied."""
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise StoreError(f"{path} is a file: give a folder")
        occupied = path.is_dir() and any(not entry.name.startswith(TEMPORARY) for entry in path.iterdir())
        if (path / MARKER).is_file() or is_recognised(path):  # looked for last: another sweep may create it right now
            return cls.open(path)
        if occupied:
            raise StoreError(f"{path} is not empty and not a featlearn store: give a new or an empty folder")
        return None

    @classmethod
    def create(cls, path: str | Path, name: str) -> Store:
        """Open the store at ``path``, or create it; a lost marker is made again, with a StoreWarning."""
        found = cls.find(path)
        if found is None or found.marker:
            write_marker(Path(path), name)
        if found is not None and found.marker:
            text = f"made {found.path / MARKER} again ({found.marker}): there are plans or parts of a store beside it"
            warnings.warn(text, StoreWarning, stacklevel=2)
        return cls(Path(path))

    def notes(self) -> list[str]:
        """Return warnings for who reads the store."""
        return [f"{self.path / MARKER}: {self.marker}; the next sweep makes it again"] if self.marker else []

    def add_plan(self, run_ids: Sequence[str], config: str, given: Mapping[str, Sequence[float | None]] = {}) -> None:
        """Record the runs of a sweep; ``status`` and the order of rows follow from it.

        given: the columns that record how the runs' numbers were given, which is not part of their ids.
        """
        digest = hashlib.sha256("".join(run_ids).encode()).hexdigest()[:16]
        words = {name: pa.array(column, pa.float64()) for name, column in given.items()}
        table = pa.table({"run_id": pa.array(run_ids, pa.string()), **words})
        before = [entry for entry in entries(self.path, PLANS)[0] if entry.hash == digest]
        self._last = None
        order = self._next_order()
        write_plan(self.path, Entry(order, self.path, digest), table, config, order)
        for entry in before:
            entry.path.unlink(missing_ok=True)

    def add_part(self, table: pa.Table, footer: dict[str, Any]) -> None:
        """Commit the rows of finished runs; every so often join the last commits into a larger part.

        A join that fails, as on a full disk, leaves the small parts as they are: the rows are committed.
        """
        order = self._next_order()
        path = write_table(self.path / PARTS, str(order), table, footer)
        self._small.append(Entry(order, path, ""))
        if len(self._small) >= SMALL_PARTS:
            small, self._small = self._small, []
            with suppress(StoreError):
                join(small)

    def tidy(self) -> None:
        """Join small parts when there are many, as of many short sweeps; a join that fails leaves them as they are."""
        groups = [group for group in small_groups(entries(self.path, PARTS)[0]) if len(group) >= SMALL_PARTS]
        for group in groups:
            with suppress(StoreError):
                join(group)

    def compact(self) -> tuple[int, int]:
        """Join small parts into few large ones, at any time; return the numbers of parts before and after.

        A large part is on disk before the small ones go, and a row that is in both is read once. Rows that others have
        replaced are dropped; the footers of the small parts are kept.
        """
        listed = entries(self.path, PARTS)[0]
        for group in small_groups(listed):
            join(group)
        return len(listed), len(entries(self.path, PARTS)[0])

    def plans(self) -> list[Plan]:
        """Return the plans of all sweeps, latest last."""
        return read_plans(self.path)[0]

    def finished(self) -> frozenset[str]:
        """Return the run_ids that have a result."""
        return frozenset(self.finished_ids().to_pylist())

    def finished_ids(self) -> pa.Array:
        """Return the run_ids that have a result, each once, as Arrow's text; ``numpy.asarray`` makes an array."""
        return steady(lambda known: Snapshot.of(self.path, plans=False, known=known)).finished()

    def damaged(self) -> list[Damage]:
        """Return the damaged and foreign files among plans and parts: every byte of each is read."""
        return self.verified().damaged

    def verified(self) -> Snapshot:
        """Return the rows in the columns ``run_id`` and ``status``, and what is damaged; every byte is read."""
        return steady(lambda known: Snapshot.of(self.path, verify=True, known=known))

    def mend(self) -> Snapshot:
        """Prepare for a sweep: remove what killed processes left, set damaged files aside, with a warning.

        Return the rows that there are, and what was damaged.
        """
        self.remove_left_over()
        found = self.verified()
        self.set_aside(found.damaged)
        if found.damaged:
            text = f"moved into {self.path / DAMAGED}: {named(found.damaged)}; their runs are computed anew"
            warnings.warn(text, StoreWarning, stacklevel=2)
        return found

    def remove_left_over(self) -> list[Path]:
        """Remove the temporary files of killed processes, never those of a live one; return them."""
        return remove_left_over([self.path, self.path / PLANS, self.path / PARTS])

    def set_aside(self, damaged: Sequence[Damage]) -> None:
        """Move damaged and foreign files into the folder ``damaged``, so that a sweep computes their runs anew."""
        aside = self.path / DAMAGED
        for damage in damaged:
            try:
                aside.mkdir(exist_ok=True)
                names = (f"{damage.path.name}{'' if n == 0 else f'-{n}'}" for n in count())
                os.rename(damage.path, next(aside / name for name in names if not os.path.lexists(aside / name)))
            except FileNotFoundError:
                continue  # another sweep was first
            except OSError as error:
                raise StoreError(f"cannot set {damage.path} aside: {error.strerror or error}") from error

    def _next_order(self) -> int:
        """Return an order above those of all files when this store was opened or a plan added, and of its own since."""
        if self._last is None:
            orders = [entry.order or 0 for entry in entries(self.path, PARTS)[0]]
            plans = steady(lambda known: read_each(self.path, PLANS, order_of, known))[0]
            self._last = max([*orders, *plans], default=0)
        self._last = next_order(self._last)
        return self._last
