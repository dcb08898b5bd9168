"""Parquet files in which every byte is covered by a checksum.

A file has a CRC-32 of every block of its data in its footer, and the digest of the footer at the end of its name: so a
few columns can be checked without reading the rest, and any flipped bit in what is read is found. Files of older
versions have the checksums of Parquet's pages alone.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import io
import json
import os
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featlearn.store.files import Damage, StoreError, write_file
from featlearn.types import SCHEMA_VERSION

FOOTER, VERSION, SUMS = b"featlearn", b"featlearn.schema", b"featlearn.crc32"
END = 8  # bytes after the footer: its length and Parquet's magic word
MAGIC = b"PAR1"
BLOCK = 2**16  # bytes under one checksum
SMALL = 2**20  # bytes of a file that is read in one go
GROUP = 2**16  # rows of a row group, the least that is read
OF_FILES = (None, errno.EIO, errno.EISDIR, errno.ENOENT)  # errors that concern one file; None: Parquet's
NAME = re.compile(r"[^-].*-([0-9a-f]{16})\.parquet")


def write_table(folder: Path, stem: str, table: pa.Table, footer: dict[str, Any]) -> Path:
    """Write a file with a footer atomically; its name is ``stem`` and a digest of its content."""
    version = str(SCHEMA_VERSION).encode()
    table = table.replace_schema_metadata({FOOTER: json.dumps(footer).encode(), VERSION: version})

    def write(file: IO[bytes]) -> str:
        with pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
            writer.write_table(table, row_group_size=GROUP)
            file.flush()  # all but the footer is written
            with open(file.name, "rb") as written:
                sums = np.fromiter((zlib.crc32(block) for block in _blocks(written)), "<u4")
            writer.add_key_value_metadata({SUMS: base64.b64encode(sums.tobytes())})
        file.flush()
        with open(file.name, "rb") as written:
            return f"{stem}-{_digest(_footer(written))}.parquet"

    return write_file(folder, write)


def read_table(path: Path, columns: Collection[str] | None = None) -> pa.Table:
    """Read a file, or those of ``columns`` that it has, and check what is read. Raises Damage."""
    with opened(path) as file:
        return file.read(columns)


def verify(path: Path) -> None:
    """Raise Damage if any byte of a file has changed; a file of an older version is decoded for it."""
    with opened(path) as file:
        file.verify()


def has_digest(path: Path) -> bool:
    """Whether every byte of a file is covered, as in all but files of older versions."""
    return NAME.fullmatch(path.name) is not None


@dataclass(frozen=True)
class File:
    """An open file; ``end`` is where its data end and the footer begins. sums: None in files of older versions."""

    parquet: pq.ParquetFile
    schema: pa.Schema
    bytes: IO[bytes]
    end: int
    sums: np.ndarray | None

    def footer(self) -> dict[str, Any]:
        """Return the footer. Raises ValueError if the file is not one of a store."""
        metadata = self.schema.metadata or {}
        footer, version = (json.loads(metadata.get(key, b"null")) for key in (FOOTER, VERSION))
        if not isinstance(footer, dict):
            raise ValueError("it has no footer of featlearn")
        if version not in (None, SCHEMA_VERSION):  # older ones have none
            raise ValueError(f"it has schema version {version}, this featlearn reads {SCHEMA_VERSION}")
        return footer

    def read(self, columns: Collection[str] | None = None, rows: np.ndarray | None = None) -> pa.Table:
        """Return those of ``columns`` that the file has, or all, at some rows (sorted), or all, and check them."""
        names = [name for name in self.schema.names if columns is None or name in columns]
        groups, rows = self._groups_of(rows)
        if self.sums is not None:
            self.check(self._blocks_of(names, groups))
        threads = self.end > SMALL  # or they take longer to start than to read
        if len(groups) == self.parquet.num_row_groups:
            table = self.parquet.read(None if columns is None else names, use_threads=threads)
        else:
            table = self.parquet.read_row_groups(groups, names, use_threads=threads)
        table = table.select(names)  # for a.b pyarrow also reads a.b.c
        return table if rows is None or len(rows) == table.num_rows else table.take(pa.array(rows))

    def verify(self) -> None:
        """Raise ValueError if any byte has changed; a file of an older version is decoded for it."""
        if self.sums is None:
            self.read()
        else:
            self.check(range(len(self.sums)))

    def nullable(self) -> set[str]:
        """Return the names of columns of single values that may have missing ones."""
        metadata, names = self.parquet.metadata, set[str]()
        if metadata.num_columns != len(self.schema):
            return {*self.schema.names}
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            for i, field in enumerate(self.schema):
                statistics = None if pa.types.is_list(field.type) else group.column(i).statistics
                if not pa.types.is_list(field.type) and (statistics is None or statistics.null_count):
                    names.add(field.name)
        return names

    def check(self, blocks: Iterable[int]) -> None:
        """Raise ValueError if one of these blocks has changed."""
        assert self.sums is not None
        for block in blocks:
            self.bytes.seek(block * BLOCK)
            if zlib.crc32(self.bytes.read(min(BLOCK, self.end - block * BLOCK))) != self.sums[block]:
                raise ValueError(f"a byte has changed, at {block * BLOCK} or up to {BLOCK} later")

    def _groups_of(self, rows: np.ndarray | None) -> tuple[list[int], np.ndarray | None]:
        """Return the row groups that contain some rows, and the positions of the rows within these groups."""
        metadata = self.parquet.metadata
        lengths = np.array([metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)], np.int64)
        if rows is None or len(rows) == lengths.sum():
            return [*range(len(lengths))], None
        ends = np.cumsum(lengths)
        groups, group = np.unique(np.searchsorted(ends, rows, side="right"), return_inverse=True)
        skipped = (ends - lengths)[groups] - np.cumsum([0, *lengths[groups]])[:-1]
        return groups.tolist(), rows - skipped[group]

    def _blocks_of(self, names: list[str], groups: list[int]) -> Iterable[int]:
        """Return the blocks in which pyarrow reads for these columns and row groups."""
        every = range(-(-self.end // BLOCK))
        if self.end <= SMALL or (len(names) == len(self.schema) and len(groups) == self.parquet.num_row_groups):
            return every
        metadata = self.parquet.metadata
        if metadata.num_columns != len(self.schema):
            return every
        prefixes = tuple(f"{name}." for name in names)
        read = [i for i, name in enumerate(self.schema.names) if name in names or name.startswith(prefixes)]
        blocks = set[int]()
        for group in groups:
            for chunk in map(metadata.row_group(group).column, read):
                start = min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset)))
                blocks.update(range(start // BLOCK, (start + chunk.total_compressed_size - 1) // BLOCK + 1))
        return sorted(blocks)


@contextmanager
def opened(path: Path, dictionaries: Sequence[str] = ()) -> Iterator[File]:
    """Open a file for reading. A ValueError and the like in the body or here becomes a Damage that names the file.

    dictionaries: columns of text that are read as dictionaries: settings have few values, and take less memory so.
    """
    rows: int | None = None
    try:
        with open(path, "rb") as raw:
            whole = os.fstat(raw.fileno()).st_size <= SMALL
            file = io.BytesIO(raw.read()) if whole else raw
            footer = _footer(file)
            named = NAME.fullmatch(path.name)
            if named and _digest(footer) != named[1]:
                raise ValueError("its footer has changed, or its name")
            source = pa.BufferReader(file.getvalue()) if isinstance(file, io.BytesIO) else path
            old = named is None
            with pq.ParquetFile(source, read_dictionary=dictionaries, page_checksum_verification=old) as parquet:
                metadata = parquet.metadata
                rows, end = metadata.num_rows, file.seek(0, os.SEEK_END) - END - len(footer)
                yield File(parquet, parquet.schema_arrow, file, end, _sums(metadata, end) if named else None)
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        if isinstance(error, FileNotFoundError) and not os.path.lexists(path):
            raise  # it has been joined with others: the caller lists the files anew
        if isinstance(error, MemoryError) and has_digest(path):
            raise  # no fault of the file
        if isinstance(error, OSError) and error.errno not in OF_FILES:
            raise StoreError(f"cannot read {path}: {error.strerror}") from None
        text = " ".join(str((error.strerror if isinstance(error, OSError) else None) or error).split())
        ours = isinstance(error, ValueError) and not isinstance(error, pa.ArrowException)
        raise Damage(path, text if ours else f"it cannot be read as Parquet: {text}", rows) from None


def _footer(file: IO[bytes]) -> bytes:
    """Return the bytes of Parquet's footer."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - END, 0))
    length, magic = file.read(4), file.read(4)
    start = size - END - int.from_bytes(length, "little")
    if magic != MAGIC or start < len(MAGIC):
        raise ValueError("its end is missing" if size else "it is empty")
    file.seek(start)
    return file.read(size - END - start)


def _digest(footer: bytes) -> str:
    return hashlib.sha256(footer).hexdigest()[:16]


def _sums(metadata: pq.FileMetaData, end: int) -> np.ndarray:
    sums = np.frombuffer(base64.b64decode((metadata.metadata or {}).get(SUMS, b"")), "<u4")
    if len(sums) != -(-end // BLOCK):
        raise ValueError("it lacks checksums")
    return sums


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block
