"""What a report reads of a store: its runs, their config and provenance, what failed and what is damaged."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from featlearn.store import Store, StoreStatus, StoreWarning, load, status, summary
from featlearn.store.causes import grouped
from featlearn.store.listing import steady
from featlearn.store.snapshot import Snapshot
from featlearn.tables.columns import tracked

SHOWN = ("featlearn", "python", "torch", "numpy", "numba", "scipy", "pandas", "pyarrow", "device", "processor")

CODE, CHANGED = "code of featlearn", " with changes"


@dataclass(frozen=True)
class Source:
    """A store as it was read. last: one row per run, failed ones too; config: what the sweep was asked to do.

    provenance: every distinct environment of the runs, each name with its text. notes: warnings of the store.
    where: the values that select the runs; all_sweeps: whether runs of earlier sweeps are among them.
    """

    path: Path
    last: pd.DataFrame
    status: StoreStatus
    config: dict[str, Any]
    provenance: list[dict[str, str]]
    notes: list[str]
    where: Mapping[str, Any] = field(default_factory=dict)
    all_sweeps: bool = False

    @property
    def expected(self) -> int:
        """Return how many runs there should be: those of the sweep, those found where they are selected."""
        found = len(self.last)
        return found if self.where or self.all_sweeps else self.status.n_runs or found

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
            columns = ["run_id", "step", "status", "seed", *tracked(self.last)]
            rows = load(self.path, columns=columns, all_sweeps=self.all_sweeps)
        return rows[rows["run_id"].isin(self.last["run_id"])].reset_index(drop=True) if self.where else rows

    def yaml(self) -> str:
        """Return the config of the sweep as YAML."""
        shown = {key: value for key, value in self.config.items() if key != "path" and value != {}}
        return yaml.safe_dump(shown, sort_keys=False, width=100, default_flow_style=None, allow_unicode=True)


def read(path: str | Path, where: Mapping[str, Any] | None = None, *, all_sweeps: bool = False) -> Source:
    """Read a store, or a selection of its runs.

    Raises StoreError if there is no store, ValueError if there is no such column or no such run.
    """
    path = Path(path)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", StoreWarning)
        last = summary(path, where=where, all_sweeps=all_sweeps)
    notes = [
        str(note.message).replace(str(path), named(path)) for note in said if issubclass(note.category, StoreWarning)
    ]
    runs = steady(lambda known: Snapshot.of(Store.open(path).path, known=known))
    config = json.loads(runs.plans[-1].config) if runs.plans else {}
    config = config if isinstance(config, dict) else {}
    return Source(path, last, status(path), config, _provenance(runs), notes, where or {}, all_sweeps)


def selection(where: Mapping[str, Any]) -> list[str]:
    """Return conditions as `--where` takes them: `data.dim=1000,20000`."""
    several = {key: value if isinstance(value, list | tuple) else [value] for key, value in where.items()}
    return [f"{key}={','.join('null' if v is None else str(v) for v in values)}" for key, values in several.items()]


def named(path: Path) -> str:
    """Return a path as others may read it: relative, without the folders of this machine."""
    if not path.is_absolute():
        return str(path)
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return path.name


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
