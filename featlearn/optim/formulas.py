"""Which steps of a rule follow the same formula: a formula is compiled, or captured, once."""

from __future__ import annotations

from collections.abc import Hashable
from hashlib import blake2b
from typing import Any


def formula(rule: Any, t: int) -> Hashable | None:
    """Return a name of the formula that step t follows, equal for equal ones; None where it is not known.

    Only what a class says of itself, by ``steady``, counts: a class made from it may step in another way. One without
    a method ``formula`` has a single one.
    """
    if not vars(type(rule)).get("steady", False):
        return None
    name: Hashable | None = rule.formula(t) if hasattr(rule, "formula") else ()
    return name


def changes(rule: Any, n_steps: int) -> list[int] | None:
    """Return the steps that follow another formula than the one before, None where that is not known."""
    names = [formula(rule, t) for t in range(n_steps)]
    return None if None in names else [t for t in range(1, n_steps) if names[t] != names[t - 1]]


def factor(schedule: Any, t: int) -> Hashable | None:
    """Return the factor of a schedule at step t as part of a formula's name; a digest where every run has its own."""
    value = schedule.factor(t)
    if hasattr(value, "cpu"):
        return blake2b(value.cpu().numpy().tobytes()).digest()
    return float(value) if isinstance(value, float | int) else None
