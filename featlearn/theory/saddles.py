"""Saddles and maxima that hold SAM: thresholds of the radius, basins, escape, the variance while escaping.

Near a critical point f = x' H x / 2 with eigenvalues lam_i, and a saddle "traps" a rule that its flow or its steps
bring back. Sources: Compagnoni et al. 2023 (arXiv 2301.08203) for the thresholds of the flows; Kim, Park, Choi & Lee
2026 (arXiv 2301.06308) for saddles of index 1 and for ``kim_variance``; Park et al. (arXiv 2509.21818) for
hallucinated minimizers. What is not marked as recalled is derived; all of it is compared with simulation of the
discrete rules in tests/theory/test_saddles.py.

Arguments are numbers or numpy arrays that broadcast; ``eigenvalues`` have the eigenvalues of one Hessian on the last
axis, which the result lacks. lr > 0 and rho >= 0 are not checked. lr times an eigenvalue is a pure number.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featlearn.theory.noisy_gradients import mean_unit_slope

Array = NDArray[np.float64]


def usam_saddle_radius(eigenvalues: ArrayLike) -> Array:
    """Radius above which the flow of USAM is attracted, max of 1 / |lam_i| over negative lam_i; 0 at a minimum.

    Every negative direction must turn, since dx_i = -lam_i (1 + rho lam_i) x_i dt (recalled, and derived).
    """
    (lam,) = _floats(eigenvalues)
    return np.asarray(np.divide(-1, lam, out=np.zeros_like(lam), where=lam < 0).max(axis=-1))


def usam_traps(rho: ArrayLike, eigenvalues: ArrayLike, lr: ArrayLike = 0.0) -> NDArray[np.bool_]:
    """Whether USAM converges to the critical point: 0 < lr a_i < 2 for every a_i = lam_i (1 + rho lam_i). Exact.

    lr = 0 is the flow, which only needs a_i > 0. rho and lr broadcast against the leading axes of ``eigenvalues``.
    """
    rho, lam, lr = _floats(rho, eigenvalues, lr)
    a = lam * (1 + rho[..., None] * lam)
    return np.asarray(((a > 0) & (lr[..., None] * a < 2)).all(axis=-1))


def usam_escape_rate(rho: ArrayLike, eigenvalue: ArrayLike) -> Array:
    """Rate at which the flow of USAM leaves along lam < 0, |lam| (1 - rho |lam|); negative where it is held."""
    rho, lam = _floats(rho, eigenvalue)
    return -lam * (1 + rho * lam)


def sam_basin(rho: ArrayLike, eigenvalues: ArrayLike) -> Array:
    """Gradient norm below which the flow of SAM is attracted: |H x| < rho |lam_*|, lam_* the negative one nearest to 0.

    There dx_i = -lam_i (1 + rho lam_i / |H x|) x_i dt shrinks every x_i and with them |H x| (recalled, and derived). In
    one dimension the basin is exactly |x| < rho, in more it may be larger. inf at a minimum.
    """
    rho, lam = _floats(rho, eigenvalues)
    smallest = np.where(lam < 0, -lam, np.inf).min(axis=-1)
    saddle = smallest < np.inf
    return np.asarray(np.where(saddle, rho * np.where(saddle, smallest, 0), np.inf))


def sam_confinement(lr: ArrayLike, rho: ArrayLike, eigenvalue: ArrayLike) -> Array:
    """Interval |x| <= lr rho |lam| that holds discrete SAM inside the basin in one dimension, lam < 0, lr |lam| <= 1.

    From x+ = (1 + lr |lam|) x - lr rho |lam| sign(x): the steps do not converge, they jump across the saddle.
    """
    lr, rho, lam = _floats(lr, rho, eigenvalue)
    return np.abs(lr * rho * lam)


def sam_saddle_curvature(lr: ArrayLike, sharpness: ArrayLike) -> Array:
    """Curvature m above which discrete SAM is trapped on diag(L, -m): lr L^2 / (2 - lr L), whatever rho is.

    L = ``sharpness``. SAM's two-cycle along L has gradient norm G = lr rho L^2 / (2 - lr L), at which a small deviation
    along -m is multiplied by 1 + lr m - lr rho m^2 / G per step: below 1 iff rho m > G. It stays above -1 for
    lr m (m / threshold - 1) < 2; beyond that the motion along -m has a finite size. inf for lr L >= 2.
    """
    lr, sharp = _floats(lr, sharpness)
    gap = 2 - lr * sharp
    return np.asarray(np.divide(lr * sharp**2, gap, out=np.full(gap.shape, np.inf), where=~(gap <= 0)))


def noisy_sam_radius(eigenvalue: ArrayLike, std: ArrayLike, dim: ArrayLike) -> Array:
    """Radius above which SAM with gradient noise s Z is trapped along lam < 0, s / (c(d) |lam|).

    There E u_b = c g / s, so SAM is USAM with radius rho c / s. Regime: |g| below s sqrt(d), lr |lam| much below 1.
    DNSAM has no such radius: its noise throws it out in the end (recalled).
    """
    lam, s, dim = _floats(eigenvalue, std, dim)
    return s / (mean_unit_slope(dim) * np.abs(lam))


def saddle_variance(
    time: ArrayLike, lr: ArrayLike, rho: ArrayLike, eigenvalue: ArrayLike, batch_size: ArrayLike
) -> Array:
    """Variance of USAM along lam at time t = steps * lr from the critical point, by its SDE with complete covariance.

    lr v (1 + rho lam)^2 (1 - exp(-2 a t)) / (2 a): a = lam (1 + rho lam), and v = |lam| / B the variance of the
    gradient along lam, that of one sample of a log loss over the batch; one batch for both gradients of a step. The
    rule's own variance differs by a factor 1 + O(lr a) and is within 2 standard errors of this one in
    tests/theory/test_saddles.py, where ``kim_variance`` fails. At first order in rho and t, rho takes
    2 lr rho lam^2 t / B away from SGD's variance.
    """
    t, lr, rho, lam, batch = _floats(time, lr, rho, eigenvalue, batch_size)
    a = lam * (1 + rho * lam)
    return lr * np.abs(lam) / batch * (1 + rho * lam) ** 2 * _grown(a, t)


def kim_variance(time: ArrayLike, lr: ArrayLike, rho: ArrayLike, eigenvalue: ArrayLike, batch_size: ArrayLike) -> Array:
    """The variance as Kim et al. state it, lr |lam| / (2 B lam (1 + rho lam)^2) (1 - exp(-2 lam (1 + rho lam)^2 t)).

    NOT what USAM with one batch for both gradients does, except at rho = 0: at lam = -1, B = 8, lr = .001, t = 1 it
    gives 2.54e-4 for rho = .2 and 1.62e-4 for .5, where the rule has 1.97e-4 and 5.4e-5. It is the variance of
    dX = -lam (1 + rho lam)^2 X dt + sqrt(lr |lam| / B) dW, in which rho takes 2 lr rho |lam|^3 t^2 / B away, one order
    in t later than in the rule. Kept as the claim that fails in tests/theory/test_saddles.py.
    """
    t, lr, rho, lam, batch = _floats(time, lr, rho, eigenvalue, batch_size)
    return lr * np.abs(lam) / batch * _grown(lam * (1 + rho * lam) ** 2, t)


def hallucinated_points(extremum: ArrayLike, rho: ArrayLike) -> tuple[Array, Array]:
    """(x* - rho, x* + rho): zeros of SAM's perturbed gradient in one dimension, x* a minimum or maximum of f.

    SAM stops at the left one iff f' > 0 there, at the right one iff f' < 0: the gradient points to x*, and is not 0. At
    a maximum these points bound its basin and repel; at a minimum they attract (``hallucinated_multiplier``), and need
    a maximum between the point and x*, closer than rho.
    """
    point, rho = _floats(extremum, rho)
    return point - rho, point + rho


def hallucinated_multiplier(lr: ArrayLike, curvature: ArrayLike) -> Array:
    """Factor per step of a small deviation from a hallucinated point, 1 - lr f''(x*); it attracts iff |factor| < 1."""
    lr, curvature = _floats(lr, curvature)
    return 1 - lr * curvature


def _grown(rate: Array, time: Array) -> Array:
    """(1 - exp(-2 rate t)) / (2 rate), t at rate 0: the variance at time t of dX = -rate X dt + dW from 0."""
    rate, time = np.broadcast_arrays(rate, time)
    return np.divide(-np.expm1(-2 * rate * time), 2 * rate, out=time.astype(np.float64), where=rate != 0)


def _floats(*numbers: ArrayLike) -> list[Array]:
    return [np.asarray(number, dtype=np.float64) for number in numbers]
