"""The stationary laws against simulation of the discrete rules, written out here, and against their limits."""

import numpy as np
import pytest
from scipy.optimize import brentq

from featlearn.theory import stationary
from featlearn.theory.edges import cycle_amplitude
from featlearn.theory.noisy_gradients import mean_unit_slope
from featlearn.theory.stationary import (
    dnsam_log_density,
    dnsam_ring,
    dnsam_rule_ring,
    dnsam_truncated_ring,
    sam_variance,
    usam_loss,
    usam_rule_variance,
    usam_truncated_variance,
    usam_variance,
)


def settled(direction, x, *, lr, lam, s, steps):
    """The last state of ``steps`` steps on lam x^2 / 2 with noise, the same in both gradients; x (paths, dim)."""
    generator = np.random.default_rng(3)
    for _ in range(steps):
        noise = s * generator.standard_normal(x.shape)
        x = x - lr * (lam * (x + direction(lam * x, lam * x + noise)) + noise)
    return x


def usam(rho):
    return lambda gradient, noisy: rho * noisy


def sam(rho):
    return lambda gradient, noisy: rho * noisy / np.linalg.norm(noisy, axis=1, keepdims=True)


def dnsam(rho):
    return lambda gradient, noisy: rho * noisy / np.linalg.norm(gradient, axis=1, keepdims=True)


# USAM


@pytest.mark.parametrize(("lr", "rho", "lam"), [(0.2, 0.5, 1.0), (0.05, 3.0, 2.0), (0.3, 2.0, -1.0), (0.4, 0.0, 3.0)])
def test_variance_of_the_usam_rule(lr, rho, lam):
    """Within 3 standard errors; the law of the SDE, which has no step size, is off by much more."""
    x = settled(usam(rho), np.zeros((100_000, 1)), lr=lr, lam=lam, s=0.5, steps=60)
    error = x.var() * np.sqrt(2 / x.size)
    assert abs(x.var() - usam_rule_variance(lr, rho, lam, 0.5)) < 3 * error
    assert abs(x.var() - usam_variance(lr, rho, lam, 0.5)) > 10 * error


def test_the_sde_has_the_law_of_the_rule_at_a_small_step_for_every_radius():
    rho, lam = np.array([0.0, 0.1, 1.0, 10.0]), np.array([[0.5], [3.0]])
    a = lam * (1 + rho * lam)
    for lr in (1e-2, 1e-4, 1e-6):
        ratio = usam_rule_variance(lr, rho, lam, 0.3) / usam_variance(lr, rho, lam, 0.3)
        assert ratio == pytest.approx(2 / (2 - lr * a), rel=1e-13)
    published = 0.01 * 0.3**2 / 2 * (1 / lam + rho)
    assert usam_variance(0.01, rho, lam, 0.3) == pytest.approx(published, rel=1e-13)


def test_truncation_loses_the_second_order_in_rho():
    lr, lam, s = 0.01, 2.0, 0.3
    rho = np.array([0.01, 0.02])
    lost = usam_variance(lr, rho, lam, s) - usam_truncated_variance(lr, rho, lam, s)
    assert lost == pytest.approx(lr * s**2 * rho**2 * lam / (2 * (1 + rho * lam)), rel=1e-10)
    assert np.log2(lost[1] / lost[0]) == pytest.approx(2, abs=0.03)
    assert usam_truncated_variance(lr, 2.0, -1.0, s) == 0 < usam_variance(lr, 2.0, -1.0, s)


def test_the_loss_is_the_sum_over_coordinates():
    lam = np.array([0.2, 1.0, 5.0])
    total = (lam * usam_variance(0.01, 0.4, lam, 0.3)).sum() / 2
    assert usam_loss(0.01, 0.4, lam.sum(), 0.3, 3) == pytest.approx(total, rel=1e-13)


