"""The config of one run, and its result.

A RunConfig is complete and resolved: it has every number that the run uses, so that its hash identifies the run.
The package config builds it from YAML, simulation.py computes its Trajectory, the package store saves that.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from featlearn.custom import Source, is_own, source_of, sources
from featlearn.data import DATA
from featlearn.functions.own import named_class
from featlearn.models import MODELS, Landscape, TwoLayerCNN
from featlearn.optim import OPTIMIZERS
from featlearn.optim.schedules import RADIUS_SCHEDULES
from featlearn.sde import Dynamics
from featlearn.trackers import TRACKERS
from featlearn.types import LATER, SCHEMA_VERSION, BatchSampling

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["ok", "fitted", "diverged", "failed"]
NO_LANDSCAPE = "only a landscape takes gradient noise; the noise of a network on patches is that of its mini-batches"
FUNCTIONS = ("activation", "loss")  # the keys of a network that may name a user's function
OPTIONS = ("noise_spectrum",)  # of data; not given, None, they have no column and do not change the id
ONLY_PATCHES = "only a network on patches stops at a training error; use train.stop_at_train_loss"
CHOICES = {"engine": ("gram", "weights"), "sampling": ("vectors", "gram"), "dtype": ("float32", "float64")}


@dataclass(frozen=True, kw_only=True)
class Train:
    """Length and batches: n_steps updates on batch_size samples each, drawn by batch_sampling.

    gradient_noise: s; s Z is added to the gradient of a step, Z standard normal, on a landscape only.
    stop_at_train_loss: freeze the run after the first step at which the loss of the whole training set is at most this.
    stop_at_train_error: likewise its error, the share of samples that are classified wrongly; on patches only.
    """

    n_steps: int
    batch_size: int
    stop_at_train_loss: float | None = None
    batch_sampling: BatchSampling = "epochs"
    gradient_noise: float = 0.0
    stop_at_train_error: float | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown word, and a negative noise."""
        if self.batch_sampling not in get_args(BatchSampling):
            known = ", ".join(get_args(BatchSampling))
            raise ValueError(f"train.batch_sampling: expected one of {known}; found {self.batch_sampling!r}")
        if not 0 <= self.gradient_noise < math.inf:
            raise ValueError(f"train.gradient_noise: expected a finite number >= 0; found {self.gradient_noise!r}")


@dataclass(frozen=True, kw_only=True)
class Record:
    """The trackers, and the steps at which they record (sorted, the first 0, the last n_steps)."""

    steps: tuple[int, ...]
    trackers: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run, with all defaults, theory scales and ``auto`` resolved.

    theory: the c of every number that was given as {theory: c}, by dotted key; for tables only. The id depends neither
    on it nor on whether signal_norm or snr was given.
    """

    name: str
    seed: int
    engine: Literal["gram", "weights"]
    sampling: Literal["vectors", "gram"]
    dtype: Literal["float32", "float64"]
    data: Any
    network: Any
    optimizer: Any
    train: Train
    record: Record
    theory: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse unknown words, explicit weights without explicit data, and gradient noise outside landscapes."""
        for key, words in CHOICES.items():
            if getattr(self, key) not in words:
                raise ValueError(f"{key}: expected one of {', '.join(words)}; found {getattr(self, key)!r}")
        if (self.engine, self.sampling) == ("weights", "gram"):
            raise ValueError("sampling: gram draws no vectors, and the engine weights needs them: use vectors")
        if self.train.gradient_noise and not isinstance(self.network, Landscape):
            raise ValueError(f"train.gradient_noise: {NO_LANDSCAPE}")
        if self.train.stop_at_train_error is not None and isinstance(self.network, Landscape):
            raise ValueError(f"train.stop_at_train_error: {ONLY_PATCHES}")

    def with_seed(self, seed: int) -> RunConfig:
        """Return the run with another seed; what does not depend on the seed is computed once for all of these."""
        other = object.__new__(RunConfig)  # its numbers are checked already
        vars(other).update({name: vars(self)[name] for name in _FIELDS}, seed=seed, setting=self.setting)
        return other

    @cached_property
    def setting(self) -> RunConfig:
        """The run from which this one differs in its seed at most."""
        return self

    @cached_property
    def run_id(self) -> str:
        """Hash of everything that determines the run's rows, and of the schema version of the store.

        It includes a rule's ``revision``, which is raised if its steps change while its parameters do not.
        """
        return hashlib.sha256(f"{SCHEMA_VERSION} {self.seed} {self.setting.identity}".encode()).hexdigest()[:16]

    @cached_property
    def identity(self) -> str:
        """What identifies a run but its seed, as text."""
        revision = getattr(type(self.optimizer), "revision", "")
        head = f"{self.engine} {self.sampling} {self.dtype}{revision and f' {revision}'}"
        sections = [
            _text(_data_numbers, self.data),
            _text(_network_columns, self.network, self.data.dim),
            _text(_rule_columns, self.optimizer),
            _text(_train_numbers, self.train),
            _text(_record_columns, self.record),
        ]
        return "\n".join([head, *sections])

    @cached_property
    def sources(self) -> frozenset[Source]:
        """The sources of the user-defined classes of this run: data model, functions, rule and its parts, trackers."""
        return _sources(self.data, self.network, self.optimizer, self.record.trackers)

    @cached_property
    def given(self) -> dict[str, float]:
        """The columns that say how numbers were given, such as a signal by its snr: they may differ where ids agree."""
        columns = _data_columns(self.data)
        numbers = {f"data.{name}": columns[name] for name in _alternatives(self.data) if name != "signal_norm"}
        return {**numbers, **{f"{key}.theory": c for key, c in self.theory}}

    def columns(self) -> dict[str, Any]:
        """Return the config under its dotted keys, as stored beside every recorded number."""
        head = {name: getattr(self, name) for name in ("name", "seed", "engine", "sampling", "dtype")}
        sections = {
            "data": _data_columns(self.data),
            "network": _network_columns(self.network, self.data.dim),
            "optimizer": {"dynamics": "rule"} | _rule_columns(self.optimizer),
            "train": vars(self.train),
        }
        dotted = {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}
        return {**head, **dotted, **{f"{key}.theory": c for key, c in self.theory}}


