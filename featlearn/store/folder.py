"""The folder of a store.

    featlearn.json                  the marker: schema version, name, time of creation
    plans/<hash>-<digest>.parquet   the run_ids of one sweep, in its order, and how it gives their numbers (given.py);
                                    config in the footer
    parts/<time>-<digest>.parquet   one row per run; config and provenance in the footer

Files are created by a rename, and parts never change: a killed sweep leaves only complete files, and several processes
may write at once. Other files are ignored.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from featlearn.store.columns import concat
from featlearn.store.files import TEMPORARY, StoreError, write_file
from featlearn.store.parquet import FOOTER, read_schema, read_table, write_table
from featlearn.types import SCHEMA_VERSION

MARKER = "featlearn.json"
ROW = pa.schema(  # columns of every row, whatever its config and trackers; null if the run failed
    [
        ("run_id", pa.string()),
        ("status", pa.string()),
        ("message", pa.string()),
        ("stopped_step", pa.int64()),
        ("step", pa.list_(pa.int64())),
    ]
)


@dataclass(frozen=True)
class Plan:
    """The runs of one sweep in its order, the sweep's config as JSON, and when it last began (ns).

    given: the columns that record how the runs' numbers were given; empty in plans of older versions.
    """

    run_ids: list[str]
    config: str
    began: int
    given: dict[str, np.ndarray] = field(default_factory=dict)


class Store:
    """An open store: ``Store.open`` requires that it exists, ``Store.create`` creates it if needed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: str | Path) -> Store:
        """Open the store at ``path``. Raises StoreError if this version can read none there."""
        path = Path(path)
        try:
            marker = json.loads((path / MARKER).read_bytes())
            schema = marker["schema"]
        except (FileNotFoundError, NotADirectoryError):
            why = f"{path} is not a featlearn store: it has no {MARKER}" if path.exists() else f"no store at {path}"
            raise StoreError(why) from None
        except OSError as error:
            raise StoreError(f"cannot read the store {path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise StoreError(f"{path / MARKER} is not the marker of a featlearn store") from None
        if schema != SCHEMA_VERSION:
            raise StoreError(f"{path} has schema version {schema}, this featlearn reads and writes {SCHEMA_VERSION}")
        return cls(path)

    @classmethod
    def find(cls, path: str | Path) -> Store | None:
        """Open the store at ``path``; None if one can be created there, StoreError if the path is occupied."""
        path = Path(path)
        if (path / MARKER).is_file():
            return cls.open(path)
        if path.is_dir() and any(not entry.name.startswith(TEMPORARY) for entry in path.iterdir()):
            raise StoreError(f"{path} is not empty and not a featlearn store: give a new or an empty folder")
        if path.exists() and not path.is_dir():
            raise StoreError(f"{path} is a file: give a folder")
        return None

    @classmethod
    def create(cls, path: str | Path, name: str) -> Store:
        """Open the store at ``path``, or create it."""
        path = Path(path)
        found = cls.find(path)
        if found is None:
            marker = {"schema": SCHEMA_VERSION, "name": name, "created": datetime.now(UTC).isoformat()}
            write_file(path, lambda file: (file.write(json.dumps(marker, indent=2).encode()), MARKER)[1])
        return found or cls(path)

    def add_plan(self, run_ids: Sequence[str], config: str, given: Mapping[str, Sequence[float | None]] = {}) -> None:
        """Record the runs of a sweep; ``status`` and the order of rows follow from it.

        given: the columns that record how the runs' numbers were given, which is not part of their ids.
        """
        digest = hashlib.sha256("".join(run_ids).encode()).hexdigest()[:16]
        footer = {"config": config, "began": time.time_ns()}
        words = {name: pa.array(column, pa.float64()) for name, column in given.items()}
        path = write_table(self.path / "plans", digest, pa.table({"run_id": run_ids, **words}), footer)
        for old in self.path.glob(f"plans/{digest}*.parquet"):
            if old != path:
                old.unlink(missing_ok=True)

    def add_part(self, table: pa.Table, footer: dict[str, Any]) -> None:
        """Commit the rows of finished runs."""
        write_table(self.path / "parts", str(time.time_ns()), table, footer)

    def plans(self) -> list[Plan]:
        """Return the plans of all sweeps, latest last."""
        plans = []
        for file in self.path.glob("plans/*.parquet"):
            table = read_table(file)
            given = {name: table[name].to_numpy() for name in table.column_names if name != "run_id"}
            plans.append(Plan(table["run_id"].to_pylist(), **json.loads(table.schema.metadata[FOOTER]), given=given))
        return sorted(plans, key=lambda plan: plan.began)

    def parts(self, columns: Collection[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows of every part, earliest first.

        columns: only these, if the part has them; None for all. ``committed`` is the time (ns) of the part.
        """
        for file in self._part_files():
            yield _dated(read_table(file, columns), int(file.name.split("-")[0]))

    def column_names(self) -> list[str]:
        """Return the names of the columns of all parts."""
        return [*dict.fromkeys(name for file in self._part_files() for name in read_schema(file).names)]

    def _part_files(self) -> list[Path]:
        return sorted(self.path.glob("parts/[0-9]*-*.parquet"))

    def read(self, columns: Collection[str] | None = None) -> pa.Table:
        """Return the rows of all parts."""
        return joined(self.parts(columns), columns)

    def current(self, table: pa.Table, plans: Iterable[Plan]) -> list[int]:
        """Return the positions of the current rows of ``table``, in the order of ``plans``, then the others.

        A run that was committed several times has one current row: a result if there is one, else its latest failure.
        """
        ids, statuses = table["run_id"].to_pylist(), table["status"].to_pylist()
        failures_first = sorted(range(len(ids)), key=lambda row: statuses[row] != "failed")
        winner = {ids[row]: row for row in failures_first}
        planned = dict.fromkeys(run_id for plan in plans for run_id in plan.run_ids)
        return [winner.pop(run_id) for run_id in planned if run_id in winner] + list(winner.values())

    def finished(self) -> frozenset[str]:
        """Return the run_ids that have a result."""
        table = self.read(["run_id", "status"])
        pairs = zip(table["run_id"].to_pylist(), table["status"].to_pylist(), strict=True)
        return frozenset(run_id for run_id, status in pairs if status != "failed")


def joined(parts: Iterable[pa.Table], columns: Collection[str] | None = None) -> pa.Table:
    """Return the rows of several parts, missing columns as null; the requested columns of ROW are always present."""
    empty = _dated(ROW.empty_table().select([name for name in ROW.names if columns is None or name in columns]), 0)
    return concat([empty, *parts])


def _dated(table: pa.Table, committed: int) -> pa.Table:
    return table.append_column("committed", pa.array([committed] * table.num_rows, pa.int64()))
