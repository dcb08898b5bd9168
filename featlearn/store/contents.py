"""What the files of a store contain: a part has one row per run, a plan the runs of one sweep."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from featlearn.store.listing import Entry
from featlearn.store.parquet import File, opened

TEXT = ("run_id", "status")  # what every part has


@dataclass(frozen=True)
class Part:
    """Some columns of a part. nullable: columns of single values that may have missing ones, where asked for."""

    entry: Entry
    schema: pa.Schema
    table: pa.Table
    nullable: frozenset[str] = frozenset()

    @property
    def committed(self) -> np.ndarray:
        """The order of the commit of every row."""
        return np.full(self.table.num_rows, self.entry.order)


@dataclass(frozen=True)
class Plan:
    """The runs of one sweep in its order, the sweep's config as JSON, and the order number of when it last began.

    given: the columns that record how the runs' numbers were given; empty in plans of older versions.
    """

    run_ids: pa.Array
    config: str
    began: int
    given: dict[str, np.ndarray] = field(default_factory=dict)
    entry: Entry | None = None


def read_part(
    entry: Entry,
    columns: Callable[[pa.Schema], Collection[str] | None] | None = None,
    *,
    rows: np.ndarray | None = None,
    nullable: bool = False,
) -> Part:
    """Read columns of a part, given its schema, at some rows or all. Raises Damage."""
    with opened(entry.path) as file:
        _check_part(file)
        table = file.read(columns and columns(file.schema), rows)
        for name in TEXT:
            if name in table.column_names and table[name].null_count:
                raise ValueError(f"its column {name} has missing values")
        return Part(entry, file.schema, table, frozenset(file.nullable() if nullable else ()))


def _check_part(file: File) -> None:
    """Raise ValueError if a Parquet file is no part."""
    file.footer()
    _check_text(file.schema, *TEXT)
    names = file.schema.names
    if len({*names}) < len(names):
        raise ValueError("it has two columns of one name")
    if "step" in names and not _is_steps(file.schema.field("step").type):
        raise ValueError("its column step has no lists of integers")


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
    return Plan(run_ids, config, began, {name: column.to_numpy() for name, column in given.items()}, entry)


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
