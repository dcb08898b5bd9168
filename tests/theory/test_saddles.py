"""Saddles against simulation of the discrete rules, written out here; the published variance must fail."""

import numpy as np
import pytest

from featlearn.theory.edges import cycle_grad_norm
from featlearn.theory.noisy_gradients import mean_unit_slope
from featlearn.theory.saddles import (
    hallucinated_multiplier,
    hallucinated_points,
    kim_variance,
    noisy_sam_radius,
    saddle_variance,
    sam_basin,
    sam_confinement,
    sam_saddle_curvature,
    usam_escape_rate,
    usam_saddle_radius,
    usam_traps,
)


def sam_walk(gradient, x, lr, rho, steps):
    """The points after each step of full-batch SAM; x (..., dim)."""
    for _ in range(steps):
        g = gradient(x)
        x = x - lr * gradient(x + rho * g / np.linalg.norm(g, axis=-1, keepdims=True))
        yield x


def on_quadratic(spectrum):
    return lambda x: np.asarray(spectrum) * x


# unnormalized SAM


SPECTRUM = np.array([3.0, -0.5, -2.0])


@pytest.mark.parametrize(("rho", "held"), [(0.45, False), (1.9, False), (2.1, True), (5.0, True)])
def test_every_negative_direction_must_turn(rho, held):
    assert usam_saddle_radius(SPECTRUM) == 2
    lr, x = 0.02, np.full(3, 1e-3)
    for _ in range(10_000):
        x = x - lr * SPECTRUM * (x + rho * SPECTRUM * x)
        if np.abs(x).max() > 1:
            break
    assert (np.abs(x).max() < 1e-3) == held == usam_traps(rho, SPECTRUM) == usam_traps(rho, SPECTRUM, lr)


def test_a_large_step_frees_what_the_flow_holds():
    """lr a = 2 along the eigenvalue 3 at rho = 5: a = 48."""
    assert usam_traps(5.0, SPECTRUM, [0.0, 0.99 * 2 / 48, 1.01 * 2 / 48]).tolist() == [True, True, False]
    assert usam_traps([1.0, 3.0], [[-1.0, 2.0], [-0.5, 2.0]]).tolist() == [False, True]
    assert not usam_traps(1.0, [0.0, 1.0]) and usam_traps(0.0, [1.0, 2.0])
    assert usam_saddle_radius([[1.0, 2.0], [1.0, -4.0]]).tolist() == [0, 0.25]


def test_the_escape_rate_is_that_of_the_flow():
    lam, rho, lr = -2.0, np.array([0.0, 0.2, 0.5, 0.7]), 1e-5
    growth = np.log(1 - lr * lam * (1 + rho * lam)) / lr
    assert usam_escape_rate(rho, lam) == pytest.approx(growth, rel=1e-4, abs=1e-12)
    assert usam_escape_rate(rho, lam) == pytest.approx(2 * (1 - 2 * rho))


# SAM without noise


@pytest.mark.parametrize("spectrum", [[-1.5], [4.0, -0.5], [2.0, -0.5, -3.0]])
def test_sam_is_attracted_from_its_basin(spectrum):
    """Small steps from 10 points at .95 of the gradient norm end within a few steps of the saddle."""
    lr, rho = 4e-3, 0.3
    g = np.random.default_rng(0).standard_normal((10, len(spectrum)))
    g *= 0.95 * sam_basin(rho, spectrum) / np.linalg.norm(g, axis=1, keepdims=True)
    path = list(sam_walk(on_quadratic(spectrum), g / spectrum, lr, rho, 5000))
    assert np.linalg.norm(spectrum * path[-1], axis=1).max() < 0.1 * np.linalg.norm(g[0])


@pytest.mark.parametrize(("ratio", "held"), [(0.99, True), (1.01, False)])
def test_the_basin_in_one_dimension_is_sharp_and_ends_in_a_small_interval(ratio, held):
    lr, rho, lam = 1e-3, 0.3, -1.5
    assert sam_basin(rho, [lam]) == pytest.approx(rho * 1.5)
    path = np.abs(list(sam_walk(on_quadratic([lam]), np.array([ratio * rho]), lr, rho, 8000)))
    inside = path[-500:].max() <= sam_confinement(lr, rho, lam) * (1 + 1e-9)
    assert inside == held
    assert (path[-1] > 10 * rho) == (not held)


def test_a_minimum_attracts_from_everywhere():
    assert sam_basin(0.3, [1.0, 2.0]) == np.inf and sam_basin(0.0, [1.0, 2.0]) == np.inf
    assert sam_basin([0.3, 0.3], [[1.0, 2.0], [-1.0, -2.0]]).tolist() == [np.inf, 0.3]


@pytest.mark.parametrize(("ratio", "held"), [(0.5, False), (0.95, False), (1.05, True), (1.5, True), (3.0, True)])
@pytest.mark.parametrize("rho", [0.05, 1.0])
def test_discrete_sam_is_trapped_above_a_curvature_that_does_not_know_rho(ratio, held, rho):
    lr, sharpness = 0.1, 5.0
    threshold = sam_saddle_curvature(lr, sharpness)
    assert threshold == pytest.approx(cycle_grad_norm(lr, rho, sharpness) / rho)
    spectrum = [sharpness, -ratio * threshold]
    for x in sam_walk(on_quadratic(spectrum), rho * np.array([0.3, 1e-3]), lr, rho, 4000):
        if abs(x[1]) > 10 * rho:
            break
    assert (abs(x[1]) < rho) == held