_FIELDS = tuple(field.name for field in fields(RunConfig))


@lru_cache(maxsize=4096)
def _text(columns: Callable[..., dict[str, Any]], *parts: Any) -> str:
    """Return the columns of a section as text, equal for equal numbers; cached, as runs of a sweep share sections."""
    floats = {k: v + 0.0 if isinstance(v, int | float) else v for k, v in columns(*parts).items()}
    return json.dumps(floats, sort_keys=True, default=lambda number: number.item())  # numpy's numbers


@lru_cache(maxsize=4096)
def _sources(data: Any, network: Any, rule: Any, trackers: tuple[Any, ...]) -> frozenset[Source]:
    return frozenset([*_functions(network).values(), *sources(data, rule, *trackers)])


def _functions(network: Any) -> dict[str, Source]:
    """Return the sources of the user's activation and loss of a network on patches, by key."""
    words = {key: getattr(network, key) for key in FUNCTIONS} if isinstance(network, TwoLayerCNN) else {}
    return {key: source_of(named_class(word)) for key, word in words.items() if is_own(word)}


def _data_numbers(data: Any) -> dict[str, Any]:
    """Return what decides the draws: of numbers that follow from each other the derived ones, whichever was given."""
    derived = data.derived() if hasattr(data, "derived") else {}
    named = _named(data, DATA, "model")
    given = {key: value for key, value in named.items() if key not in OPTIONS or value is not None}
    return {**given, **derived}


def _data_columns(data: Any) -> dict[str, Any]:
    """Return the data's parameters: those that were given unchanged, the others from them."""
    numbers = _data_numbers(data)
    given = {name: getattr(data, name) for name in _alternatives(data)}
    return {**numbers, **{name: value for name, value in given.items() if value is not None}}


def _alternatives(data: Any) -> tuple[str, ...]:
    return tuple(data.derived()) if hasattr(data, "derived") else ()


def _network_columns(network: Any, dim: int) -> dict[str, Any]:
    """Return the network's parameters; an option of a landscape that is not given, None, has no column.

    So a landscape may gain such an option without a change of the ids of its runs.
    """
    named = _named(network, MODELS, "model")
    if isinstance(network, TwoLayerCNN):
        own = _functions(network)
        words = {key: source.name for key, source in own.items()}
        digests = {f"{key}.source": source.digest for key, source in own.items()}
        return {**named, "init_std": network.std(dim), **words, **digests}
    return {key: value for key, value in named.items() if value is not None}


def _train_numbers(train: Train) -> dict[str, Any]:
    """Return the section without later keys that have the value of every earlier run, so that its id stays."""
    return {key: value for key, value in vars(train).items() if (f"train.{key}", value) not in LATER.items()}


def _rule_columns(rule: Any) -> dict[str, Any]:
    """Return the parameters of a rule, and for its flow or SDE how that is computed."""
    if isinstance(rule, Dynamics):
        return _named(rule.rule, OPTIMIZERS) | vars(rule.settings)
    return _named(rule, OPTIMIZERS)


def _record_columns(record: Record) -> dict[str, Any]:
    return {"steps": record.steps, "trackers": [_named(tracker, TRACKERS) for tracker in record.trackers]}


def _named(obj: Any, table: Mapping[str, type], key: str = "name") -> dict[str, Any]:
    """Return an object's parameters with its word in ``table``, lists of numbers as text.

    The parameters of a base rule are added to the rule's own. A schedule that is not the default has dotted keys. A
    user-defined class is identified by its source.
    """
    flat = _word(type(obj), table, key)
    for field in fields(obj):
        value = getattr(obj, field.name)
        if field.name == "base":
            nested = _named(value, table, "base")
            flat |= {f"base.{k}" if k == "source" else k: v for k, v in nested.items()}
        elif not is_dataclass(value):
            flat[field.name] = json.dumps(value) if isinstance(value, tuple) else value
        elif value != field.default:
            nested = _named(value, RADIUS_SCHEDULES, "")
            flat |= {f"{field.name}.{k}".rstrip("."): v for k, v in nested.items()}
    return flat


def _word(cls: type, table: Mapping[str, type], key: str) -> dict[str, str]:
    """Return the word of a class; for a user-defined one also the hash of its source."""
    for word, known in table.items():
        if known is cls:
            return {key: word}
    source = source_of(cls)
    return {key: source.name, "source": source.digest}


@dataclass(frozen=True)
class Trajectory:
    """The result of a run: its recorded steps, the trackers' columns there, its status, and a message.

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
