"""What a report reads of a store: its runs, their config and provenance, what failed and what is damaged."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from featlearn.store import Store, StoreStatus, StoreWarning, load, status, summary
from featlearn.store.listing import steady
from featlearn.store.snapshot import Snapshot
from featlearn.sweeps.causes import grouped
from featlearn.tables.columns import tracked

SHOWN = ("featlearn", "python", "torch", "numpy", "numba", "scipy", "pandas", "pyarrow", "device", "processor")

CODE, CHANGED = "code of featlearn", " with changes"


@dataclass(frozen=True)
class Source:
    """A store as it was read. last: one row per run, failed ones too; config: what the sweep was asked to do.

    provenance: every distinct environment of the runs, each name with its text. notes: warnings of the store.
    """

    path: Path
    last: pd.DataFrame
    status: StoreStatus
    config: dict[str, Any]
    provenance: list[dict[str, str]]
    notes: list[str]

    @property
    def name(self) -> str:
        """Return the name of the sweep."""
        return str(self.config.get("name") or self.path.name)

    @property
    def failures(self) -> dict[str, int]:
        """Return the number of failed runs by cause."""
        return grouped(self.status.failures)

    @property
    def revision(self) -> str:
        """Return the commit that all runs were made with, "" if there are several or if files differed from it."""
        found = {environment.get(CODE, CHANGED) for environment in self.provenance}
        only = found.pop() if len(found) == 1 else CHANGED
        return "" if only.endswith(CHANGED) else only

    def rows(self) -> pd.DataFrame:
        """Return every recorded step: run_id, step, status, seed and the numbers of the trackers."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)  # `notes` holds them
            return load(self.path, columns=["run_id", "step", "status", "seed", *tracked(self.last)])

    def yaml(self) -> str:
        """Return the config of the sweep as YAML."""
        shown = {key: value for key, value in self.config.items() if key != "path" and value != {}}
        return yaml.safe_dump(shown, sort_keys=False, width=100, default_flow_style=None, allow_unicode=True)


def read(path: str | Path) -> Source:
    """Read a store. Raises StoreError if there is none."""
    path = Path(path)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", StoreWarning)
        last = summary(path)
    notes = [str(note.message) for note in said if issubclass(note.category, StoreWarning)]
    runs = steady(lambda known: Snapshot.of(Store.open(path).path, known=known))
    config = json.loads(runs.plans[-1].config) if runs.plans else {}
    return Source(path, last, status(path), config if isinstance(config, dict) else {}, _provenance(runs), notes)


def _provenance(runs: Snapshot) -> list[dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for part in runs.parts:
        for piece in part.pieces:
            known = piece.footer.get("provenance")
            if isinstance(known, dict):
                text = _environment(known)
                found.setdefault(json.dumps(text), text)
    return [*found.values()]


def _environment(known: dict[str, Any]) -> dict[str, str]:
    """Return an environment as names and texts."""
    texts = {name: str(known[name]) for name in SHOWN if known.get(name) is not None}
    for name, what in (("code", CODE), ("git", "working directory")):
        revision = known.get(name)
        if isinstance(revision, dict):
            texts[what] = str(revision.get("revision")) + CHANGED * bool(revision.get("dirty"))
    own = known.get("own") or []
    classes = [f"{c.get('name')} ({str(c.get('digest'))[:12]})" for c in own if isinstance(c, dict)]
    return texts | ({"own classes": ", ".join(classes)} if classes else {})
