"""Lengths and projections in parameter space, safe at zero: what the variants of SAM have in common.

Numbers are one per run, [b], and taken over all parameters jointly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.protocol import Objective, Vector

ROUNDING = 1e-6  # a difference this much shorter than its terms is taken for rounding, also in single precision


def norm(loss: Objective, u: Vector) -> Tensor:
    """Return |u|, [b]."""
    return loss.inner(u, u).clamp(min=0).sqrt()


def ratio(a: Tensor, b: Tensor) -> Tensor:
    """Return a / b, [b]; 0 where b is not a positive number."""
    usable = (b > 0) & b.isfinite()
    return (a / b.where(usable, b.new_ones(()))).where(usable, b.new_zeros(()))


def projection(loss: Objective, u: Vector, v: Vector) -> Vector:
    """Return <u, v> / <v, v> v, the part of u along v; zero where v = 0. That of v on itself is v, bit for bit."""
    return ratio(loss.inner(u, v), loss.inner(v, v)) * v


def significant(loss: Objective, u: Vector, term: Vector) -> Vector:
    """Return the difference u, zero where |u| <= 1e-6 |term|: there its direction would be mostly rounding."""
    square = loss.inner(u, u)
    keep = square > ROUNDING**2 * loss.inner(term, term)
    return keep.to(square.dtype) * u
