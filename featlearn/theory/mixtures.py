"""Benign overfitting in the mixture of two Gaussians with d of the order of n (data model leaky_mixture).

Source: Karhadkar et al. 2024 (arXiv 2403.06903): leaky ReLU, hinge, k flipped of n training labels. With d >= C n
overfitting is benign if gamma >= c / k, and harmful if gamma <= c / d. The powers are theirs, from their text; the
constants are open and the conditions on the width and the probability are not restated here. Frei et al. 2022 (arXiv
2202.05928) need a larger dimension, d of the order n^2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def benign_share(c: ArrayLike, *, n_flipped: ArrayLike) -> NDArray[np.float64]:
    """Return gamma = c / k above which overfitting is benign."""
    return np.asarray(c) / np.asarray(n_flipped, dtype=np.float64)


def harmful_share(c: ArrayLike, *, dim: ArrayLike) -> NDArray[np.float64]:
    """Return gamma = c / d below which overfitting is harmful."""
    return np.asarray(c) / np.asarray(dim, dtype=np.float64)


def enough_dimensions(*, dim: float, n_samples: float, c: float = 1.0) -> bool:
    """Whether d >= c n, which both results need: the training set, flips included, is separable."""
    return dim >= c * n_samples


def linear_error(*, gamma: float, dim: float, along: float, norm: float) -> float:
    """Return the error of sign(<w, x>) on the mixture, <w, v> = along and |w| = norm.

    P(sqrt(gamma) along + sqrt((1 - gamma)/d) |w - along v| z < 0) for z standard normal. Derived.
    """
    spread = math.sqrt((1 - gamma) / dim * max(norm**2 - along**2, 0.0))
    lead = math.sqrt(gamma) * along
    return 0.5 * math.erfc(lead / (spread * math.sqrt(2))) if spread else 0.5 * (1 - math.copysign(lead != 0, lead))
