"""How the parameters move: one file a rule, each written once for both engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from featlearn.optim.perturbed import Perturbed
from featlearn.optim.sam import SAM
from featlearn.optim.sgd import SGD
from featlearn.optim.usam import USAM
from featlearn.optim.wrapper import Memory, Wrapper

__all__ = ["OPTIMIZERS", "SAM", "SGD", "USAM", "Memory", "Perturbed", "Wrapper", "shape", "stack"]

OPTIMIZERS: dict[str, type] = {"sgd": SGD, "sam": SAM, "usam": USAM}

R = TypeVar("R")


def stack(rules: Sequence[R], tensor: Any) -> R:
    """Merge the rules of a block into one whose numbers are tensors [b], made by ``tensor`` from a list.

    A number that is 0 in all runs stays one, so that a rule can leave out what it switches. Raises ValueError where
    the rules differ in anything but floats: such runs do not fit in one block (see ``shape``).
    """
    first = rules[0]
    if any(shape(rule) != shape(first) for rule in rules):
        raise ValueError("rules of one block may differ in their real numbers only")
    merged: dict[str, Any] = {}
    for field in fields(first):  # type: ignore[arg-type]
        values = [getattr(rule, field.name) for rule in rules]
        if is_dataclass(values[0]):
            merged[field.name] = stack(values, tensor)
        elif isinstance(values[0], float) and any(values):
            merged[field.name] = tensor(values)
    return replace(first, **merged)  # type: ignore[type-var]


def shape(rule: Any) -> tuple[Any, ...]:
    """Return what the rules of one block must share: their classes and every parameter that is not a real number."""
    parts: list[Any] = [type(rule)]
    for field in fields(rule):
        value = getattr(rule, field.name)
        parts.append(shape(value) if is_dataclass(value) else float if isinstance(value, float) else value)
    return tuple(parts)
