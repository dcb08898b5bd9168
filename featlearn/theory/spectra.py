"""Benign overfitting with anisotropic noise: Sigma = noise_std^2 sum_b lambda_b P_b, with multiplicities d_b.

Derived here, as a heuristic, for gradient descent on the ReLU network of Kou et al. 2023 (arXiv 2303.04145). A sample's
noise has |xi|^2 about tr Sigma, so that along the way to a given loss noise coefficients of order 1 come with a signal
coefficient of order n |mu|^2 / tr Sigma. A fresh xi sees the memorized noise sum_i rho_i xi_i / |xi_i|^2 with variance
n tr Sigma^2 / (tr Sigma)^2. The signal dominates where (n |mu|^2 / tr Sigma)^2 > n tr Sigma^2 / (tr Sigma)^2, that is
n |mu|^4 > tr Sigma^2, which for isotropic noise is their n |mu|^4 > noise_std^4 d.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Blocks = Sequence[tuple[float, float]]  # eigenvalues, in units of noise_std^2, and multiplicities


def moment(spectrum: Blocks, power: int) -> float:
    """Return sum_b d_b lambda_b^power: tr Sigma^power in units of noise_std^(2 power)."""
    return float(sum(size * value**power for value, size in spectrum))


def spectral_boundary(
    c: ArrayLike, *, trace_square: ArrayLike, n_samples: ArrayLike, n_patches: ArrayLike, noise_std: ArrayLike
) -> NDArray[np.float64]:
    """SGD on relu: |mu| = c P sigma (tr Lambda^2 / n)^(1/4), that is n |mu|^4 = c^4 P^4 tr Sigma^2.

    trace_square: tr Lambda^2 = sum_b d_b lambda_b^2, which is d for isotropic noise; then it is
    `boundaries.sgd_boundary`. Derived at P = 2; the power of P is that of Chen et al. 2023 (arXiv 2310.07269).
    """
    ratio = np.asarray(trace_square, dtype=np.float64) / np.asarray(n_samples, dtype=np.float64)
    boundary: NDArray[np.float64] = np.asarray(c) * ratio**0.25 * np.asarray(n_patches) * np.asarray(noise_std)
    return boundary


def nearly_orthogonal(spectrum: Blocks, n_samples: float, c: float = 1.0) -> bool:
    """Whether n noises are nearly orthogonal: n sqrt(tr Lambda^2) <= c tr Lambda, and n lambda_1 <= c tr Lambda.

    That is what the derivation uses: |<xi_i, xi_k>|, of order sqrt(tr Lambda^2), is below |xi_i|^2 / n. Isotropic noise
    fulfils it for d >= n^2 / c^2. ``c`` is open, as in the theorems.
    """
    trace, root = moment(spectrum, 1), moment(spectrum, 2) ** 0.5
    largest = max((value for value, _ in spectrum), default=0.0)
    return bool(n_samples * max(root, largest) <= c * trace)
