"""Gaussian inputs without targets: for autoencoders, and for students of a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from featlearn.streams import stream
from featlearn.types import NonNegative, Size


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Independent Gaussian inputs; the standard deviation of coordinate i = 1, ..., dim is i^-decay.

    n_samples: training samples n.
    dim: dimension d of an input.
    decay: exponent of the decay; 0 for the standard Gaussian.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"coordinates"})

    n_samples: Size = 100
    dim: Size = 10
    decay: NonNegative = 0.0

    def draw(self, seed: int) -> tuple[np.ndarray, ...]:
        """Draw the inputs [n, d] of the run ``seed``."""
        stds = np.arange(1, self.dim + 1) ** -self.decay
        return (stds * stream(seed, "inputs").standard_normal((self.n_samples, self.dim)),)
