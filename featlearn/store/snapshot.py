"""The rows of a store at one time, in the few columns that decide which of them are read in full.

A run may have several rows: an attempt that failed, then its result; the same result from two sweeps at once. One of
them is current: the latest result if there is one, else the latest failure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from featlearn.store.contents import TEXT, Part, Plan, read_part, read_plan
from featlearn.store.files import Damage
from featlearn.store.listing import PARTS, PLANS, Entry, read_each


@dataclass(frozen=True)
class Snapshot:
    """Every part with the columns ``run_id`` and ``status`` and those asked for, the plans, and what is damaged.

    The rows of all parts are numbered through, in their order.
    """

    parts: list[Part]
    plans: list[Plan]
    damaged: list[Damage]

    @classmethod
    def of(
        cls,
        store: Path,
        columns: Collection[str] = (),
        *,
        plans: bool = True,
        verify: bool = False,
        known: Mapping[Path, Damage] = {},
    ) -> Snapshot:
        """Read a store. columns: those of single values; of lists none are read. verify: check every byte.

        Raises FileNotFoundError if a file goes meanwhile.
        """

        def read(entry: Entry) -> Part:
            def chosen(schema: pa.Schema) -> Collection[str]:
                return [*TEXT, *_single(schema, columns)] if columns else TEXT

            return read_part(entry, chosen, nullable=bool(columns), verify=verify)

        found, bad_plans = read_plans(store, known) if plans else ([], [])
        parts, bad_parts = read_each(store, PARTS, read, known)
        return cls(parts, found, [*bad_plans, *bad_parts])

    @cached_property
    def starts(self) -> np.ndarray:
        """Return the first row of every part, and the number of all rows."""
        return np.cumsum([0, *[part.table.num_rows for part in self.parts]])

    @cached_property
    def committed(self) -> np.ndarray:
        """Return the order of the commit of every row."""
        return np.concatenate([np.zeros(0, np.int64), *[part.committed for part in self.parts]])

    def column(self, name: str) -> pa.ChunkedArray:
        """Return run_id or status of every row."""
        return pa.chunked_array([chunk for part in self.parts for chunk in part.table[name].chunks], pa.string())

    @cached_property
    def failed(self) -> np.ndarray:
        """Whether a row is that of a failed run."""
        mask: np.ndarray = pc.equal(self.column("status"), "failed").to_numpy()
        return mask

    @cached_property
    def _winners(self) -> tuple[pa.Array, np.ndarray]:
        """Return the ids of all runs, and the current row of each."""
        coded = pc.dictionary_encode(self.column("run_id").combine_chunks())
        rising = np.argsort(self.committed, kind="stable")
        rising = rising[np.argsort(~self.failed[rising], kind="stable")]  # failures first: a result counts more
        winners = np.zeros(len(coded.dictionary), np.int64)
        winners[coded.indices.to_numpy()[rising]] = rising  # of equal indices the last one counts
        return coded.dictionary, winners

    def current(self, plans: Iterable[Plan]) -> tuple[np.ndarray, np.ndarray]:
        """Return the current rows of the runs in ``plans``, in their order, and of the others, as committed."""
        ids, winners = self._winners
        planned = planned_ids(plans)
        places = pc.index_in(planned, value_set=ids).drop_null().to_numpy()
        others = np.ones(len(winners), bool)
        others[places] = False
        left = winners[others]
        return winners[places], left[np.lexsort((left, self.committed[left]))]

    def finished(self) -> pa.Array:
        """Return the ids of the runs that have a result."""
        ids, winners = self._winners
        return ids.filter(pa.array(~self.failed[winners]))

    def failures(self) -> Counter[str]:
        """Return how often each run has failed."""
        return Counter(self.column("run_id").filter(pa.array(self.failed)).to_pylist())

    def split(self, rows: np.ndarray) -> list[tuple[Part, np.ndarray]]:
        """Return the parts that have some of these rows, with the rows' sorted positions in them."""
        rows = np.sort(rows)
        edges = np.searchsorted(rows, self.starts)
        pieces = zip(self.parts, self.starts[:-1], edges[:-1], edges[1:], strict=True)
        return [(part, rows[first:last] - start) for part, start, first, last in pieces if last > first]


def read_plans(store: Path, known: Mapping[Path, Damage] = {}) -> tuple[list[Plan], list[Damage]]:
    """Return the plans of all sweeps, latest last, and the damaged ones."""
    found, damaged = read_each(store, PLANS, read_plan, known)
    latest = dict[str, Plan]()
    for plan in sorted(found, key=lambda plan: plan.order):
        latest.pop(plan.entry.hash, None)  # a sweep that began again, and was killed before it removed its first plan
        latest[plan.entry.hash] = plan
    return [*latest.values()], damaged


def planned_ids(plans: Iterable[Plan]) -> pa.Array:
    """Return the ids of the runs in ``plans``, each once, in their order."""
    chunks = [plan.run_ids for plan in plans]
    return pc.unique(pa.chunked_array(chunks, pa.string()))


def _single(schema: pa.Schema, columns: Collection[str]) -> list[str]:
    return [field.name for field in schema if field.name in columns and not pa.types.is_list(field.type)]
