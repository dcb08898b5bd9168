"""Means of noisy gradients against quadrature in high precision, Monte Carlo, published expressions and limits."""

import mpmath as mp
import numpy as np
import pytest
from scipy.special import erf, ive
from scipy.stats import norm as gaussian

from featlearn.theory import noisy_gradients
from featlearn.theory.noisy_gradients import mean_norm, mean_unit, mean_unit_slope, response

DIMS = [1, 2, 10, 200, 10**6, 10**9]


def by_definition(q, dim):
    """s alpha and -s gamma at s = 1 in 20 digits: alpha is E 1 / |X| in d + 2 dimensions, and 1 / |X| the integral of
    2 exp(-v^2 |X|^2) / sqrt(pi), whose mean is Gaussian. Nothing here is computed as the module does."""
    with mp.workdps(20):
        scale = 1 / mp.sqrt(q + dim)

        def mean(v):
            spread = 1 + 2 * (v * scale) ** 2
            return spread ** (-mp.mpf(dim) / 2 - 1) * mp.exp(-2 * q * (v * scale) ** 2 / spread)

        def slope(v):
            return mean(v) * 4 * q * (v * scale) ** 2 / (1 + 2 * (v * scale) ** 2)

        ends = [0, 1, 2, 4, 8, mp.inf]
        return [2 * scale / mp.sqrt(mp.pi) * mp.quad(f, ends) for f in (mean, slope)]


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("q", [0.0, 0.3, 40.0, 1e3, 1e6, 1e12])
def test_twelve_digits_in_every_dimension(q, dim):
    r = np.sqrt(2 * q)
    alpha, gamma = by_definition(mp.mpf(float(r)) ** 2 / 2, dim)
    found, across, bend = response(r, 1.0, dim)
    assert float(abs(mp.mpf(float(found)) - alpha) / alpha) < 1e-12
    assert float(abs(mp.mpf(float(-bend)) - gamma)) <= 1e-12 * float(gamma)
    assert across == found


@pytest.mark.parametrize("dim", [1, 2, 5, 50])
@pytest.mark.parametrize("q", [0.0, 0.1, 3.0, 60.0])
def test_the_hypergeometric_expressions_of_the_docstrings(q, dim):
    s, d = 0.4, mp.mpf(dim)
    r = s * np.sqrt(2 * q)
    c = mp.sqrt(2) * mp.gamma((d + 1) / 2) / (d * mp.gamma(d / 2))
    alpha, _, gamma = response(r, s, dim)
    assert alpha == pytest.approx(float(c / s * mp.hyp1f1(0.5, d / 2 + 1, -q)), rel=1e-12)
    assert gamma == pytest.approx(float(-c / s * 2 * q / (d + 2) * mp.hyp1f1(1.5, d / 2 + 2, -q)), rel=1e-12)
    assert mean_norm(r, s, dim) == pytest.approx(float(s * d * c * mp.hyp1f1(-0.5, d / 2, -q)), rel=1e-12)


def test_the_slope_up_to_huge_dimensions():
    dims = np.array([1, 2, 10, 50, 200, 1e3, 1e4, 1e6, 1e9, 1e12])
    with mp.workdps(40):
        exact = [
            float(mp.sqrt(2) * mp.exp(mp.loggamma((mp.mpf(d) + 1) / 2) - mp.loggamma(mp.mpf(d) / 2)) / d) for d in dims
        ]
    assert mean_unit_slope(dims) == pytest.approx(exact, rel=1e-13)
    assert mean_unit_slope(dims[:5]) == pytest.approx([0.79788, 0.62666, 0.30843, 0.14072, 0.07062], abs=6e-6)
    assert mean_unit_slope(1e12) * 1e6 == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 5, 20])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.5])
def test_monte_carlo_of_the_norm_the_mean_and_the_covariance(dim, ratio):
    """Within 4 standard errors; without gamma the covariance along g is wrong by far more."""
    s, n, length = 0.5, 100_000, ratio * np.sqrt(dim)
    g = np.zeros(dim)
    g[0] = length
    noisy = g + s * np.random.default_rng(7).standard_normal((n, dim))
    norms = np.linalg.norm(noisy, axis=1)
    unit = noisy / norms[:, None]
    alpha, beta, gamma = response(length, s, dim)

    def distance(sample, expected):
        return abs(sample.mean() - expected) / (sample.std() / np.sqrt(n))

    assert distance(norms, mean_norm(length, s, dim)) < 4
    assert distance(unit[:, 0], alpha * length) < 4
    along = (noisy[:, 0] - length) * unit[:, 0]
    assert distance(along, s**2 * (beta + gamma)) < 4
    if dim > 1:
        assert distance(noisy[:, 1] * unit[:, 1], s**2 * beta) < 4
    if length:
        assert distance(along, s**2 * beta) > 10


