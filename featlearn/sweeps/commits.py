"""Commits the rows of finished runs to the store every few seconds; a run counts as done once it is on disk."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from featlearn.store import Store, concat
from featlearn.sweeps.ends import Ends
from featlearn.sweeps.remote import PROVENANCE
from featlearn.sweeps.report import SweepReport
from featlearn.sweeps.signals import Signals

COMMIT_SECONDS = 5.0
COMMIT_SHARE = 0.01  # of the time so far, so that the files of a long sweep do not grow too many


@dataclass(frozen=True)
class Commits:
    """Where rows go, and who hears of it: ``report``, ``ends`` and ``show``, which is called at every change."""

    store: Store
    footer: dict[str, Any]
    report: SweepReport
    ends: Ends
    signals: Signals
    show: Callable[[], None]

    def keep(self, tables: Generator[pa.Table | None]) -> None:
        """Commit the first table at once, which shows that the store takes it, then every few seconds, then the rest.

        The rest also after an error or a signal.
        """
        pending: list[pa.Table] = []
        start, committed = time.monotonic(), -math.inf
        try:
            with closing(tables):
                for table in tables:
                    if table is not None:
                        pending.append(table)
                        self.report.unsaved += len(table)
                    now = time.monotonic()
                    if pending and now - committed > max(COMMIT_SECONDS, COMMIT_SHARE * (now - start)):
                        self._commit(pending)
                        committed = time.monotonic()
                    self.show()
        finally:
            self._commit(pending)
            self.show()

    def _commit(self, pending: list[pa.Table]) -> None:
        """Write a part for each provenance: workers of a cluster may differ."""
        while pending:
            which = _provenance(pending[0])
            rows = concat([table for table in pending if _provenance(table) == which])
            footer = {**self.footer, "provenance": {**self.footer.get("provenance", {}), **json.loads(which)}}
            with self.signals.doing(f"writing {len(rows)} finished runs"):
                self.ends.commit(rows["run_id"].to_pylist())
                self.store.add_part(rows, footer)
            pending[:] = [table for table in pending if _provenance(table) != which]
            self.report.count(rows["status"].to_pylist())


def _provenance(table: pa.Table) -> bytes:
    """Return what a worker says of itself, as JSON; it has the same versions as this process (gate.py)."""
    return (table.schema.metadata or {}).get(PROVENANCE, b"{}")  # type: ignore[no-any-return]
