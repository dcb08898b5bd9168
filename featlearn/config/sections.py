"""The sections of a config, and the objects that they may describe.

A section with several kinds selects one by a word (``data.model``, ``optimizer.name``) from the table of its package;
no kind is named here. A rule that wraps another (its field ``base``) names it by its word, and the section has the
parameters of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from featlearn.config.parameters import STRICT, Parameter, parameters
from featlearn.config.problems import show
from featlearn.data import DATA
from featlearn.data.contract import MEMBERS, NUMBERS
from featlearn.models import MODELS
from featlearn.optim import OPTIMIZERS
from featlearn.sde import Settings
from featlearn.trackers import TRACKERS
from featlearn.types import BatchSampling, Bound, Count, Fraction, Named, NonNegative, Positive, Step


@dataclass(frozen=True, eq=False)
class Kind:
    """What a section may describe: a class, and for a wrapper the rule class that it wraps.

    naming: the keys of the section that name them. settings: a class of further keys, which is applied to the object.
    """

    cls: type
    base: type | None = None
    naming: tuple[str, ...] = ()
    settings: type | None = None

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters by name: those of the rule, those of the wrapped rule, and the settings."""
        parts = (self.cls, self.base, self.settings)
        return {name: parameter for part in parts if part for name, parameter in parameters(part).items()}

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Every key that the section may have."""
        return (*self.parameters, *self.naming)

    @cached_property
    def scaled(self) -> tuple[str, ...]:
        """The parameters that may be given as {theory: c}."""
        return tuple(name for name, parameter in self.parameters.items() if parameter.scale)

    def build(self, values: Mapping[str, Any]) -> Any:
        """Return the object with these values. Raises ValueError if a class refuses their combination."""
        if self.settings is None:
            return self._made(values)
        further = parameters(self.settings)
        made = self._made({name: value for name, value in values.items() if name not in further})
        settings: Any = self.settings(**{name: value for name, value in values.items() if name in further})
        return settings.applied(made)

    def _made(self, values: Mapping[str, Any]) -> Any:
        if self.base is None:
            return self.cls(**values)
        own = parameters(self.cls)
        outer = {name: value for name, value in values.items() if name in own}
        inner = {name: value for name, value in values.items() if name not in own}
        return self.cls(**outer, base=self.base(**inner))


@dataclass(frozen=True, eq=False)
class Section:
    """A mapping of a config: the table of its kinds, the key that selects one, and the default word.

    A section of a single kind has no such key. methods: those that a user-defined class needs, or instead of them
    ``instead``, and numbers: its other attributes; empty if none is allowed. listing: what `featlearn list` calls the
    kinds. settings: a class of further keys (see Kind).
    """

    table: Mapping[str, type]
    word: str = ""
    default: str | None = None
    methods: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    listing: str = ""
    settings: type | None = None

    @cached_property
    def _kinds(self) -> dict[tuple[type, type | None], Kind]:
        return {}

    def kind(self, cls: type, base: type | None = None) -> Kind:
        """Return the kind of a class and its base: always the same object."""
        naming = (*filter(None, [self.word]), *(["base"] if base else []))
        return self._kinds.setdefault((cls, base), Kind(cls, base, naming, self.settings))

    @cached_property
    def bases(self) -> dict[str, type]:
        """The kinds that another may wrap: those that wrap none."""
        return {word: cls for word, cls in self.table.items() if not wraps(cls)}

    @cached_property
    def kinds(self) -> dict[tuple[str, str | None], Kind]:
        """Every kind, by its word and the word of the kind that it wraps."""
        found: dict[tuple[str, str | None], Kind] = {}
        for word, cls in self.table.items():
            if wraps(cls):
                found |= {(word, inner): self.kind(cls, base) for inner, base in self.bases.items()}
            else:
                found[word, None] = self.kind(cls)
        return found

    @cached_property
    def keys(self) -> dict[str, Parameter | None]:
        """Every key of some kind, with its parameter; None for the keys that select a kind.

        Of a key shared by several kinds, the parameter that allows {theory: c} is taken.
        """
        naming = [key for kind in self.kinds.values() for key in kind.naming]
        pairs = [pair for kind in self.kinds.values() for pair in kind.parameters.items()]
        return {**dict.fromkeys(naming), **dict(pairs), **{k: p for k, p in pairs if p.scale}}


def wraps(cls: type) -> bool:
    """Whether a class is a rule that wraps another rule."""
    return any(f.name == "base" for f in fields(cls))


@dataclass(frozen=True, kw_only=True)
class Head:
    """The top-level keys of a config.

    name: of the experiment; by default that of the file.
    seed: of the run; it determines every draw.
    engine: gram (exact, cost independent of dim), weights (autograd), or auto: gram if it supports the run.
    sampling: vectors (drawn explicitly), gram (drawn from its law; any dim), or auto: gram if the law is known.
    dtype: of the engine's numbers.
    """

    name: Annotated[str, Field(min_length=1)]
    seed: Step = 0
    engine: Literal["auto", "gram", "weights"] = "auto"
    sampling: Literal["auto", "vectors", "gram"] = "auto"
    dtype: Literal["float64", "float32"] = "float64"

    def __post_init__(self) -> None:
        """Raise ValueError for a name that a terminal would act on."""
        if not self.name.isprintable():
            raise ValueError(f"name has characters that cannot be printed: {show(self.name)}")


@dataclass(frozen=True, kw_only=True)
class TrainSection:
    """How long to train, and on what batches.

    n_steps: updates of the parameters.
    batch_size: samples per step; full for all samples.
    batch_sampling: epochs (each a random permutation, cut into batches), without_replacement (each step draws a fresh
        subset), or with_replacement (each step draws independent samples; one drawn twice counts twice).
    gradient_noise: s; on a landscape each step adds s Z to its gradient, Z ~ N(0, I), the same in both of a SAM step.
    stop_at_train_loss: freeze a run once its training loss is at most this; null for never.
    stop_at_train_error: likewise its training error, the share of samples that it classifies wrongly; 0 is a share too.
    """

    n_steps: Count
    batch_size: Literal["full"] | Count = "full"
    stop_at_train_loss: Positive | None = None
    batch_sampling: BatchSampling = "epochs"
    gradient_noise: NonNegative = 0.0
    stop_at_train_error: Fraction | None = None


@with_config(STRICT)
class Log(TypedDict):
    """About this many steps from 1 to n_steps, equally spaced in the logarithm, duplicates removed."""

    log: Annotated[int, Bound(ge=1, le=10**6)]


@cache
def nested(named: Named) -> Section:
    """Return the section for the value of a parameter, or for each of its items."""
    return Section(named.table, "name", methods=named.methods)


WATCHED = Named(TRACKERS, ("__call__",))
TRACKER = nested(WATCHED)


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordSection:
    """What to record, and when.

    every: a number of steps, a list of steps, or {log: how many}; the first and the last step are always recorded.
    trackers: what to record at these steps.
    """

    every: Count | list[Step] | Log = field(default_factory=lambda: Log(log=50))
    trackers: Annotated[list[Any], WATCHED] = field(
        default_factory=lambda: [TRACKERS[word]() for word in ("loss", "decomposition", "test_error")]
    )


SECTIONS = {
    "": Section({"": Head}),
    "data": Section(DATA, "model", "signal_noise", methods=MEMBERS, numbers=NUMBERS, listing="data"),
    "network": Section(MODELS, "model", "two_layer_cnn", listing="models"),
    "optimizer": Section(
        OPTIMIZERS,
        "name",
        methods=("init", "step", "probe"),
        instead=("drift", "diffusion"),
        listing="optimizers",
        settings=Settings,
    ),
    "train": Section({"": TrainSection}),
    "record": Section({"": RecordSection}),
}


@cache
def known_keys() -> dict[str, Any]:
    """Return every dotted key of a config with its type; None for whole sections and for keys that select a kind."""
    known: dict[str, Any] = {}
    for name, section in SECTIONS.items():
        known |= {name: None} if name else {}
        known |= dotted(section.keys, f"{name}." if name else "")
    return known


def dotted(keys: Mapping[str, Parameter | None], prefix: str) -> dict[str, Any]:
    """Return the keys of a section, and those inside them, under their dotted names, each with its type."""
    found: dict[str, Any] = {}
    for key, parameter in keys.items():
        found[prefix + key] = parameter and parameter.type
        found |= {f"{prefix}{key}.{sub}": hint for sub, hint in parameter.subkeys.items()} if parameter else {}
        if parameter and parameter.named and not parameter.many:
            found |= dotted(nested(parameter.named).keys, f"{prefix}{key}.")
    return found


def split(key: str) -> tuple[str, list[str]]:
    """Return the section of a dotted key, "" for the head, and the path of the key inside it."""
    first, *rest = key.split(".")
    return (first, rest) if first in SECTIONS else ("", [first, *rest])
