"""Large steps on relu^2 with the square loss: when a learned signal oscillates, and what that teaches another one.

A sample of label +1 shows the signal v. The filters that are active on it have the inner products z_r, its output is
f = a sum z_r^2, and a step of SGD on this sample alone multiplies every z_r by 1 - k (f - 1), with k = 4 lr a |v|^2. So
f has a dynamics of its own, f <- f (1 - k (f - 1))^2, exact without noise. Its fixed point f = 1 is stable for k < 1;
above, f oscillates. While it does, log z_r has no drift, so E log(1 + k (1 - f)) = 0, and since log(1 + x) < x the mean
of 1 - f is positive: a weaker signal u in the same samples grows by 1 + 4 lr a |u|^2 (1 - f) a step, that is, at a
positive rate. Above k = 3 sqrt(3) / 2 - 1 a step may make z_r negative, and the filter is lost.

All of it is derived here. Source of the claim: Lu et al. 2023 (arXiv 2310.17074), whose theorem assumes that |f - 1|
stays above a constant (recalled).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LOSS_OF_FILTERS = 1.5 * math.sqrt(3) - 1  # k = 1.598: the largest f of the map then reaches 1 + 1/k


def oscillation_boundary(c: ArrayLike, *, strong_norm: ArrayLike, n_filters: ArrayLike) -> Array:
    """Learning rate above which the strong signal oscillates, c m / (4 |v|^2), with c = 1 exact for batches of one.

    For filters that are averaged, a = 1/m, and the square loss (f - y)^2. It is 2 / sharpness at a single sample.
    """
    c, norm, m = (np.asarray(x, dtype=np.float64) for x in (c, strong_norm, n_filters))
    return c * m / (4 * norm**2)


def oscillation_conditions(lr: ArrayLike, *, strong_norm: ArrayLike, n_filters: ArrayLike) -> NDArray[np.bool_]:
    """Whether no filter is lost: k = 4 lr |v|^2 / m < 3 sqrt(3) / 2 - 1."""
    step = np.asarray(lr, dtype=np.float64) / oscillation_boundary(1.0, strong_norm=strong_norm, n_filters=n_filters)
    return np.asarray(step < LOSS_OF_FILTERS)


def oscillation_rate(k: float, *, n_steps: int = 20_000) -> float:
    """Return the mean of 1 - f over the map's orbit, positive where it oscillates; its first tenth is left out.

    In units of 4 lr a |u|^2 it is the rate at which a weak signal grows, to first order in that. NaN where filters are
    lost.
    """
    if k >= LOSS_OF_FILTERS:
        return math.nan
    f, total, first = 0.5, 0.0, n_steps // 10
    for step in range(n_steps):
        f *= (1 - k * (f - 1)) ** 2
        total += (1 - f) * (step >= first)
    return total / (n_steps - first)
