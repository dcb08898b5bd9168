"""Stationary laws of SAM's rules and SDEs on quadratics, with Gaussian gradient noise of standard deviation s.

f = sum_i lam_i x_i^2 / 2, and every step adds s Z, Z ~ N(0, I_d), the same Z in both of its gradients. The SDE has one
step per time lr. "Complete" covariance means the one of the rule's step, for USAM (I + rho H) Sigma (I + rho H)';
"truncated" its first order in rho, Sigma + rho (S + S'). Source: Compagnoni et al. 2023 (arXiv 2301.08203; its laws
recalled, as published for the USAM and DNSAM SDEs); each law here is derived, and compared with simulation of the
discrete rule in tests/theory/test_stationary.py.

Arguments are numbers or numpy arrays that broadcast; lr > 0, rho >= 0, std = s >= 0 are not checked. A variance is that
of one coordinate, with ``eigenvalue`` = lam of it; inf where the dynamics has no stationary law.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from featlearn.theory.noisy_gradients import mean_unit_slope

Array = NDArray[np.float64]

NEWTON_STEPS = 12  # from at most a few times the root; eight suffice


def usam_variance(lr: ArrayLike, rho: ArrayLike, eigenvalue: ArrayLike, std: ArrayLike) -> Array:
    """Variance of USAM's SDE with complete covariance, lr s^2 (1 + rho lam) / (2 lam) = (lr s^2 / 2)(1 / lam + rho).

    From dX = -a X dt + sqrt(lr) s (1 + rho lam) dW, a = lam (1 + rho lam) > 0; also at a saddle that traps USAM. The
    law of the rule for lr a -> 0, whatever rho is. rho = 0: SGD.
    """
    lr, rho, lam, s = _floats(lr, rho, eigenvalue, std)
    return _ratio(lr * s**2 * (1 + rho * lam) ** 2, 2 * lam * (1 + rho * lam))


def usam_truncated_variance(lr: ArrayLike, rho: ArrayLike, eigenvalue: ArrayLike, std: ArrayLike) -> Array:
    """Variance of USAM's SDE with truncated covariance, lr s^2 (1 + 2 rho lam) / (2 lam (1 + rho lam)).

    For lam > 0 below ``usam_variance`` by lr s^2 rho^2 lam / (2 (1 + rho lam)), of second order in rho. At a saddle a
    negative covariance 1 + 2 rho lam is projected to 0.
    """
    lr, rho, lam, s = _floats(lr, rho, eigenvalue, std)
    return _ratio(lr * s**2 * np.maximum(1 + 2 * rho * lam, 0), 2 * lam * (1 + rho * lam))


def usam_rule_variance(lr: ArrayLike, rho: ArrayLike, eigenvalue: ArrayLike, std: ArrayLike) -> Array:
    """Variance of the discrete USAM rule, lr (1 + rho lam)^2 s^2 / (a (2 - lr a)), a = lam (1 + rho lam). Exact.

    From x+ = (1 - lr a) x - lr (1 + rho lam) s Z; finite iff 0 < lr a < 2.
    """
    lr, rho, lam, s = _floats(lr, rho, eigenvalue, std)
    a = lam * (1 + rho * lam)
    return _ratio(lr * s**2 * (1 + rho * lam) ** 2, a * (2 - lr * a))


def usam_loss(lr: ArrayLike, rho: ArrayLike, trace: ArrayLike, std: ArrayLike, dim: ArrayLike) -> Array:
    """Mean loss above the minimum by USAM's SDE, (lr s^2 / 4)(d + rho tr H), complete covariance.

    For positive definite H: half the sum of lam_i ``usam_variance``.
    """
    lr, rho, trace, s, dim = _floats(lr, rho, trace, std, dim)
    return lr * s**2 / 4 * (dim + rho * trace)


def sam_variance(lr: ArrayLike, rho: ArrayLike, eigenvalue: ArrayLike, std: ArrayLike, dim: ArrayLike = 1) -> Array:
    """Variance of SAM's SDE with complete covariance, linear at the minimum, where E u_b = c g / s with c = c(d).

    (lr / (2 lam)) (s^2 + 2 rho lam s c + rho^2 lam^2 / d) / (1 + rho lam c / s), in one dimension with c = sqrt(2/pi).
    Regime: lr lam (1 + rho lam c / s) much below 1, hence |g| below s sqrt(d). In high dimension, where c^2 = 1 / d,
    it is ``usam_variance`` at the radius rho c / s.
    """
    lr, rho, lam, s, dim = _floats(lr, rho, eigenvalue, std, dim)
    c = mean_unit_slope(dim)
    return _ratio(lr * (s**3 + 2 * rho * lam * s**2 * c + s * rho**2 * lam**2 / dim), 2 * lam * (s + rho * lam * c))


def dnsam_ring(lr: ArrayLike, rho: ArrayLike, eigenvalue: ArrayLike, std: ArrayLike, dim: ArrayLike) -> Array:
    """Radius r of the ring on which DNSAM's SDE lives around an isotropic minimum, lam r^3 = (lr s^2 d / 2)(r + rho).

    From dX = -lam (1 + rho / r) X dt + sqrt(lr) s (1 + rho / r) dW, the complete covariance, by balance of d |X|^2.
    Regime: d >= 10, where the radius concentrates (relative width 1 / sqrt(2 d) to 1 / sqrt(3 d)), and lr lam
    (1 + rho / r) much below 1. sqrt(lr s^2 d / (2 lam)) for small rho, (lr s^2 d rho / (2 lam))^(1/3) for large rho.
    """
    lr, rho, lam, s, dim = _floats(lr, rho, eigenvalue, std, dim)
    minimum = ~(lam <= 0)
    k = lr * s**2 * dim / (2 * np.where(minimum, lam, 1))
    return np.asarray(np.where(minimum, _positive_root(np.zeros_like(k), k, k * rho), np.inf))


def dnsam_truncated_ring(lr: ArrayLike, rho: ArrayLike, eigenvalue: ArrayLike, std: ArrayLike, dim: ArrayLike) -> Array:
    """The ring of DNSAM's SDE with truncated covariance, lam r^2 (r + rho) = (lr s^2 d / 2)(r + 2 rho).

    Near ``dnsam_ring`` only where rho is far below r; for large rho it tends to sqrt(lr s^2 d / lam).
    """
    lr, rho, lam, s, dim = _floats(lr, rho, eigenvalue, std, dim)
    minimum = ~(lam <= 0)
    k = lr * s**2 * dim / (2 * np.where(minimum, lam, 1))
    return np.asarray(np.where(minimum, _positive_root(-rho, k, 2 * k * rho), np.inf))


def dnsam_rule_ring(lr: ArrayLike, rho: ArrayLike, eigenvalue: ArrayLike, std: ArrayLike, dim: ArrayLike) -> Array:
    """The ring of the discrete DNSAM rule, 2 lam r^3 = lr (r + rho)(s^2 d + lam^2 r^2); inf unless 0 < lr lam < 2.

    From x+ = (1 - lr lam (1 + rho / r)) x - lr s (1 + rho / r) Z, by balance of |x|^2. Regime: d >= 10, where the
    radius concentrates. At s = 0 it is half of SAM's two-cycle, lr rho lam / (2 - lr lam).
    """
    lr, rho, lam, s, dim = _floats(lr, rho, eigenvalue, std, dim)
    gap = lam * (2 - lr * lam)
    stable = ~(gap <= 0)
    step = lr / np.where(stable, gap, 1)
    slope = step * s**2 * dim
    return np.asarray(np.where(stable, _positive_root(step * lam**2 * rho, slope, slope * rho), np.inf))


def dnsam_log_density(
    radius: ArrayLike, lr: ArrayLike, rho: ArrayLike, eigenvalue: ArrayLike, std: ArrayLike, dim: ArrayLike
) -> Array:
    """Log density of the radius r of DNSAM's SDE (complete covariance) in any dimension, up to a constant.

    (d + 1) log r - 2 log(r + rho) - (2 lam / (lr s^2)) (r^2 / 2 - rho r + rho^2 log(r + rho)), r > 0: the isotropic
    Fokker-Planck equation without flux, Ito. The rule's own tail is heavier in one dimension, where a step that comes
    close to 0 throws it far away.
    """
    r, lr, rho, lam, s, dim = _floats(radius, lr, rho, eigenvalue, std, dim)
    well = r**2 / 2 - rho * r + rho**2 * np.log(r + rho)
    return np.asarray((dim + 1) * np.log(r) - 2 * np.log(r + rho) - 2 * lam / (lr * s**2) * well)


def _positive_root(square: Array, slope: Array, constant: Array) -> Array:
    """The only positive root of r^3 = square r^2 + slope r + constant with slope, constant >= 0; 0 where there is none.

    Newton from a bound above the root, where the difference is convex: it falls to the root and never passes it. The
    second bound leaves r^3 out and is the close one where square is far below 0.
    """
    root = np.asarray(np.maximum(square, 0) + np.sqrt(slope) + np.cbrt(constant))
    weight = np.where(square < 0, -square, 1)
    root = np.where(square < 0, np.minimum(root, slope / weight + np.sqrt(constant / weight)), root)
    for _ in range(NEWTON_STEPS):
        value = ((root - square) * root - slope) * root - constant
        derivative = (3 * root - 2 * square) * root - slope
        root = root - np.divide(value, derivative, out=np.zeros_like(root), where=derivative > 0)
    return root


def _ratio(top: Array, bottom: Array) -> Array:
    """top / bottom, and inf where bottom <= 0; NaN stays NaN."""
    top, bottom = np.broadcast_arrays(top, bottom)
    return np.asarray(np.divide(top, bottom, out=np.full(top.shape, np.inf), where=~(bottom <= 0)))


def _floats(*numbers: ArrayLike) -> list[Array]:
    return [np.asarray(number, dtype=np.float64) for number in numbers]
