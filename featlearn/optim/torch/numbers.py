"""The numbers of a rule in a training loop: checked against their bounds, and one for each parameter group."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from featlearn.engines.protocol import Vector
from featlearn.types import Bound, Named

_LIMITS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "gt": (">", operator.gt),
    "ge": (">=", operator.ge),
    "lt": ("<", operator.lt),
    "le": ("<=", operator.le),
}


def option(rule: type, name: str, value: Any) -> Any:
    """Return a value, or the object that it is a word for.

    Raises ValueError unless it is within the bounds, or one of the words, that the rule's annotation gives.
    """
    words, allowed, limits = _annotated(rule, name)
    if words and isinstance(value, str):
        return _named(f"{name} of {rule.__name__}", words, value)
    if allowed and value not in allowed:
        raise ValueError(f"{name} of {rule.__name__}: expected one of {', '.join(allowed)}, found {value}")
    for limit, number in limits if isinstance(value, int | float) else ():
        sign, holds = _LIMITS[limit]
        if not holds(value, number):
            raise ValueError(f"{name} of {rule.__name__}: expected a number {sign} {number}, found {value}")
    return value


@cache
def _annotated(rule: type, name: str) -> tuple[dict[str, type], tuple[str, ...], tuple[tuple[str, float], ...]]:
    """Return what an annotation says: the words for objects, the words that are values, the limits of a number."""
    hint = get_type_hints(rule, localns={"Base": object}, include_extras=True)[name]
    words = {word: cls for mark in _marks(hint, Named) for word, cls in mark.table.items()}
    limits = [(limit, getattr(mark, limit)) for mark in _marks(hint, Bound) for limit in _LIMITS]
    allowed = get_args(hint) if get_origin(hint) is Literal else ()
    return words, allowed, tuple((limit, number) for limit, number in limits if number is not None)


def _named(where: str, words: dict[str, type], word: str) -> Any:
    if word not in words:
        raise ValueError(f"{where}: expected one of {', '.join(words)}, found {word}")
    try:
        return words[word]()
    except TypeError:
        cls = words[word].__name__
        raise ValueError(f"{where}: {word} has numbers of its own: give featlearn.optim.schedules.{cls}(...)") from None


def _marks(hint: Any, kind: type) -> Iterator[Any]:
    yield from (mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, kind))
    for part in get_args(hint):
        yield from _marks(part, kind)


@dataclass(frozen=True)
class PerPart:
    """A number for each part of a Vector, in place of one for all: what a rule's radius is if the groups' differ."""

    values: tuple[float, ...]

    def __mul__(self, other: Any) -> Any:
        """Return the Vector with each part scaled by its own number; or the numbers times a number, or one each."""
        if isinstance(other, Vector):
            return Vector(tuple(x * leaf for x, leaf in zip(self.values, other.leaves, strict=True)))
        if isinstance(other, PerPart):
            return PerPart(tuple(x * y for x, y in zip(self.values, other.values, strict=True)))
        return PerPart(tuple(x * other for x in self.values))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> PerPart:
        """Return the numbers over a number."""
        return PerPart(tuple(x / other for x in self.values))

    def __neg__(self) -> PerPart:
        """Return the numbers with the other sign."""
        return PerPart(tuple(-x for x in self.values))


def per_part(groups: Sequence[dict[str, Any]], number: Callable[[dict[str, Any]], Any]) -> Any:
    """Return a number of the groups: one if they agree, else a PerPart."""
    numbers = [number(group) for group in groups]
    if all(x == numbers[0] for x in numbers):
        return numbers[0]
    return PerPart(tuple(x for x, group in zip(numbers, groups, strict=True) for _ in group["params"]))
