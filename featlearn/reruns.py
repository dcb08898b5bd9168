"""Computes one run of a store again, and compares the numbers bit by bit.

On the same kind of processor and device, with the same versions, they are equal. Elsewhere sums are taken in another
order: tests/test_processors.py finds 1e-12 of a column's largest number after 60 steps (1e-10 for average_sharpness, a
difference quotient), for other instruction sets; runs that are chaotic drift further apart with every step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from featlearn.config import ConfigError, load_config
from featlearn.devices import chosen_device
from featlearn.provenance import provenance
from featlearn.runs import RunConfig
from featlearn.simulation import simulate
from featlearn.store import StoreError, rows
from featlearn.store.single import StoredRun, stored_run

ENDS = ("status", "message", "stopped_step")


@dataclass(frozen=True)
class Rerun:
    """A run that was computed again.

    differences: by column, the largest difference relative to the largest number of the column, of those that differ in
    some bit; infinite where the lengths differ or only one is a number. ends: what differs of how the run ended, the
    stored and the new value. provenance: what differs of versions, revision, processor and device, likewise.
    """

    run_id: str
    n_columns: int
    differences: Mapping[str, float]
    ends: Mapping[str, tuple[Any, Any]]
    provenance: Mapping[str, tuple[Any, Any]]

    @property
    def equal(self) -> bool:
        """Whether all bits are equal."""
        return not (self.differences or self.ends)


def rerun(store: str | Path, run_id: str, *, device: str = "auto") -> Rerun:
    """Compute a run of a store again from the config that is stored with it, and compare it with its row.

    run_id: its id, or so many first characters that no other has them. device: as in ``sweep``.

    Raises StoreError if there is no such run, or if its config describes no such run any more, since user-defined code
    has changed, and whatever the run itself raises.
    """
    stored = stored_run(store, run_id)
    device = chosen_device(device)
    new = rows([simulate(_run_of(stored), device=device)])
    ends = {name: _pair(stored.row, new, name) for name in ENDS}
    now = provenance(device)
    keys = dict.fromkeys([*stored.provenance, *now])
    about = {key: (stored.provenance.get(key), now.get(key)) for key in keys if key != "own"}
    return Rerun(
        stored.run_id,
        len(_lists(new)),
        dict(_differences(stored.row, new)),
        {name: pair for name, pair in ends.items() if pair[0] != pair[1]},
        {key: pair for key, pair in about.items() if pair[0] != pair[1]},
    )


def _run_of(stored: StoredRun) -> RunConfig:
    """Return the run of a stored row. Its sweep over seeds, which may be long, is cut to the row's own."""
    try:
        content: dict[str, Any] = json.loads(stored.config)
    except ValueError:
        raise StoreError(f"the row of {stored.run_id} has no config: no sweep has written it") from None
    folder = Path(content.pop("path", "")).parent
    sweep = dict(content.pop("sweep", {}))
    if "seed" in sweep:
        content["seed"] = stored.row["seed"][0].as_py()
        del sweep["seed"]
    with chdir(folder if folder.is_dir() else Path()):
        try:
            config = load_config({**content, "sweep": sweep})
        except ConfigError as error:
            raise StoreError(f"the config of {stored.run_id} is not valid here: {error}") from None
        run = next((run for run in config.runs() if run.run_id == stored.run_id), None)
    if run is None:
        raise StoreError(
            f"the config of {stored.run_id} describes no such run here: own code has moved or changed, or featlearn's"
        )
    return run


def _differences(old: pa.Table, new: pa.Table) -> Iterator[tuple[str, float]]:
    """Yield the columns of numbers that differ in some bit, and by how much."""
    for name in dict.fromkeys([*_lists(old), *_lists(new)]):
        a, b = (_numbers(table, name) for table in (old, new))
        if a.shape != b.shape:
            yield name, np.inf
        elif not np.array_equal(a, b, equal_nan=True):
            yield name, _apart(a, b)


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference, relative to the largest finite number; infinite where only one is finite."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if not (np.isfinite(a) & np.isfinite(b))[~same].all():
        return np.inf
    sizes = np.abs(np.concatenate([a, b]))
    return float(np.abs(a[~same] - b[~same]).max() / sizes[np.isfinite(sizes)].max())


def _lists(table: pa.Table) -> list[str]:
    return [field.name for field in table.schema if pa.types.is_list(field.type) and table[field.name][0].is_valid]


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    """Return the numbers of a list column in the one row of a table, and how long its lists are; empty without it."""
    values = table[name][0].as_py() if name in table.column_names else None
    flat = [x for value in values or () for x in (value if isinstance(value, list) else [value])]
    return np.array(flat, dtype=np.float64)


def _pair(old: pa.Table, new: pa.Table, name: str) -> tuple[Any, Any]:
    return tuple(table[name][0].as_py() if name in table.column_names else None for table in (old, new))  # type: ignore[return-value]
