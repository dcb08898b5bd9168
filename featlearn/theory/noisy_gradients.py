"""Norm and direction of a gradient with Gaussian noise, g_b = g + s Z with Z ~ N(0, I_d), and their response to g.

The mean unit vector is E u_b = alpha g with u_b = g_b / |g_b|, its derivative J = alpha I + gamma g g' / |g|^2, and
Cov(g_b, u_b) = s^2 J by Stein's lemma. With q = |g|^2 / (2 s^2) and c = ``mean_unit_slope(d)``

    alpha = (c / s) 1F1(1/2; d/2 + 1; -q)
    gamma = |g| d alpha / d|g| = -(c / s) (2 q / (d + 2)) 1F1(3/2; d/2 + 2; -q).

Exact for every d >= 1. Derived, and compared with Monte Carlo and with high precision in
tests/theory/test_noisy_gradients.py; they close the SDEs of SAM in Compagnoni et al. 2023 (arXiv 2301.08203).

How they are computed: t = sin^2 in Euler's integral of 1F1 absorbs c, which leaves

    s alpha = sqrt(2/pi) I_0,   s gamma = -sqrt(2/pi) 2 q I_2,   I_k = int_0^{pi/2} sin^k cos^d exp(-q sin^2).

With kappa = d + 1/2, p^2 = |g|^2 + kappa s^2 and w = kappa s^2 / p^2 in [0, 1], the functions p alpha and
-p gamma / (1 - w) of w are smooth, near 1 and finite at both ends (s = 0 is w = 0, g = 0 is w = 1). Polynomials on
PIECES pieces of [0, 1], made once for each d, give them to 1e-14; scipy's hyp1f1 is slower, and loses digits where d
and q are large (relative error 1e-6 at d = q = 1e9).

``norm`` = |g| and ``std`` = s are numbers or numpy arrays that broadcast, both finite and >= 0; NaN gives NaN. Where
both are 0 (or so small that 1 / p overflows) there is no direction, and alpha and gamma are 0.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

PIECES, DEGREE = 2048, 4
TINY = np.finfo(np.float64).tiny
FLAT = 45.0  # exp(-45) = 3e-20: the integrand beyond it is below rounding


def mean_unit_slope(dim: ArrayLike) -> Array:
    """Slope c(d) of |E u_b| in |g| / s at g = 0: sqrt(2) Gamma((d + 1) / 2) / (d Gamma(d / 2)), about 1 / sqrt(d).

    sqrt(2 / pi) at d = 1. Near a critical point SAM is unnormalized SAM with the radius rho c(d) / s.
    """
    dim = np.asarray(dim, dtype=np.float64)
    return np.asarray(_smooth(np.ones_like(dim), dim)[0] / np.sqrt(dim + 0.5))


def mean_norm(norm: ArrayLike, std: ArrayLike, dim: float) -> Array:
    """E |g_b| = s sqrt(2) Gamma((d + 1) / 2) / Gamma(d / 2) 1F1(-1/2; d/2; -q).

    Computed as E u_b . g_b = (|g|^2 + d s^2) alpha + s^2 gamma (Stein's lemma). |g| at s = 0, s d c(d) at g = 0.
    """
    length, _, signal, noise, level, bend = _scaled(norm, std, dim)
    share = noise / (dim + 0.5)  # s^2 / p^2
    return np.asarray(length * ((signal + dim * share) * level - share * signal * bend))


def mean_unit(norm: ArrayLike, std: ArrayLike, dim: float) -> Array:
    """alpha of E u_b = alpha g, which is also E 1 / |g_b| of the same |g| in d + 2 dimensions. Unit 1 / g.

    1 / |g| at s = 0, c(d) / s at g = 0; erf(|g| / (s sqrt(2))) / |g| for d = 1.
    """
    return response(norm, std, dim)[0]


def response(norm: ArrayLike, std: ArrayLike, dim: float) -> tuple[Array, Array, Array]:
    """(alpha, beta, gamma) of E u_b = alpha g and J = d E u_b / d g = beta I + gamma g g' / |g|^2. Unit 1 / g.

    beta = alpha > 0 acts across g, beta + gamma >= 0 along it, and Cov(g_b, u_b) = s^2 J. At s = 0 they are 1 / |g|,
    1 / |g|, -1 / |g|; at g = 0 with s > 0 they are c(d) / s, c(d) / s, 0. In one dimension beta + gamma is the
    normal density 2 phi(g / s) / s.
    """
    _, inverse, signal, _, level, bend = _scaled(norm, std, dim)
    alpha = level * inverse
    gamma = -np.minimum(signal * bend * inverse, alpha)  # beta + gamma is 0 for q -> infinity, never below by rounding
    return alpha, alpha, gamma


def _scaled(norm: ArrayLike, std: ArrayLike, dim: float) -> tuple[Array, Array, Array, Array, Array, Array]:
    """p, 1 / p (0 at p = 0), 1 - w = |g|^2 / p^2, w, and the two smooth functions of w."""
    root = np.asarray(std, dtype=np.float64) * np.sqrt(dim + 0.5)
    norm = np.asarray(norm, dtype=np.float64)
    larger = np.asarray(np.maximum(norm, root))
    ratio = np.divide(np.minimum(norm, root), larger, out=np.zeros_like(larger), where=~(larger < TINY))
    length = np.asarray(larger * np.sqrt(1 + ratio**2))  # faster than np.hypot
    inverse = np.divide(1.0, length, out=np.zeros_like(length), where=~(length < TINY))
    signal, noise = (norm * inverse) ** 2, (root * inverse) ** 2
    return length, inverse, signal, noise, *_read(_table(float(dim)), noise)


def _read(table: Array, w: Array) -> Array:
    """The piecewise polynomials of the table, shape (DEGREE + 1, 2, PIECES), at every w: shape (2, *w.shape)."""
    place = w * PIECES
    with np.errstate(invalid="ignore"):  # NaN takes any piece, and stays NaN
        piece = np.minimum(place.astype(np.intp), PIECES - 1)
    local = 2 * (place - piece) - 1
    value = np.take(table[DEGREE], piece, axis=1, mode="clip")  # a copy, also of one number
    for row in table[DEGREE - 1 :: -1]:
        value *= local
        value += np.take(row, piece, axis=1, mode="clip")
    return value


@lru_cache(maxsize=64)
def _table(dim: float) -> Array:
    """Coefficients in the local coordinate in [-1, 1] of each piece, interpolated at its Chebyshev points."""
    points = np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))
    w = (np.arange(PIECES)[:, None] + (points + 1) / 2) / PIECES
    values = _smooth(w, np.full_like(w, dim))
    return np.moveaxis(np.linalg.solve(np.vander(points, increasing=True), values[..., None])[..., 0], -1, 0).copy()


def _smooth(w: Array, dim: Array) -> Array:
    """p alpha and -p gamma / (1 - w) at 0 < w <= 1 by Gauss-Legendre; dim broadcasts; shape (2, *w.shape)."""
    kappa = dim + 0.5
    q = kappa * (1 - w) / (2 * w)
    scale = np.sqrt(kappa / w)  # p / s
    points, weights = np.polynomial.legendre.leggauss(64)
    top = np.minimum(np.pi / 2, np.sqrt(FLAT / (4 * q / np.pi**2 + dim / 2)))  # sin x > 2 x / pi, -log cos x > x^2 / 2
    squares = np.sin(np.multiply.outer(top / 2, 1 + points)) ** 2
    weighted = np.exp(dim[..., None] / 2 * np.log1p(-squares) - q[..., None] * squares) * weights
    height = np.sqrt(2 / np.pi) * scale * top / 2
    return np.stack([height * weighted.sum(-1), height * scale**2 * (weighted * squares).sum(-1)])
