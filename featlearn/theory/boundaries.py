"""Phase boundaries: the signal norm above which overfitting is benign and below which it is harmful.

laws.py says for which runs each of them is stated, and those of escape.py and oscillation.py. Every boundary here takes
the same arguments, and is linear in its constant `c`, so that a measured boundary fixes `c` by one ratio. The theorems
give the powers and leave `c` open. Symbols: dim d, n_samples n, n_patches P, noise_std sigma. Arguments are numbers or
numpy arrays that broadcast; the result has their common shape and the unit of the signal. The noise is in P-1
patches, which are summed; like the papers, the formulas write P.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

BoundaryLaw = Callable[..., NDArray[np.float64]]

ARGUMENTS = ("dim", "n_samples", "n_patches", "noise_std")


def sgd_boundary(
    c: ArrayLike, *, dim: ArrayLike, n_samples: ArrayLike, n_patches: ArrayLike, noise_std: ArrayLike
) -> NDArray[np.float64]:
    """SGD on relu: |mu| = c d^(1/4) n^(-1/4) P sigma, that is n |mu|^4 = c^4 d P^4 sigma^4.

    Source: Kou et al. 2023 (arXiv 2303.04145) at P = 2 and Chen et al. 2023 (arXiv 2310.07269), as
    restated by successors. Above it test error <= p + eps, below it >= p + 0.1, p the share of flipped
    labels (recalled).
    """
    c, d, n, patches, std = _floats(c, dim, n_samples, n_patches, noise_std)
    return c * (d / n) ** 0.25 * patches * std


def sam_boundary(
    c: ArrayLike, *, dim: ArrayLike, n_samples: ArrayLike, n_patches: ArrayLike, noise_std: ArrayLike
) -> NDArray[np.float64]:
    """SAM, then SGD, on relu: |mu| = c P sigma, with no power of d or n.

    Source: successors quote Chen et al. 2023 with Omega~(P sigma); the logarithms inside ~ are dropped
    here (recalled). It is an upper bound on where harm ends, for a radius that scales as in
    `scales.sam_radius`, not at a fixed radius.
    """
    c, d, n, patches, std = _floats(c, dim, n_samples, n_patches, noise_std)
    return c * patches * std * d**0 * n**0


def power_boundary(
    c: ArrayLike,
    *,
    dim: ArrayLike,
    n_samples: ArrayLike,
    n_patches: ArrayLike = 2,
    noise_std: ArrayLike,
    power: float = 3.0,
) -> NDArray[np.float64]:
    """Gradient descent on relu^q, q > 2: n snr^q = c^q, that is |mu| = c sigma sqrt(d) n^(-1/q).

    Source: Cao et al. 2022 (arXiv 2202.06526): P = 2, no flips, noise orthogonal to the signal, and the
    TEST LOSS is what is small or large. `power` is q; `n_patches` only broadcasts. Raises ValueError
    unless q > 2.
    """
    if power <= 2:
        raise ValueError(f"the boundary n snr^q = C holds for relu^q with q > 2, not q = {power:g}")
    c, d, n, patches, std = _floats(c, dim, n_samples, n_patches, noise_std)
    return c * std * d**0.5 * n ** (-1 / power) * patches**0


def _floats(*numbers: ArrayLike) -> list[NDArray[np.float64]]:
    return [np.asarray(number, dtype=np.float64) for number in numbers]
