"""Parquet files in which every byte is covered by a checksum.

A file has a CRC-32 of every block of its data in its footer, and the digest of the footer at the end of its name: so a
few columns can be checked without reading the rest, and any flipped bit in what is read is found. Files of older
versions have the checksums of Parquet's pages alone.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featlearn.store.files import Damage, write_file

FOOTER, SUMS = b"featlearn", b"featlearn.crc32"
END = 8  # bytes after the footer: its length and Parquet's magic word
MAGIC = b"PAR1"
BLOCK = 2**16  # bytes under one checksum
SMALL = 2**20  # bytes of a file that is read in one go
GROUP = 2**16  # rows of a row group, the least that is read
NAME = re.compile(r"[^-].*-([0-9a-f]{16})\.parquet")


def write_table(folder: Path, stem: str, table: pa.Table, footer: dict[str, Any]) -> Path:
    """Write a file with a footer atomically; its name is ``stem`` and a digest of its content."""
    table = table.replace_schema_metadata({FOOTER: json.dumps(footer).encode()})

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
    with _opened(path) as file:
        if columns is None:
            return file.read()
        names = [name for name in file.names if name in columns]
        return file.read(names)


def read_schema(path: Path) -> pa.Schema:
    """Return the schema of a file; its metadata has the footer. Raises Damage."""
    with _opened(path) as file:
        return file.parquet.schema_arrow


def verify(path: Path) -> None:
    """Raise Damage if any byte of a file has changed; files of older versions are decoded for it."""
    with _opened(path) as file:
        if file.sums is None:
            file.read()
        else:
            file.check(range(len(file.sums)))


def has_digest(path: Path) -> bool:
    """Whether every byte of a file is covered, as in all but files of older versions."""
    return NAME.fullmatch(path.name) is not None


@dataclass(frozen=True)
class _File:
    """An open file; ``end`` is where its data end and the footer begins. sums: None in files of older versions."""

    parquet: pq.ParquetFile
    bytes: IO[bytes]
    end: int
    sums: np.ndarray | None

    @property
    def names(self) -> list[str]:
        return list(self.parquet.schema_arrow.names)

    def read(self, names: list[str] | None = None) -> pa.Table:
        """Return the checked columns ``names``, or all."""
        if self.sums is not None:
            self.check(self._blocks_of(names))
        if names is None:
            return self.parquet.read()
        return self.parquet.read(names).select(names)  # for a.b pyarrow also reads a.b.c

    def check(self, blocks: Iterable[int]) -> None:
        """Raise ValueError if one of these blocks has changed."""
        assert self.sums is not None
        for block in blocks:
            self.bytes.seek(block * BLOCK)
            found = self.bytes.read(min(BLOCK, self.end - block * BLOCK))
            if zlib.crc32(found) != self.sums[block]:
                raise ValueError(f"the checksum of byte {block * BLOCK} and those after it does not match")

    def _blocks_of(self, names: list[str] | None) -> Iterable[int]:
        """Return the blocks in which pyarrow reads for these columns."""
        metadata = self.parquet.metadata
        if names is None or metadata.num_columns != len(self.names):
            return range(-(-self.end // BLOCK))
        prefixes = tuple(f"{name}." for name in names)
        read = [i for i, name in enumerate(self.names) if name in names or name.startswith(prefixes)]
        blocks = set[int]()
        for group in range(metadata.num_row_groups):
            for chunk in map(metadata.row_group(group).column, read):
                start = min(filter(None, (chunk.dictionary_page_offset, chunk.data_page_offset)))
                blocks.update(range(start // BLOCK, (start + chunk.total_compressed_size - 1) // BLOCK + 1))
        return sorted(blocks)


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    rows: int | None = None
    try:
        with open(path, "rb") as raw:
            whole = os.fstat(raw.fileno()).st_size <= SMALL
            file = io.BytesIO(raw.read()) if whole else raw
            footer = _footer(file)
            named = NAME.fullmatch(path.name)
            if named and _digest(footer) != named[1]:
                raise ValueError("its footer does not match its name")
            source = pa.BufferReader(file.getvalue()) if isinstance(file, io.BytesIO) else path
            with pq.ParquetFile(source, page_checksum_verification=named is None) as parquet:
                rows = parquet.metadata.num_rows
                end = file.seek(0, os.SEEK_END) - END - len(footer)
                yield _File(parquet, file, end, _sums(parquet, end) if named else None)
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's: the file may be sound
        why = " ".join(str(error).split())
        raise Damage(path, f"it is damaged or no part of a store ({why})", rows) from None


def _footer(file: IO[bytes]) -> bytes:
    """Return the bytes of Parquet's footer."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - END, 0))
    length, magic = file.read(4), file.read(4)
    start = size - END - int.from_bytes(length, "little")
    if magic != MAGIC or start < len(MAGIC):
        raise ValueError("it is empty" if not size else "its end is missing")
    file.seek(start)
    return file.read(size - END - start)


def _digest(footer: bytes) -> str:
    return hashlib.sha256(footer).hexdigest()[:16]


def _sums(parquet: pq.ParquetFile, end: int) -> np.ndarray:
    sums = np.frombuffer(base64.b64decode((parquet.metadata.metadata or {}).get(SUMS, b"")), "<u4")
    if len(sums) != -(-end // BLOCK):
        raise ValueError("it lacks checksums")
    return sums


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block