def test_one_and_two_dimensions_in_known_functions():
    r, s = np.linspace(0.01, 5, 40), 0.7
    alpha, beta, gamma = response(r, s, 1)
    assert alpha == pytest.approx(erf(r / (s * np.sqrt(2))) / r, rel=1e-12)
    assert beta + gamma == pytest.approx(2 * gaussian.pdf(r / s) / s, abs=1e-14)
    q = r**2 / (2 * s**2)
    bessel = np.sqrt(np.pi / 8) / s * (ive(0, q / 2) + ive(1, q / 2))
    assert mean_unit(r, s, 2) == pytest.approx(bessel, rel=1e-12)


@pytest.mark.parametrize("dim", DIMS)
def test_limits_without_noise_and_without_gradient(dim):
    assert np.array(response(0.25, 0.0, dim)) == pytest.approx([4, 4, -4], rel=1e-13)
    slope = mean_unit_slope(dim)
    assert np.array(response(0.0, 0.25, dim)) == pytest.approx([4 * slope, 4 * slope, 0], rel=1e-13)
    assert np.array(response(0.0, 0.0, dim)).tolist() == [0, 0, 0]
    assert mean_norm([0.0, 0.25, 0.0], [0.0, 0.0, 0.25], dim) == pytest.approx([0, 0.25, 0.25 * dim * slope], rel=1e-13)
    tiny = np.array([1e-320, 1e-300, 1e-150, 1e150, 1e300])
    assert (response(tiny, 0.0, dim)[0] * tiny)[1:] == pytest.approx(1, rel=1e-13)
    assert response(tiny, 0.0, dim)[0][0] == 0


def test_high_dimensions_are_those_of_the_typical_norm():
    """|g_b|^2 = |g|^2 + d s^2 up to a relative 1 / sqrt(d), whose mean effect is 1 / d."""
    r, s, d = np.array([0.0, 1e3, 1e5, 1e7]), 1.0, 1e9
    typical = np.sqrt(r**2 + d * s**2)
    assert mean_norm(r, s, d) == pytest.approx(typical, rel=2e-9)
    assert mean_unit(r, s, d) == pytest.approx(1 / typical, rel=2e-9)


@pytest.mark.parametrize("dim", DIMS)
def test_the_covariance_is_never_negative(dim):
    r = np.concatenate([[0.0], np.geomspace(1e-8, 1e12, 4001)])
    alpha, beta, gamma = response(r, 1.0, dim)
    assert (alpha > 0).all() and (gamma <= 0).all() and (beta + gamma >= 0).all()
    assert (np.diff(alpha) <= 1e-14 * alpha[1:]).all()
    assert (mean_norm(r, 1.0, dim) >= r * (1 - 1e-14)).all()


def test_arrays_broadcast_and_every_number_is_its_own():
    r, s = np.geomspace(1e-3, 1e3, 37), np.array([[0.0], [0.1], [3.0]])
    whole = np.array(response(r, s, 7))
    assert whole.shape == (3, 3, 37)
    single = [[[part for part in response(x, y, 7)] for x in r] for y in s[:, 0]]
    assert (np.moveaxis(whole, 0, -1) == np.array(single)).all()
    assert (whole == np.array(response(r, s, 7))).all()
    assert response(1, 2, np.int64(7)) == response(1.0, 2.0, 7.0)


def test_nan_stays_nan_in_its_place():
    found = np.array(response([np.nan, 1.0], [1.0, 1.0], 4))
    assert np.isnan(found[:, 0]).all() and np.isfinite(found[:, 1]).all()
    assert np.isnan(mean_norm(1.0, np.nan, 4))


def test_tables_are_made_once_for_each_dimension():
    noisy_gradients._table.cache_clear()
    for _ in range(3):
        response(np.ones(5), 1.0, 4)
        response(1.0, 1.0, 5)
    assert noisy_gradients._table.cache_info().misses == 2
