"""What the files of a store contain: a part has one row per run, a plan the runs of one sweep."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from featlearn.store.listing import PLANS, Entry
from featlearn.store.parquet import File, opened, write_table

TEXT = ("run_id", "status")  # what every part has


@dataclass(frozen=True)
class Piece:
    """Rows of a part that were committed together: their number, their order and their footer.

    A part has one piece when it is written, and several after it was joined with others.
    """

    rows: int
    order: int
    footer: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """Some columns of a part. nullable: columns of single values that may have missing ones, where asked for."""

    entry: Entry
    schema: pa.Schema
    table: pa.Table
    pieces: tuple[Piece, ...]
    nullable: frozenset[str] = frozenset()

    @property
    def committed(self) -> np.ndarray:
        """The order of the commit of every row of the part."""
        return np.repeat([piece.order for piece in self.pieces], [piece.rows for piece in self.pieces])


@dataclass(frozen=True)
class Plan:
    """The runs of one sweep in its order, the sweep's config as JSON, and the order number of when it last began.

    given: the columns that record how the runs' numbers were given; empty in plans of older versions.
    """

    entry: Entry
    run_ids: pa.Array
    config: str
    began: int
    given: dict[str, np.ndarray]

    @property
    def order(self) -> int:
        """The order of the file, which plans of older versions lack."""
        return self.began if self.entry.order is None else self.entry.order


def read_part(
    entry: Entry,
    columns: Callable[[pa.Schema], Collection[str] | None] | None = None,
    *,
    rows: np.ndarray | None = None,
    nullable: bool = False,
    verify: bool = False,
    dictionaries: Sequence[str] = (),
) -> Part:
    """Read columns of a part, given its schema, at some rows or all. Raises Damage.

    verify: check every byte; files of older versions are decoded for it. dictionaries: see ``opened``.
    """
    with opened(entry.path, dictionaries) as file:
        pieces = _pieces(file, entry)
        if verify:
            file.verify()
        table = file.read(columns and columns(file.schema), rows)
        for name in TEXT:
            if name in table.column_names and table[name].null_count:
                raise ValueError(f"its column {name} has missing values")
        return Part(entry, file.schema, table, pieces, frozenset(file.nullable() if nullable else ()))


def write_pieces(folder: Path, table: pa.Table, pieces: Sequence[Piece]) -> Path:
    """Write a part from the rows of one piece or several."""
    order = max(piece.order for piece in pieces)
    if len(pieces) == 1:
        return write_table(folder, str(order), table, pieces[0].footer)
    texts = [json.dumps(piece.footer) for piece in pieces]
    kept = [*dict.fromkeys(texts)]
    joined = [[piece.rows, piece.order, kept.index(text)] for piece, text in zip(pieces, texts, strict=True)]
    return write_table(folder, str(order), table, {"joined": joined, "footers": [*map(json.loads, kept)]})


def some_rows(pieces: Sequence[Piece], rows: np.ndarray) -> list[Piece]:
    """Return the pieces that remain of a part when only these (sorted) rows of it are kept."""
    ends = np.cumsum([piece.rows for piece in pieces])
    counts = np.bincount(np.searchsorted(ends, rows, side="right"), minlength=len(pieces)).tolist()
    return [replace(piece, rows=n) for piece, n in zip(pieces, counts, strict=True) if n]


def _pieces(file: File, entry: Entry) -> tuple[Piece, ...]:
    """Return the pieces of a part. Raises ValueError if a Parquet file is none."""
    footer, names, n_rows = file.footer(), file.schema.names, file.parquet.metadata.num_rows
    _check_text(file.schema, *TEXT)
    if len({*names}) < len(names):
        raise ValueError("it has two columns of one name")
    if "step" in names and not _is_steps(file.schema.field("step").type):
        raise ValueError("its column step has no lists of integers")
    if "joined" not in footer:
        return (Piece(n_rows, entry.order or 0, footer),)
    try:
        pieces = tuple(Piece(rows, order, footer["footers"][which]) for rows, order, which in footer["joined"])
    except (KeyError, IndexError, TypeError):
        raise ValueError("its footer is not that of a part") from None
    if sum(piece.rows for piece in pieces) != n_rows:
        raise ValueError("its footer is not that of a part")
    return pieces


def write_plan(store: Path, entry: Entry, table: pa.Table, config: str, began: int) -> None:
    """Write the plan of a sweep: its runs in order and the columns ``given``."""
    write_table(store / PLANS, f"{entry.order}-{entry.hash}", table, {"config": config, "began": began})


def read_plan(entry: Entry) -> Plan:
    """Read a plan. Raises Damage."""
    with opened(entry.path) as file:
        footer: dict[str, Any] = file.footer()
        config, began = footer.get("config"), footer.get("began")
        if not (isinstance(config, str) and isinstance(began, int)):
            raise ValueError("it is no plan")
        _check_text(file.schema, "run_id")
        table = file.read()
        given = {name: table[name] for name in table.column_names if name != "run_id"}
        if not all(pa.types.is_floating(column.type) for column in given.values()):
            raise ValueError("it is no plan")
        run_ids = table["run_id"].combine_chunks()
    return Plan(entry, run_ids, config, began, {name: column.to_numpy() for name, column in given.items()})


def order_of(entry: Entry) -> int:
    """Return the order of a file, which plans of older versions have inside."""
    return read_plan(entry).began if entry.order is None else entry.order


def _check_text(schema: pa.Schema, *names: str) -> None:
    for name in names:
        if name not in schema.names:
            raise ValueError(f"it has no column {name}")
        if not pa.types.is_string(schema.field(name).type):
            raise ValueError(f"its column {name} is not text")


def _is_steps(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) and pa.types.is_integer(kind.value_type))
