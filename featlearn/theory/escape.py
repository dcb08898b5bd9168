"""Which of several signals is learned first, and whether the others are learned or memorized: orders of escape.

With act(z) = z^3 (or relu^3, or its like up to a threshold) and a small init, the inner product x of a filter and a
unit signal grows like x' = (3/2) lr a b^3 r x^2 while the outputs are small: b is the norm of the signal, r the mean of
its sign times the label, a the factor of an activation in the output, and 1/2 the slope of the logistic loss at 0. So x
escapes to infinity after 2 / (3 lr a b^3 r x_0) steps, and the one with the largest b^3 r x_0 escapes first. The
noise of one sample, shown k times, has b = s = noise_std sqrt(dim) and r = k / n.

Boundaries compare such times. They are derived here in the manner of the papers, and leave a constant c, which holds
the ratios of initial values; the papers' theorems state orders (recalled). Arguments as in boundaries.py.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def escape_steps(x0: ArrayLike, norm: ArrayLike, agreement: ArrayLike, *, lr: ArrayLike, scale: ArrayLike) -> Array:
    """Steps in which a filter escapes along a signal, 2 / (3 lr scale norm^3 agreement x0). Derived; in the flow exact.

    x0: its initial inner product with the unit signal, positive for filters of sign +1. agreement: r. scale: a.
    """
    x0, norm, agreement, lr, scale = _floats(x0, norm, agreement, lr, scale)
    return 2 / (3 * lr * scale * norm**3 * agreement * x0)


def spurious_boundary(c: ArrayLike, *, spurious_norm: ArrayLike, alignment: ArrayLike, **_: ArrayLike) -> Array:
    """Core norm above which the core signal is learned first, b_c = c b_s (2 alpha - 1)^(1/3); c = 1 at equal x_0.

    Source: Deng et al. 2023 (arXiv 2306.04949) compare b_c^3 and (2 alpha - 1) b_s^3 (recalled; derived above). Below
    it the loss stays at the entropy of alpha, and the minority is classified wrongly.
    """
    c, norm, alpha = _floats(c, spurious_norm, alignment)
    return c * norm * np.cbrt(2 * alpha - 1)


def spurious_conditions(
    core_norm: ArrayLike,
    *,
    spurious_norm: ArrayLike,
    alignment: ArrayLike,
    dim: ArrayLike,
    n_samples: ArrayLike,
    noise_std: ArrayLike,
) -> NDArray[np.bool_]:
    """Whether a signal escapes before noise: n max(b_c^3, (2 alpha - 1) b_s^3) > s^3 (derived)."""
    core, norm, alpha, d, n, std = _floats(core_norm, spurious_norm, alignment, dim, n_samples, noise_std)
    first = np.maximum(core**3, (2 * alpha - 1) * norm**3)
    return np.asarray(n * first > (std * np.sqrt(d)) ** 3)


def margins_boundary(
    c: ArrayLike,
    *,
    signal_norm: ArrayLike,
    small_share: ArrayLike,
    dim: ArrayLike,
    n_samples: ArrayLike,
    n_patches: ArrayLike,
    noise_std: ArrayLike,
    init_std: ArrayLike,
    n_filters: ArrayLike,
) -> Array:
    """Strength of the small margins above which they are learned: c s ((P-1) sigma_0 m^(-1/3) / (n mu |w|^2))^(1/3).

    Below it gradient descent memorizes them by their noise. Derived for averaged filters and shared noise: once the
    large margins are fitted, x is about 1 / (|w| a^(1/3)) with a = 1/m, and grows by the share mu of small margins
    only; it then escapes in 2 / (3 lr a mu (strength |w|)^3 x) steps, noise in 2 n / (3 lr a (P-1) s^3 sigma_0). Source
    of the claim: Jelassi & Li 2022 (arXiv 2207.05931), whose theorem states powers of d (recalled).
    """
    c, norm, mu, d, n, patches, std, init, m = _floats(
        c, signal_norm, small_share, dim, n_samples, n_patches, noise_std, init_std, n_filters
    )
    return c * std * np.sqrt(d) * np.cbrt((patches - 1) * init / (np.cbrt(m) * n * mu * norm**2))


def margins_conditions(
    small_strength: ArrayLike,
    *,
    signal_norm: ArrayLike,
    small_share: ArrayLike,
    dim: ArrayLike,
    n_samples: ArrayLike,
    n_patches: ArrayLike,
    noise_std: ArrayLike,
    **_: ArrayLike,
) -> NDArray[np.bool_]:
    """Whether the large margins are learned by the signal, and before the small: (1 - mu) n |w|^3 > (P-1) s^3, and
    (1 - mu) > mu strength^3 (derived).
    """
    strength, norm, mu, d, n, patches, std = _floats(
        small_strength, signal_norm, small_share, dim, n_samples, n_patches, noise_std
    )
    learned = (1 - mu) * n * norm**3 > (patches - 1) * (std * np.sqrt(d)) ** 3
    return np.asarray(learned & (1 - mu > mu * strength**3))


def multi_view_boundary(
    c: ArrayLike,
    *,
    n_classes: ArrayLike,
    single_share: ArrayLike,
    dim: ArrayLike,
    n_samples: ArrayLike,
    n_patches: ArrayLike,
    noise_std: ArrayLike,
) -> Array:
    """Norm of a view above which both views are learned: c s (2 K (P-3) / (n mu))^(1/3).

    Below it a network learns one view of a class and memorizes the samples that show the other view alone, n mu / (2 K)
    of them a view: they share that view's gradient, n mu / (2 K) |v|^3, against s^3 of their noise, shown P-3 times.
    Derived. Source of the claim: Allen-Zhu & Li 2023 (arXiv 2012.09816), where the share of single views is of order
    1 / poly(K) (recalled).
    """
    c, classes, mu, d, n, patches, std = _floats(c, n_classes, single_share, dim, n_samples, n_patches, noise_std)
    return c * std * np.sqrt(d) * np.cbrt(2 * classes * (patches - 3) / (n * mu))


def multi_view_conditions(
    signal_norm: ArrayLike,
    *,
    n_classes: ArrayLike,
    single_share: ArrayLike,
    dim: ArrayLike,
    n_samples: ArrayLike,
    n_patches: ArrayLike,
    noise_std: ArrayLike,
) -> NDArray[np.bool_]:
    """Whether a first view is learned before noise: n (1 - mu/2) / K |v|^3 > (P-3) s^3 (derived)."""
    norm, classes, mu, d, n, patches, std = _floats(
        signal_norm, n_classes, single_share, dim, n_samples, n_patches, noise_std
    )
    return np.asarray(n * (1 - mu / 2) / classes * norm**3 > (patches - 3) * (std * np.sqrt(d)) ** 3)


def _floats(*numbers: ArrayLike) -> list[Array]:
    return [np.asarray(number, dtype=np.float64) for number in numbers]
