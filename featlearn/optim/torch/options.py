"""The numbers of a rule in a training loop: checked against their bounds, and one for each parameter group."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from featlearn.engines.protocol import Vector
from featlearn.types import Bound, Named


def option(rule: type, name: str, value: Any) -> Any:
    """Return a value, or the object that it names.

    Raises ValueError unless it is a finite number (or a scalar tensor) of the type and within the bounds of the rule's
    annotation, or one of its words.
    """
    words, allowed, kinds, bounds = _annotated(rule, name)
    if words and isinstance(value, str):
        return _named(f"{name} of {rule.__name__}", words, value)
    if allowed and value not in allowed:
        raise ValueError(f"{name} of {rule.__name__}: expected one of {', '.join(allowed)}, found {value}")
    if not kinds:
        return value
    number = value.item() if getattr(value, "ndim", None) == 0 else value
    if not _fits(number, kinds, bounds):
        wanted = " ".join(["a finite number" if float in kinds else "an integer", *map(str, bounds)])
        wanted += " or None" if NoneType in kinds else ""
        raise ValueError(f"{name} of {rule.__name__}: expected {wanted}, found {number!r}")
    return value


def _fits(number: Any, kinds: set[type], bounds: tuple[Bound, ...]) -> bool:
    if number is None:
        return NoneType in kinds
    of_kind = isinstance(number, Real if float in kinds else Integral) and not isinstance(number, bool)
    return of_kind and math.isfinite(number) and all(bound.holds(number) for bound in bounds)


@cache
def _annotated(rule: type, name: str) -> tuple[dict[str, type], tuple[str, ...], set[type], tuple[Bound, ...]]:
    """Return the parts of an annotation: words for objects, words that are values, a number's types and bounds."""
    hint = get_type_hints(rule, localns={"Base": object}, include_extras=True)[name]
    words = {word: cls for mark in _marks(hint, Named) for word, cls in mark.table.items()}
    allowed = get_args(hint) if get_origin(hint) is Literal else ()
    kinds = set(_leaves(hint))
    numeric = bool(kinds & {int, float}) and kinds <= {int, float, NoneType}
    return words, allowed, kinds if numeric else set(), tuple(_marks(hint, Bound))


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


def _leaves(hint: Any) -> Iterator[Any]:
    """Yield the types that a value may have, without metadata."""
    if get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from _leaves(part)
    elif get_origin(hint) is Annotated:
        yield from _leaves(get_args(hint)[0])
    else:
        yield hint


@dataclass(frozen=True)
class PerPart:
    """A number for each part of a Vector, in place of one for all: the type of a radius that differs between groups."""

    values: tuple[float, ...]

    def __mul__(self, other: Any) -> Any:
        """Return the Vector with each part scaled by its own number; or the numbers times one or several numbers."""
        if isinstance(other, Vector):
            return Vector(tuple(x * leaf for x, leaf in zip(self.values, other.leaves, strict=True)))
        return self._each(operator.mul, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> PerPart:
        """Return the numbers divided by one or several numbers."""
        return self._each(operator.truediv, other)

    def __add__(self, other: Any) -> PerPart:
        """Return the numbers plus one or several numbers."""
        return self._each(operator.add, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> PerPart:
        """Return the numbers minus one or several numbers."""
        return self._each(operator.sub, other)

    def __gt__(self, other: Any) -> PerPart:
        """Return whether each number is larger than one or several numbers."""
        return self._each(operator.gt, other)

    def __neg__(self) -> PerPart:
        """Return the negative numbers."""
        return PerPart(tuple(-x for x in self.values))

    def _each(self, what: Callable[[Any, Any], Any], other: Any) -> PerPart:
        others = other.values if isinstance(other, PerPart) else (other,) * len(self.values)
        return PerPart(tuple(map(what, self.values, others)))


def per_part(groups: Sequence[dict[str, Any]], number: Callable[[dict[str, Any]], Any]) -> Any:
    """Return a number of the groups: one if they agree, else a PerPart."""
    numbers = [number(group) for group in groups]
    if all(x == numbers[0] for x in numbers):
        return numbers[0]
    return PerPart(tuple(x for x, group in zip(numbers, groups, strict=True) for _ in group["params"]))
