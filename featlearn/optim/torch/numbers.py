"""The numbers of a rule in a training loop: checked against their bounds, and one for each parameter group."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from featlearn.engines.protocol import Vector
from featlearn.types import Bound

_LIMITS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "gt": (">", operator.gt),
    "ge": (">=", operator.ge),
    "lt": ("<", operator.lt),
    "le": ("<=", operator.le),
}


def check_option(rule: type, name: str, value: Any) -> None:
    """Raise ValueError unless a value is within the bounds, or one of the words, that the rule's annotation gives."""
    hint = get_type_hints(rule, localns={"Base": object}, include_extras=True)[name]
    if get_origin(hint) is Literal and value not in get_args(hint):
        raise ValueError(f"{name} of {rule.__name__}: expected one of {', '.join(get_args(hint))}, found {value}")
    for mark in _marks(hint) if isinstance(value, int | float) else ():
        for limit, (sign, holds) in _LIMITS.items():
            number = getattr(mark, limit)
            if number is not None and not holds(value, number):
                raise ValueError(f"{name} of {rule.__name__}: expected a number {sign} {number}, found {value}")


def _marks(hint: Any) -> Iterator[Bound]:
    yield from (mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Bound))
    for part in get_args(hint):
        yield from _marks(part)


@dataclass(frozen=True)
class PerPart:
    """A number for each part of a Vector, in place of one for all: what a rule's radius is if the groups' differ."""

    values: tuple[float, ...]

    def __mul__(self, other: Any) -> Any:
        """Return the Vector with each part scaled by its own number; or the numbers times a number."""
        if isinstance(other, Vector):
            return Vector(tuple(x * leaf for x, leaf in zip(self.values, other.leaves, strict=True)))
        return PerPart(tuple(x * other for x in self.values))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> PerPart:
        """Return the numbers over a number."""
        return PerPart(tuple(x / other for x in self.values))

    def __neg__(self) -> PerPart:
        """Return the numbers with the other sign."""
        return PerPart(tuple(-x for x in self.values))


def per_part(groups: Sequence[dict[str, Any]], name: str) -> Any:
    """Return the groups' number of this name: one if they agree, else a PerPart."""
    first = groups[0][name]
    if all(group[name] == first for group in groups):
        return first
    return PerPart(tuple(group[name] for group in groups for _ in group["params"]))
