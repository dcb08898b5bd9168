"""Axis names, array aliases, and the bounds of parameters.

Axes: ``b`` runs of a block (always leading), ``n`` samples, ``s`` slots of a sample, ``N`` distinct patches, ``S``
signals, ``R`` noises, ``K`` = S + R vectors, ``d`` dimension, ``f`` filters (the ``m`` of sign +1 first, then the ``m``
of sign -1; with the softmax the ``m`` of each class), ``C`` outputs. The annotation of a parameter states its bounds
once; the config reader, its messages and the JSON schema use it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

_SIGNS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "gt": (">", operator.gt),
    "ge": (">=", operator.ge),
    "lt": ("<", operator.lt),
    "le": ("<=", operator.le),
}


@dataclass(frozen=True)
class Bound:
    """Limits of a number; pydantic reads them through its hook, so that no other module has to import pydantic."""

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    def __str__(self) -> str:
        """Return the limits in words: ">= 0 and < 1"."""
        return " and ".join(f"{_SIGNS[name][0]} {limit}" for name, limit in self._limits())

    def holds(self, number: float) -> bool:
        """Whether a number is within the limits."""
        return all(_SIGNS[name][1](number, limit) for name, limit in self._limits())

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Add the limits to the schema of the annotated number; a float must also be finite."""
        schema = handler(source)
        finite = {"allow_inf_nan": False} if schema["type"] == "float" else {}
        return {**schema, **dict(self._limits()), **finite}

    def _limits(self) -> Iterator[tuple[str, float]]:
        yield from ((name, value) for name, value in vars(self).items() if value is not None)


@dataclass(frozen=True)
class TheoryScale:
    """Marks a number that a config may also give as ``{theory: c}``: c times the scale named in theory/scales.py."""

    name: str


@dataclass(frozen=True, eq=False)
class Named:
    """Marks a parameter whose value is an object from a table: a config gives its name, or a mapping with ``name``.

    If the annotation is a list, this holds for each item. methods: those that a user-defined class needs.
    """

    table: Mapping[str, type]
    methods: tuple[str, ...] = ()


@dataclass(frozen=True)
class Function:
    """Marks a word, of an activation or a loss, in whose place a config may name a user's: ``file.py:Class``."""

    kind: Literal["activation", "loss"]


@dataclass(frozen=True)
class Listed:
    """Marks a tuple that a config gives as a nonempty list; pydantic reads it through the same hook as ``Bound``."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Accept a list for the annotated tuple; its items stay strict."""
        return {**handler(source), "strict": False, "min_length": 1}


Numbers = Annotated[tuple[float, ...], Listed()]
Positive = Annotated[float, Bound(gt=0)]
NonNegative = Annotated[float, Bound(ge=0)]
Fraction = Annotated[float, Bound(ge=0, lt=1)]
Probability = Annotated[float, Bound(ge=0, le=1)]
Count = Annotated[int, Bound(ge=1)]
MOST = 10**6  # along one axis of an array: more would not fit, and building it would take the machine with it
Size = Annotated[int, Bound(ge=1, le=MOST)]
SizeFromTwo = Annotated[int, Bound(ge=2, le=MOST)]
Step = Annotated[int, Bound(ge=0)]
BatchSampling = Literal["epochs", "without_replacement", "with_replacement"]

# The columns of every run besides its sections' keys, and the sections
ENDS = ("run_id", "step", "status", "stopped_step", "message", "traceback")
HEAD = (*ENDS, "name", "seed", "engine", "sampling", "dtype")
SECTIONS = ("data", "network", "optimizer", "train", "record")


def reserved(column: str) -> bool:
    """Whether a column name is reserved: for columns of every run, and for keys of a config, known or unknown."""
    return column in ("", "committed", *HEAD) or column.partition(".")[0] in SECTIONS


# Keys that were added within a schema version, with the value that every earlier run has there. At this value a key is
# not part of a run's id, and rows stored without it are read with it.
LATER: Mapping[str, Any] = {
    "optimizer.dynamics": "rule",
    "train.batch_sampling": "epochs",
    "train.gradient_noise": 0.0,
    "train.stop_at_train_error": None,
}

# Version of the store, raised when the meaning of a stored column or of a seed's draw changes. 3: both samplings draw
# labels from the same streams, so that drawn vectors have other labels than before; network.loss and
# network.second_layer are columns.
SCHEMA_VERSION = 3