def test_no_stationary_law_is_infinite_and_nan_stays():
    for law in (usam_variance, usam_truncated_variance, usam_rule_variance):
        assert law(0.1, 0.5, [-1.0, 0.0, 1.0], 0.3).tolist()[:2] == [np.inf, np.inf]
        assert np.isfinite(law(0.1, 0.5, 1.0, 0.3)) and np.isnan(law(0.1, 0.5, np.nan, 0.3))
    assert usam_rule_variance(1.0, 0.5, [1.3, 1.2], 0.3).tolist()[0] == np.inf  # lr a = 2.1, 1.9
    assert np.isfinite(usam_rule_variance(1.0, 0.5, 1.2, 0.3))


# SAM


@pytest.mark.parametrize("dim", [1, 2, 10])
def test_variance_of_sam(dim):
    """Within 3 standard errors and the regime's own error, at most lr lam / 2 here once the rule's factor
    2 / (2 - lr a) is known. SGD's variance and the truncated covariance, without rho^2 lam^2 / d, fail."""
    lr, rho, lam, s = 0.02, 0.4, 1.0, 0.5
    law, c = float(sam_variance(lr, rho, lam, s, dim)), float(mean_unit_slope(dim))
    start = np.sqrt(law) * np.random.default_rng(4).standard_normal((20_000 if dim < 3 else 8000, dim))
    x = settled(sam(rho), start, lr=lr, lam=lam, s=s, steps=100)
    turn = 1 + rho * lam * c / s
    found = x.var() * (2 - lr * lam * turn) / 2
    allowed = 3 * np.sqrt(2 / x.size) + lr * lam / 2
    assert found == pytest.approx(law, rel=allowed)
    assert found > (1 + allowed) * lr / (2 * lam) * (s**2 + 2 * rho * lam * s * c) / turn
    assert found > (1 + allowed) * usam_variance(lr, 0.0, lam, s)


def test_sam_in_one_dimension_as_published_and_in_many_as_usam():
    lr, rho, lam, s = 0.01, 0.3, 2.0, 0.5
    c = np.sqrt(2 / np.pi)
    published = lr / (2 * lam) * (s**2 + 2 * rho * lam * s * c + rho**2 * lam**2) / (1 + rho * lam * c / s)
    assert sam_variance(lr, rho, lam, s) == pytest.approx(published, rel=1e-13)
    for dim in (100, 10_000):
        as_usam = usam_variance(lr, rho * mean_unit_slope(dim) / s, lam, s)
        assert sam_variance(lr, rho, lam, s, dim) == pytest.approx(as_usam, rel=1 / dim)
    assert sam_variance(lr, 0.0, lam, s, 7) == pytest.approx(usam_variance(lr, 0.0, lam, s), rel=1e-13)


# DNSAM


@pytest.mark.parametrize(("lr", "rho", "tolerance"), [(0.01, 0.0, 0.01), (0.01, 0.3, 0.05), (0.8, 0.3, None)])
def test_the_ring_of_dnsam(lr, rho, tolerance):
    """The rule's own ring to 1 %; the SDE's to ``tolerance``, and not at all at lr lam = .8."""
    lam, s, dim = 1.0, 0.2, 100
    ring = float(dnsam_rule_ring(lr, rho, lam, s, dim))
    start = np.random.default_rng(5).standard_normal((300, dim))
    start *= ring / np.linalg.norm(start, axis=1, keepdims=True)
    radius = np.linalg.norm(settled(dnsam(rho), start, lr=lr, lam=lam, s=s, steps=300), axis=1)
    assert radius.std() < 1.5 * radius.mean() / np.sqrt(2 * dim)
    found = np.sqrt((radius**2).mean())
    assert found == pytest.approx(ring, rel=0.01)
    if tolerance:
        assert found == pytest.approx(dnsam_ring(lr, rho, lam, s, dim), rel=tolerance)
    else:
        assert abs(found / dnsam_ring(lr, rho, lam, s, dim) - 1) > 0.2
    if rho and tolerance:
        assert abs(found / dnsam_truncated_ring(lr, rho, lam, s, dim) - 1) > 0.1


