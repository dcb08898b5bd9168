"""Joins small parts into larger ones: the number of files, not of rows, makes a store slow to read.

A join may be killed, and others may read, write and join, at any time. The new part is on disk before the old ones go;
a run that is in both has one current row (snapshot.py), and who reads a part that goes lists the parts anew
(listing.py). Rows are only dropped in favour of rows of the same new part; failed attempts are kept, for
they are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa

from featlearn.store.columns import is_marked
from featlearn.store.contents import Part, Piece, read_part, some_rows, write_pieces
from featlearn.store.files import Damage
from featlearn.store.listing import Entry
from featlearn.store.snapshot import Snapshot

LARGE = 2**26  # bytes of a part to which others are no longer joined
MOST_ROWS = 2**19  # of a new part, which is made in memory


def small_groups(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Cut parts, in their order, into groups that are joined; large ones stay as they are."""
    group, size = list[Entry](), 0
    for entry in entries:
        with suppress(OSError):  # it has been joined meanwhile
            bytes = entry.path.stat().st_size
            if bytes >= LARGE // 2:
                continue
            if group and size + bytes > LARGE:
                yield group
                group, size = [], 0
            group.append(entry)
            size += bytes
    yield group


def join(entries: Sequence[Entry]) -> None:
    """Replace parts by one part for each of their schemas: rows of a sweep must not gain columns of another."""
    groups: dict[Any, list[Part]] = {}
    for entry in entries:
        with suppress(FileNotFoundError, Damage):
            part = read_part(entry)
            columns = tuple((field.name, str(field.type), is_marked(field)) for field in part.schema)
            groups.setdefault(columns, []).append(part)
    for parts in groups.values():
        for few in _batches(parts):
            if len(few) > 1:
                _replace(few)


def _batches(parts: list[Part]) -> Iterator[list[Part]]:
    batch, rows = list[Part](), 0
    for part in parts:
        if batch and rows + part.table.num_rows > MOST_ROWS:
            yield batch
            batch, rows = [], 0
        batch.append(part)
        rows += part.table.num_rows
    yield batch


def _replace(parts: list[Part]) -> None:
    runs = Snapshot(parts, [], [])
    tables, pieces = list[pa.Table](), list[Piece]()
    for part, rows in runs.split(np.union1d(runs.current([])[1], np.flatnonzero(runs.failed))):
        whole = len(rows) == part.table.num_rows
        tables.append(part.table if whole else part.table.take(pa.array(rows)))
        pieces += some_rows(part.pieces, rows)
    new = write_pieces(parts[0].entry.path.parent, pa.concat_tables(tables), pieces)
    for part in parts:
        if part.entry.path != new:
            part.entry.path.unlink(missing_ok=True)
