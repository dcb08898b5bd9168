"""Atomic file writing and checked reading."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

TEMPORARY = ".tmp-"
FOOTER = b"featlearn"


class StoreError(ValueError):
    """A folder that cannot be read or written as a store of this version; the message gives the reason."""


class StoreWarning(UserWarning):
    """Part of a store is left out; the message names it, and how to read it."""


def write_table(path: Path, table: pa.Table, footer: dict[str, Any]) -> None:
    """Write a Parquet file with a footer atomically."""
    table = table.replace_schema_metadata({FOOTER: json.dumps(footer).encode()})
    with writing(path) as file:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that is flushed to disk and renamed to ``path`` once complete."""
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(f"cannot write to {path.parent}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def read_table(path: Path, columns: Collection[str] | None = None) -> pa.Table:
    """Read a Parquet file, or those of ``columns`` that it has. Raises StoreError with its name if it is damaged."""
    with _reading(path) as file:
        if columns is None:
            return file.read()
        names = [name for name in file.schema_arrow.names if name in columns]
        return file.read(names).select(names)  # for a.b pyarrow also reads a.b.c


def read_names(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file."""
    with _reading(path) as file:
        names: list[str] = file.schema_arrow.names
        return names


@contextmanager
def _reading(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (OSError, ValueError) as error:
        what = f"it is damaged or no part of a store ({' '.join(str(error).split())})"
        raise StoreError(f"cannot read {path}: {what}; delete it and sweep again to compute its runs anew") from None