def test_rings_solve_their_equations_and_have_their_limits():
    lr, lam, s, dim = 0.01, 2.0, 0.3, 50
    rho = np.array([0.0, 1e-6, 1e-3, 0.1, 10.0, 1e6])
    half = lr * s**2 * dim / 2
    r = dnsam_ring(lr, rho, lam, s, dim)
    assert lam * r**3 == pytest.approx(half * (r + rho), rel=1e-12)
    assert r[[0, -1]] == pytest.approx([np.sqrt(half / lam), np.cbrt(half * 1e6 / lam)], rel=1e-3)
    r = dnsam_truncated_ring(lr, rho, lam, s, dim)
    assert lam * r**2 * (r + rho) == pytest.approx(half * (r + 2 * rho), rel=1e-9)
    assert r[-1] == pytest.approx(np.sqrt(2 * half / lam), rel=1e-3)
    r = dnsam_rule_ring(lr, rho, lam, s, dim)
    assert 2 * lam * r**3 == pytest.approx(lr * (r + rho) * (s**2 * dim + lam**2 * r**2), rel=1e-12)
    assert dnsam_rule_ring(1e-6, 0.1, lam, s, dim) == pytest.approx(dnsam_ring(1e-6, 0.1, lam, s, dim), rel=1e-3)
    assert dnsam_rule_ring(0.3, 0.1, lam, 0.0, dim) == pytest.approx(cycle_amplitude(0.3, 0.1, lam), rel=1e-12)
    assert dnsam_ring(lr, 0.1, lam, 0.0, dim) == dnsam_truncated_ring(lr, 0.1, lam, 0.0, dim) == 0
    rings = (dnsam_ring, dnsam_truncated_ring, dnsam_rule_ring)
    assert [float(ring(lr, 0.1, -lam, s, dim)) for ring in rings] == [np.inf] * 3
    assert dnsam_rule_ring(1.0, 0.1, lam, s, dim) == np.inf
    assert all(np.isnan(ring(lr, 0.1, np.nan, s, dim)) for ring in rings)


def test_newton_meets_a_bracketing_root_finder_at_all_scales():
    generator = np.random.default_rng(6)
    sizes = 10.0 ** generator.uniform(-8, 8, (3, 200))
    sizes[0, ::2] *= -1
    found = stationary._positive_root(*sizes)
    for (a, b, c), root in zip(sizes.T, found, strict=True):
        top = 3 * max(abs(a), np.sqrt(b), np.cbrt(c))
        exact = brentq(lambda r, a=a, b=b, c=c: ((r - a) * r - b) * r - c, 0, top, xtol=1e-30, rtol=1e-14)
        assert root == pytest.approx(exact, rel=1e-9, abs=0)


@pytest.mark.parametrize("dim", [1, 3, 50])
def test_the_density_of_the_radius_carries_no_flux(dim):
    """drift p = d(D p) / dr for the density p = e^L / r^(d - 1) in space, D = lr s^2 (1 + rho / r)^2 / 2."""
    lr, rho, lam, s, h = 0.02, 0.3, 1.5, 0.4, 1e-5
    r = np.linspace(0.05, 1, 30)

    def log_flow(r):
        return dnsam_log_density(r, lr, rho, lam, s, dim) - (dim - 1) * np.log(r) + 2 * np.log(1 + rho / r)

    slope = (log_flow(r + h) - log_flow(r - h)) / (2 * h)
    drift = -lam * (r + rho)
    assert slope == pytest.approx(drift / (lr * s**2 * (1 + rho / r) ** 2 / 2), rel=1e-6)


def test_the_density_peaks_at_the_ring_in_high_dimension():
    lr, rho, lam, s, dim = 0.01, 0.3, 1.0, 0.2, 10_000
    ring = dnsam_ring(lr, rho, lam, s, dim)
    r = ring * np.linspace(0.9, 1.1, 20_001)
    assert r[dnsam_log_density(r, lr, rho, lam, s, dim).argmax()] == pytest.approx(ring, rel=1e-3)