def test_the_curvature_is_infinite_at_the_edge_of_stability():
    assert sam_saddle_curvature(0.1, [10.0, 20.0, 30.0]).tolist() == [10.0, np.inf, np.inf]


# SAM with noise


def test_noisy_sam_is_trapped_above_its_radius():
    """(x^2 - y^2) / 2, s = .3: at .6 of the radius at least 9 in 10 have escaped at T = 40, at 1.4 none."""
    lr, s, paths = 0.01, 0.3, 100
    spectrum, generator = np.array([1.0, -1.0]), np.random.default_rng(1)
    radius = noisy_sam_radius(-1.0, s, 2)
    assert radius == pytest.approx(s / mean_unit_slope(2))
    rho = radius * np.repeat([0.6, 1.4], paths)[:, None]
    x, escaped = np.zeros((2 * paths, 2)), np.zeros(2 * paths, dtype=bool)
    for _ in range(4000):
        noise = s * generator.standard_normal(x.shape)
        g = spectrum * x + noise
        x = x - lr * (g + rho * spectrum * g / np.linalg.norm(g, axis=1, keepdims=True))
        escaped |= np.abs(x[:, 1]) > 1
        x[escaped] = 0
    assert escaped[:paths].mean() > 0.9 and not escaped[paths:].any()


def test_the_published_variance_fails_and_the_derived_one_holds():
    """One batch of B = 8 in both gradients, lam = -1, lr = .001, T = 1: 8000 paths, the same noise for each rho."""
    lr, lam, batch, paths, steps = 0.001, -1.0, 8, 8000, 1000
    generator, rho = np.random.default_rng(2), np.array([0.0, 0.2, 0.5])
    x = np.zeros((paths, 3))
    for _ in range(steps):
        noise = np.sqrt(abs(lam) / batch) * generator.standard_normal((paths, 1))
        perturbed = x + rho * (lam * x + noise)
        x -= lr * (lam * perturbed + noise)
    variance = x.var(axis=0)
    error = variance * np.sqrt(2 / paths)
    derived = np.abs(variance - saddle_variance(steps * lr, lr, rho, lam, batch)) / error
    published = np.abs(variance - kim_variance(steps * lr, lr, rho, lam, batch)) / error
    assert (derived < 2).all()
    assert published[0] < 2 and (published[1:] > 10).all()


def test_both_variances_in_numbers_and_for_small_times():
    rho, t = np.array([0.2, 0.5]), 1e-4
    assert saddle_variance(1.0, 1e-3, rho, -1.0, 8) == pytest.approx([1.977e-4, 5.37e-5], rel=1e-3)
    assert kim_variance(1.0, 1e-3, rho, -1.0, 8) == pytest.approx([2.536e-4, 1.62e-4], rel=2e-3)
    rho = 1e-3
    gap = saddle_variance(t, 1e-3, 0.0, -2.0, 8) - saddle_variance(t, 1e-3, rho, -2.0, 8)
    assert gap == pytest.approx(2 * 1e-3 * rho * 4 * t / 8, rel=5e-3)
    gap = kim_variance(t, 1e-3, 0.0, -2.0, 8) - kim_variance(t, 1e-3, rho, -2.0, 8)
    assert gap == pytest.approx(2 * 1e-3 * rho * 8 * t**2 / 8, rel=5e-3)


def test_variances_at_the_radius_that_stops_the_motion():
    assert saddle_variance(1.0, 1e-3, 0.5, -2.0, 8) == 0
    assert kim_variance(3.0, 1e-3, 0.5, -2.0, 8) == pytest.approx(1e-3 * 2 / 8 * 3)
    assert saddle_variance(0.0, 1e-3, [0.2, 0.5], -2.0, 8).tolist() == [0, 0]


# hallucinated minimizers of x^3 / 3 - x, with the minimum 1 and the maximum -1


def cubic_gradient(x):
    return x**2 - 1


def after(x, lr, rho, steps):
    return float(list(sam_walk(cubic_gradient, np.array([x]), lr, rho, steps))[-1][0])


def test_sam_converges_to_a_point_that_is_no_minimum():
    lr, rho = 0.1, 2.5
    left, right = hallucinated_points(1.0, rho)
    assert (left, right) == (-1.5, 3.5)
    assert cubic_gradient(left) == 1.25 and cubic_gradient(left + rho) == 0
    near = after(left - 0.2, lr, rho, 1) - left, after(left - 0.2, lr, rho, 300) - left
    assert abs(near[0]) > 0.05 and abs(near[1]) < 1e-12
    factor = (after(left + 1e-6, lr, rho, 1) - left) / 1e-6
    assert factor == pytest.approx(hallucinated_multiplier(lr, 2.0), rel=1e-5)
    assert after(left - 0.2, lr, 0.0, 4) < -2.5  # gradient descent runs away


@pytest.mark.parametrize("side", [0, 1])
def test_beside_a_maximum_sam_stops_and_is_repelled(side):
    lr, rho = 0.1, 0.5
    point = float(hallucinated_points(-1.0, rho)[side])
    assert after(point, lr, rho, 50) == point and cubic_gradient(point) != 0
    factor = (after(point + 1e-6, lr, rho, 1) - point) / 1e-6
    assert factor == pytest.approx(hallucinated_multiplier(lr, -2.0), rel=1e-5)
    assert factor > 1
