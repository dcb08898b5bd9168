"""Edges of stability: the largest sharpness of stable minima of gradient descent and SAM, and motion at the edge.

On a quadratic with Hessian H a SAM step is w+ = w - lr (H + rho H^2 / |g|) w with g = H w, so that the mode of
eigenvalue lam grows iff lr lam + lr rho lam^2 / |g| > 2. Source: Long & Bartlett 2024 (JMLR 25:179, arXiv
2309.12488) and their code; Cohen et al. 2021 for rho = 0; Bartlett, Long & Bousquet 2023 (arXiv 2210.01513) for cycle
and drift; Dai, Ahn & Sra 2023 (arXiv 2305.15287) for the toy and unnormalized SAM.

All formulas are for constant lr without momentum or weight decay. Arguments are numbers or numpy arrays that broadcast.
lr is a step per unit gradient, so a sharpness (eigenvalue of H) and an edge have the unit 1 / lr; rho has the unit of
w; grad_norm |g| that of H w. Arguments are not checked; the config ensures lr > 0 and rho, grad_norm >= 0.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def stability_edge(lr: ArrayLike, rho: ArrayLike = 0.0, grad_norm: ArrayLike = 1.0) -> Array:
    """Edge of gradient descent, 2 / lr; rho and grad_norm only broadcast. Unit 1 / lr."""
    lr, rho, grad_norm = _floats(lr, rho, grad_norm)
    return np.array(np.broadcast_arrays(2 / lr, rho, grad_norm)[0])


def sam_edge(lr: ArrayLike, rho: ArrayLike, grad_norm: ArrayLike) -> Array:
    """Edge of SAM at gradient norm |g|: |g| / (2 rho) (sqrt(1 + 8 rho / (lr |g|)) - 1). Unit 1 / lr.

    Written as 2 / lr times ``edge_ratio(rho / (lr |g|))``, which does not cancel. Limits: 2 / lr for rho = 0 (also at
    |g| = 0) and for |g| -> infinity; sqrt(2 |g| / (rho lr)) -> 0 as |g| -> 0 at rho > 0. Never above 2 / lr.
    """
    lr, rho, grad_norm = _floats(lr, rho, grad_norm)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        s = np.where(rho == 0, 0 * grad_norm, rho / (lr * grad_norm))
    return 2 / lr * edge_ratio(s)


def usam_edge(lr: ArrayLike, rho: ArrayLike, grad_norm: ArrayLike = 1.0) -> Array:
    """Edge of unnormalized SAM, (sqrt(1 + 8 rho / lr) - 1) / (2 rho), constant in time. Unit 1 / lr.

    Here w+ = w - lr (H + rho H^2) w, and rho has the unit of lr; 2 / lr for rho = 0. ``grad_norm`` only broadcasts.
    """
    return np.array(np.broadcast_arrays(sam_edge(lr, rho, 1.0), grad_norm)[0])


def edge_ratio(s: ArrayLike) -> Array:
    """SAM's edge over 2 / lr at s = rho / (lr |g|): (sqrt(1 + 8 s) - 1) / (4 s) = 2 / (1 + sqrt(1 + 8 s)).

    1 - 2 s at small s, 1 / sqrt(2 s) at large s, 0 at infinity.
    """
    (s,) = _floats(s)
    return 2 / (1 + np.sqrt(1 + 8 * s))


def cycle_amplitude(lr: ArrayLike, rho: ArrayLike, sharpness: ArrayLike) -> Array:
    """Half the length of SAM's 2-cycle around a minimum, lr rho lam / (2 - lr lam), along the top eigenvector.

    ``sharpness`` is lam, 0 < lr lam < 2 (derived: at +-a v SAM moves by lr lam (a + rho) = 2 a). Unit of w.
    """
    lr, rho, lam = _floats(lr, rho, sharpness)
    return lr * rho * lam / (2 - lr * lam)


def cycle_grad_norm(lr: ArrayLike, rho: ArrayLike, sharpness: ArrayLike) -> Array:
    """Gradient norm on the 2-cycle, lr rho lam^2 / (2 - lr lam); SAM's edge there is lam itself."""
    return np.asarray(sharpness, dtype=np.float64) * cycle_amplitude(lr, rho, sharpness)


