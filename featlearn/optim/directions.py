"""Lengths and projections in parameter space, safe at zero, for the variants of SAM.

Numbers are one per run, [b], and taken over all parameters jointly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import Objective, Vector

ROUNDING = 1e-6  # a difference shorter than this share of its terms counts as rounding error, also in single precision


def norm(loss: Objective, u: Vector) -> Tensor:
    """Return |u|, [b]."""
    return loss.root(loss.inner(u, u))


def projection(loss: Objective, u: Vector, v: Vector) -> Vector:
    """Return <u, v> / <v, v> v, the part of u along v; zero where v = 0. That of v on itself is v, bit for bit."""
    return loss.ratio(loss.inner(u, v), loss.inner(v, v)) * v


def significant(loss: Objective, u: Vector, term: Vector) -> Vector:
    """Return the difference u, zero where |u| <= 1e-6 |term|: there its direction is mostly rounding error."""
    return loss.exceeds(loss.inner(u, u), ROUNDING**2 * loss.inner(term, term)) * u
