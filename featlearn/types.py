"""Axis names, array aliases, and the bounds that a parameter carries with it.

Axes: ``b`` runs of a block (always leading), ``n`` samples, ``p`` patches, ``d`` dimension, ``f`` filters (the ``m``
of sign +1 first, then the ``m`` of sign -1), ``k`` data vectors (k = 0 the signal), ``c`` centres (the distinct
signal patches). A bound is written once, in the annotation of a parameter; the config reader, its messages and the
JSON schema all follow from it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

_SIGNS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "gt": (">", operator.gt),
    "ge": (">=", operator.ge),
    "lt": ("<", operator.lt),
    "le": ("<=", operator.le),
}


@dataclass(frozen=True)
class Bound:
    """Limits of a number; understood by pydantic by its hook, so that no other room needs pydantic to be imported."""

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
    """Marks a parameter that is an object of a table: a config gives its word, or a mapping with ``name``.

    Where the annotation is a list, each of its items is one. ``methods`` are what a class of the user's own must have
    to stand in for a word.
    """

    table: Mapping[str, type]
    methods: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """Marks a tuple that a config gives as a list, of one item or more; understood by pydantic as ``Bound`` is."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Let a list pass for the annotated tuple; its items stay strict."""
        return {**handler(source), "strict": False, "min_length": 1}


Numbers = Annotated[tuple[float, ...], Listed()]
Positive = Annotated[float, Bound(gt=0)]
NonNegative = Annotated[float, Bound(ge=0)]
Fraction = Annotated[float, Bound(ge=0, lt=1)]
Count = Annotated[int, Bound(ge=1)]
Step = Annotated[int, Bound(ge=0)]

# The columns of every run beside its sections' keys, and the sections
HEAD = ("run_id", "step", "status", "stopped_step", "message", "name", "seed", "engine", "sampling", "dtype")
SECTIONS = ("data", "network", "optimizer", "train", "record")


def reserved(column: str) -> bool:
    """Whether a tracker cannot write a column of this name: a run's own, or that of a key of a config, known or not."""
    return column in ("", "committed", *HEAD) or column.partition(".")[0] in SECTIONS


SCHEMA_VERSION = 2  # of the store: raised whenever a stored column, or the draw of a seed, changes its meaning