def cycle_loss(lr: ArrayLike, rho: ArrayLike, sharpness: ArrayLike) -> Array:
    """Loss above the minimum on the 2-cycle, lr^2 rho^2 lam^3 / (2 (2 - lr lam)^2)."""
    return 0.5 * np.asarray(sharpness, dtype=np.float64) * cycle_amplitude(lr, rho, sharpness) ** 2


def transverse_multiplier(lr: ArrayLike, sharpness: ArrayLike, eigenvalue: ArrayLike) -> Array:
    """Factor per step of a small deviation along another eigenvector on the 2-cycle; it decays where |factor| < 1.

    1 - lr lam_i - (2 - lr lam_1) (lam_i / lam_1)^2, with lam_1 = ``sharpness`` and lam_i = ``eigenvalue``; for
    0 < lam_i < lam_1 its size is below 1, for lam_i = lam_1 it is -1.
    """
    lr, lam, other = _floats(lr, sharpness, eigenvalue)
    return 1 - lr * other - (2 - lr * lam) * (other / lam) ** 2


def valley_drift(lr: ArrayLike, rho: ArrayLike, sharpness: ArrayLike, sharpness_gradient: ArrayLike) -> Array:
    """Displacement along a valley of minima per step, -2 lr rho^2 / (2 - lr lam)^2 times the gradient of lam along it.

    To leading order in rho: SAM descends the sharpness while it bounces across the valley. lam = ``sharpness``, and
    ``sharpness_gradient`` is taken along the valley. For lr lam -> 0 it is -(lr rho^2 / 2) grad lam.
    """
    lr, rho, lam, slope = _floats(lr, rho, sharpness, sharpness_gradient)
    return -2 * lr * (rho / (2 - lr * lam)) ** 2 * slope


def convex_bound(
    step: ArrayLike, first_loss: ArrayLike, *, lr: ArrayLike, rho: ArrayLike, alpha: ArrayLike, beta: ArrayLike
) -> Array:
    """Bound on SAM's loss above the minimum after ``step`` steps on an alpha-strongly convex, beta-smooth loss.

    (1 - alpha lr (2 - lr beta))^t first_loss + lr beta^3 rho^2 / (2 alpha (2 - lr beta)) for lr <= 1 / beta and ANY
    rho (recalled from Dai, Ahn & Sra 2023, and derived). ``first_loss`` is the loss above the minimum at step 0.
    """
    t, first, lr, rho, alpha, beta = _floats(step, first_loss, lr, rho, alpha, beta)
    gap = 2 - lr * beta
    return (1 - alpha * lr * gap) ** t * first + lr * beta**3 * rho**2 / (2 * alpha * gap)


def usam_largest_lr(rho: ArrayLike, beta: ArrayLike) -> Array:
    """Step beyond which unnormalized SAM diverges on a quadratic of sharpness beta: 2 / (beta + rho beta^2)."""
    rho, beta = _floats(rho, beta)
    return 2 / (beta + rho * beta**2)


def toy_stopping_points(lr: ArrayLike, rho: ArrayLike) -> dict[str, Array]:
    """Largest y^2 at which a rule may stop on the minima x = 0 of (x y)^2 / 2, where the sharpness is y^2.

    sgd: 2 / lr. usam: the edge of unnormalized SAM. sam: 0, where the sharpness is zero.
    """
    sgd, usam = stability_edge(lr, rho), usam_edge(lr, rho)
    return {"sgd": sgd, "usam": usam, "sam": np.zeros_like(sgd)}


def _floats(*numbers: ArrayLike) -> list[Array]:
    return [np.asarray(number, dtype=np.float64) for number in numbers]


EDGES: dict[str, Callable[..., Array]] = {"sgd": stability_edge, "sam": sam_edge, "usam": usam_edge}
