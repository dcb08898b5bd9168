"""Joins the stores of shards into one: what a single undisturbed sweep would have left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from featlearn.store.contents import Part, Plan, read_part, some_rows, write_pieces, write_plan
from featlearn.store.files import Damage, StoreError, named, sync_folder, write_file
from featlearn.store.folder import Store
from featlearn.store.listing import PARTS, PLANS, entries, steady
from featlearn.store.marker import write_marker
from featlearn.store.parquet import has_digest, verify
from featlearn.store.snapshot import Snapshot
from featlearn.store.temporary import remove_left_over


def merge(stores: Sequence[str | Path], out: str | Path, *, all_sweeps: bool = False) -> int:
    """Write the runs of several stores into a new one, each run once, and return their number.

    A result counts more than a failure, and a later row more than an earlier one. The new store appears complete; after
    an interruption the same call goes on with what it has copied.

    all_sweeps: also join stores whose latest sweeps differ. Reading the new store, the one that began last counts.

    Raises StoreError, and changes nothing, for stores whose latest sweeps differ, damaged ones, and an ``out`` that is
    not new or empty.
    """
    sources, out = [Store.open(path) for path in stores], Path(out)
    _check_out(sources, out)
    found = [steady(partial(_sound, store.path)) for store in sources]
    plans = _joined_plans(sources, found, all_sweeps)
    half = out.absolute().with_name(f".{out.absolute().name}.merging")
    runs = Snapshot([part for store in found for part in store.parts], [], [])
    rows = runs.current([])[1]
    kept = np.union1d(rows, np.flatnonzero(runs.failed))  # failed attempts are counted
    wanted = {_copied(part, at, half / PARTS) for part, at in runs.split(kept)}
    for entry in entries(half, PARTS)[0]:
        if entry.path not in wanted:  # of an interrupted call with other stores
            entry.path.unlink()
    shutil.rmtree(half / PLANS, ignore_errors=True)
    for plan in plans:
        given = {name: pa.array(column, from_pandas=True) for name, column in plan.given.items()}
        write_plan(half, plan.entry, pa.table({"run_id": plan.run_ids, **given}), plan.config, plan.began)
    write_marker(half, out.name)
    Store(half).compact()
    remove_left_over([half, half / PARTS])
    try:
        os.rename(half, out)
    except OSError as error:
        raise StoreError(f"cannot write {out}: {error.strerror or error}") from error
    sync_folder(out.absolute().parent)
    return len(rows)


def _check_out(sources: Sequence[Store], out: Path) -> None:
    if not sources:
        raise StoreError("give the stores to merge")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(f"{out} is not empty: give a new or an empty folder")
    if len({store.path.resolve() for store in sources}) < len(sources):
        raise StoreError("a store is given twice")
    for store in sources:
        if damaged := store.damaged():
            raise StoreError(f"{named(damaged)} cannot be read: sweep again into {store.path} first")


def _sound(path: Path, known: Mapping[Path, Damage]) -> Snapshot:
    """Read a store. Raises Damage for the first damaged file."""
    runs = Snapshot.of(path, known=known)
    if runs.damaged:
        raise runs.damaged[0]
    return runs


def _joined_plans(sources: Sequence[Store], found: Sequence[Snapshot], all_sweeps: bool) -> list[Plan]:
    """Return the plans of all stores, each sweep once: it began when it first began, and counts as when it last did."""
    pairs = zip(sources, found, strict=True)
    latest = {runs.plans[-1].entry.hash: store for store, runs in pairs if runs.plans}
    if len(latest) > 1 and not all_sweeps:
        first, second, *_ = (store.path for store in latest.values())
        why = f"the latest sweeps into {first} and {second} have other runs"
        raise StoreError(f"{why}; all_sweeps=True (--all-sweeps) merges them, and plots then read the latest alone")
    joined = dict[str, Plan]()
    for plan in sorted((plan for runs in found for plan in runs.plans), key=lambda plan: plan.order):
        before = joined.get(plan.entry.hash, plan)
        entry = replace(plan.entry, order=plan.order)
        joined[plan.entry.hash] = replace(plan, began=min(before.began, plan.began), entry=entry)
    return [*joined.values()]


def _copied(part: Part, rows: np.ndarray, folder: Path) -> Path:
    """Write some rows of a part into a folder, unless it has them already; return the file."""
    path = part.entry.path
    if len(rows) < part.table.num_rows or not has_digest(path):
        whole = read_part(part.entry, rows=rows)
        return write_pieces(folder, whole.table, some_rows(part.pieces, rows))
    target = folder / path.name
    if not _is_sound(target):
        write_file(folder, lambda file: (file.write(path.read_bytes()), path.name)[1])
        verify(target)
    return target


def _is_sound(path: Path) -> bool:
    try:
        verify(path)
    except (FileNotFoundError, Damage):
        return False
    return True
