"""The sections of a config, and the objects that they may describe.

A section with several kinds names one by a word (``data.model``, ``optimizer.name``), found in the table of its room;
nothing here knows a kind by its name. A rule that wraps another (its field ``base``) names it by its word, and the
parameters of both stand side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from featlearn.config.parameters import STRICT, Parameter, parameters
from featlearn.data import DATA
from featlearn.models import MODELS
from featlearn.optim import OPTIMIZERS
from featlearn.trackers import TRACKERS
from featlearn.types import Bound, Count, Named, Positive, Step


@dataclass(frozen=True, eq=False)
class Kind:
    """What a section may describe: a class, and the class that it wraps where it is a rule around a rule.

    naming: the keys of the section that say so.
    """

    cls: type
    base: type | None = None
    naming: tuple[str, ...] = ()

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters by name, the rule's own and those of the wrapped rule."""
        return parameters(self.cls) | (parameters(self.base) if self.base else {})

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Every key that the section may have."""
        return (*self.parameters, *self.naming)

    @cached_property
    def scaled(self) -> tuple[str, ...]:
        """The parameters that may be given as {theory: c}."""
        return tuple(name for name, parameter in self.parameters.items() if parameter.scale)

    def build(self, values: Mapping[str, Any]) -> Any:
        """Return the object with these values. Raises ValueError where they make no sense together."""
        if self.base is None:
            return self.cls(**values)
        own = parameters(self.cls)
        outer = {name: value for name, value in values.items() if name in own}
        inner = {name: value for name, value in values.items() if name not in own}
        return self.cls(**outer, base=self.base(**inner))


@dataclass(frozen=True, eq=False)
class Section:
    """A mapping of a config: the table of its kinds, the key that names one, and the word taken if none is given.

    A section of a single kind has no such key. ``methods`` are what a class of the user's own must have to stand in
    for a word; none where there can be no such class. listing: what `featlearn list` calls the kinds.
    """

    table: Mapping[str, type]
    word: str = ""
    default: str | None = None
    methods: tuple[str, ...] = ()
    listing: str = ""

    @cached_property
    def _kinds(self) -> dict[tuple[type, type | None], Kind]:
        return {}

    def kind(self, cls: type, base: type | None = None) -> Kind:
        """Return the kind of a class, wrapping another: always the same object."""
        naming = (*filter(None, [self.word]), *(["base"] if base else []))
        return self._kinds.setdefault((cls, base), Kind(cls, base, naming))

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
        """Every key that some kind understands, with its parameter; None for the keys that name a kind.

        Where kinds have a key in common, one that may be given as {theory: c} stands for all.
        """
        naming = [key for kind in self.kinds.values() for key in kind.naming]
        pairs = [pair for kind in self.kinds.values() for pair in kind.parameters.items()]
        return {**dict.fromkeys(naming), **dict(pairs), **{k: p for k, p in pairs if p.scale}}


def wraps(cls: type) -> bool:
    """Whether a class is a rule around another rule."""
    return any(f.name == "base" for f in fields(cls))


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stands at the top of a config.

    name: of the experiment; that of the file if not given.
    seed: of the run; it decides every draw.
    engine: gram (exact, at no cost of the dimension), weights (autograd), or auto: gram where it can do all.
    sampling: vectors (drawn explicitly), gram (drawn from its law; any dim), or auto: gram where the law is known.
    dtype: of the engine's numbers.
    """

    name: Annotated[str, Field(min_length=1)]
    seed: Step = 0
    engine: Literal["auto", "gram", "weights"] = "auto"
    sampling: Literal["auto", "vectors", "gram"] = "auto"
    dtype: Literal["float64", "float32"] = "float64"


@dataclass(frozen=True, kw_only=True)
class TrainSection:
    """How long to train, and on what batches.

    n_steps: updates of the parameters.
    batch_size: samples a step, drawn without replacement in each epoch; full for all of them.
    stop_at_train_loss: freeze a run once the loss of its training set is below; null for never.
    """

    n_steps: Count
    batch_size: Literal["full"] | Count = "full"
    stop_at_train_loss: Positive | None = None


@with_config(STRICT)
class Log(TypedDict):
    """About this many steps from 1 to n_steps, equally spaced in the logarithm; equal ones count once."""

    log: Annotated[int, Bound(ge=1, le=10**6)]


@cache
def nested(named: Named) -> Section:
    """Return the section that a parameter is, or each of its items."""
    return Section(named.table, "name", methods=named.methods)


WATCHED = Named(TRACKERS, ("__call__",))
TRACKER = nested(WATCHED)


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordSection:
    """What to watch, and when.

    every: this many steps, a list of steps, or {log: how many}; the first and the last step are always recorded.
    trackers: what is written at these steps.
    """

    every: Count | list[Step] | Log = field(default_factory=lambda: Log(log=50))
    trackers: Annotated[list[Any], WATCHED] = field(
        default_factory=lambda: [TRACKERS[word]() for word in ("loss", "decomposition", "test_error")]
    )


SECTIONS = {
    "": Section({"": Head}),
    "data": Section(DATA, "model", "signal_noise"),
    "network": Section(MODELS, "model", "two_layer_cnn", listing="models"),
    "optimizer": Section(OPTIMIZERS, "name", methods=("init", "step", "probe"), listing="optimizers"),
    "train": Section({"": TrainSection}),
    "record": Section({"": RecordSection}),
}


@cache
def known_keys() -> dict[str, Any]:
    """Return every dotted key of a config with its type; None for whole sections and for keys that name a kind."""
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
    """Return the section of a dotted key, "" for the head, and the way to the key inside it."""
    first, *rest = key.split(".")
    return (first, rest) if first in SECTIONS else ("", [first, *rest])
