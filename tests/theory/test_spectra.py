"""The boundary of anisotropic noise against its own derivation and its isotropic case."""

import numpy as np
import pytest

from featlearn.theory import sgd_boundary
from featlearn.theory.spectra import moment, nearly_orthogonal, spectral_boundary

TWO = ((0.5, 900.0), (5.5, 100.0))


def test_moments_are_traces_of_powers():
    eigenvalues = np.repeat([0.5, 5.5], [900, 100])
    assert [moment(TWO, q) for q in (0, 1, 2)] == [1000.0, eigenvalues.sum(), (eigenvalues**2).sum()]


def test_isotropic_noise_has_the_boundary_of_the_theorem():
    numbers = {"n_samples": 20, "n_patches": 3, "noise_std": 0.7}
    found = spectral_boundary(1.3, trace_square=moment(((1.0, 400.0),), 2), **numbers)
    assert found == pytest.approx(sgd_boundary(1.3, dim=400, **numbers), rel=1e-14)
    double = spectral_boundary(1.3, trace_square=moment(((4.0, 400.0),), 2), **{**numbers, "noise_std": 0.35})
    assert double == pytest.approx(found, rel=1e-14)  # lambda = 4 is noise of twice the standard deviation


def test_the_derivation_s_variance_of_memorized_noise():
    """E <sum_i xi_i / |xi_i|^2, xi>^2 = n tr Sigma^2 / (tr Sigma)^2 for nearly orthogonal noises."""
    rng, n, scale = np.random.default_rng(0), 5, np.sqrt(np.repeat([0.5, 5.5], [900, 100]))
    found = []
    for _ in range(200):
        noises = scale * rng.standard_normal((n, 1000))
        memorized = (noises / (noises**2).sum(1, keepdims=True)).sum(0)
        found.append((scale * memorized) @ (scale * memorized))
    assert np.mean(found) == pytest.approx(n * moment(TWO, 2) / moment(TWO, 1) ** 2, rel=0.05)


def test_when_noises_are_nearly_orthogonal():
    assert nearly_orthogonal(((1.0, 400.0),), 20) and not nearly_orthogonal(((1.0, 399.0),), 20)
    assert nearly_orthogonal(TWO, 10) and not nearly_orthogonal(TWO, 20)
    assert not nearly_orthogonal(((0.5, 10.0**6), (10.0**6, 1.0)), 2)  # one spike has two thirds of the trace
