"""Operations on inner products for rules, safe at zero: none of them returns NaN for finite numbers.

Numbers are one per run, [b], and taken over all parameters jointly.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from featlearn.engines.vector import Scalar, Vector, spread


class Algebra(ABC):
    """The part of an objective that does not depend on the loss."""

    @abstractmethod
    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return <u, v>, [b]."""

    def unit(self, u: Vector) -> Vector:
        """Return u / |u|; the zero vector stays zero.

        A norm whose square under- or overflows gives zero as well.
        """
        return self.inner(u, u).rsqrt().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0) * u

    def norm(self, u: Vector) -> Tensor:
        """Return |u|, [b], also where its square overflows; infinite where a number of u is infinite or NaN."""
        square = self.inner(u, u)
        if square.isfinite().all():
            return square.clamp(min=0).sqrt()
        largest = torch.stack([leaf.abs().reshape(len(leaf), -1).amax(1) for leaf in u.leaves]).amax(0)
        usable = largest.isfinite()
        size = largest.where(usable & (largest > 0), 1.0)
        one = u.with_leaves(tuple(leaf / spread(size, leaf) for leaf in u.leaves))
        scaled = (size * self.inner(one, one).clamp(min=0).sqrt()).where(usable, math.inf)
        return torch.where(square.isfinite(), square.clamp(min=0).sqrt(), scaled)

    def root(self, x: Tensor) -> Tensor:
        """Return the square root of x, 0 where x < 0, which is rounding.

        By rsqrt: torch's sqrt is MKL's on some CPUs, whose last bit is not always that of IEEE 754.
        """
        return x.clamp(min=0).rsqrt().reciprocal()

    def ratio(self, a: Scalar, b: Tensor) -> Tensor:
        """Return a / b; 0 where b is not a positive number."""
        usable = (b > 0) & b.isfinite()
        quotient: Tensor = a / b.where(usable, b.new_ones(()))  # made on the device: a copy from the host synchronises
        return quotient.where(usable, b.new_zeros(()))

    def exceeds(self, a: Tensor, b: Tensor) -> Tensor:
        """Return 1 where a > b, 0 elsewhere."""
        return (a > b).to(a.dtype)
