"""What one run is, and what it leaves behind.

A RunConfig is complete and resolved: every number that the run uses stands in it, so that its hash names the run.
config.py makes it from YAML, simulate.py turns it into a Trajectory, store.py keeps that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from featlearn.data import DATA, SignalNoise
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.optim import OPTIMIZERS
from featlearn.trackers import TRACKERS
from featlearn.types import SCHEMA_VERSION

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["ok", "fitted", "diverged", "failed"]


@dataclass(frozen=True, kw_only=True)
class Train:
    """How long and on what batches: n_steps updates, batch_size samples each, without replacement in an epoch.

    stop_at_train_loss: freeze the run after the first step at which the loss of the whole training set is below.
    """

    n_steps: int
    batch_size: int
    stop_at_train_loss: float | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """What to watch, and after how many steps (sorted, the first 0, the last n_steps)."""

    steps: tuple[int, ...]
    trackers: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run, resolved: no default, no theory scale and no ``auto`` is left open.

    theory: the c of every number that was given as {theory: c}, by dotted key; for tables only, not part of the id.
    """

    name: str
    seed: int
    engine: Literal["gram", "weights"]
    sampling: Literal["vectors", "gram"]
    dtype: Literal["float32", "float64"]
    data: SignalNoise
    network: TwoLayerCNN
    optimizer: Any
    train: Train
    record: Record
    theory: tuple[tuple[str, float], ...] = ()

    @cached_property
    def run_id(self) -> str:
        """Hash of everything that decides the run's rows, and of the schema version of the store."""
        record = {"steps": self.record.steps, "trackers": [_named(t, TRACKERS) for t in self.record.trackers]}
        text = json.dumps([SCHEMA_VERSION, self._identity(), record], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def columns(self) -> dict[str, Any]:
        """Return the config under its dotted keys, as stored beside every recorded number."""
        theory = {f"{key}.theory": c for key, c in self.theory}
        return {"name": self.name, **self._identity(), **theory}

    def _identity(self) -> dict[str, Any]:
        data = {**_named(self.data, DATA, "model"), "signal_norm": self.data.strength, "snr": self.snr}
        sections = {
            "data": data,
            "network": {**vars(self.network), "init_std": self.network.std(self.data.dim)},
            "optimizer": _named(self.optimizer, OPTIMIZERS),
            "train": vars(self.train),
        }
        dotted = {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}
        return {
            "seed": self.seed,
            "engine": self.engine,
            "sampling": self.sampling,
            "dtype": self.dtype,
            **dotted,
        }

    @property
    def snr(self) -> float:
        """signal_norm / (noise_std sqrt(dim))."""
        return float(self.data.strength / (self.data.noise_std * np.sqrt(self.data.dim)))


def _named(obj: Any, table: Mapping[str, type], key: str = "name") -> dict[str, Any]:
    """Return an object's parameters with its word in ``table``; those of a nested base rule stand beside them."""
    words = {cls: word for word, cls in table.items()}
    flat: dict[str, Any] = {key: words[type(obj)]}
    for field in fields(obj):
        value = getattr(obj, field.name)
        if is_dataclass(value):
            nested = _named(value, table)
            flat |= {field.name: nested.pop("name"), **nested}
        else:
            flat[field.name] = value
    return flat


@dataclass(frozen=True)
class Trajectory:
    """What a run leaves: its recorded steps, the trackers' columns at them, and how it ended, with a sentence.

    steps [r]; values: column -> [r], or [r, length] for list columns. stopped_step: the step after which the
    parameters were frozen (n_steps if none). A run that stopped has no rows after it.
    """

    run: RunConfig
    status: Status
    message: str
    stopped_step: int
    steps: np.ndarray
    values: dict[str, np.ndarray]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per recorded step: run_id, step, status, the config's columns and the trackers' columns."""
        import pandas as pd

        head = {"run_id": self.run.run_id, "step": self.steps, "status": self.status}
        values = {key: v if v.ndim == 1 else list(v) for key, v in self.values.items()}
        config = {key: [value] * len(self.steps) for key, value in self.run.columns().items()}
        return pd.DataFrame({**head, "stopped_step": self.stopped_step, **config, **values})
