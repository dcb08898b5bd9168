"""The edges against iterations written out here, and against their limits. SAM and GD below share nothing with ours."""

import numpy as np
import pytest

from featlearn.theory import edges
from featlearn.theory.edges import EDGES, edge_ratio, sam_edge, stability_edge, usam_edge


def sam(gradient, w, lr, rho):
    """One step; rho = 0 is gradient descent."""
    g = gradient(w)
    length = np.linalg.norm(g)
    return w - lr * gradient(w + rho * g / length) if length else w


def usam(gradient, w, lr, rho):
    return w - lr * gradient(w + rho * gradient(w))


def on_quadratic(spectrum):
    return lambda w: spectrum * w


LR, RHO = 0.05, 0.1


# the edges


@pytest.mark.parametrize("grad_norm", [1e-6, 0.01, 0.3, 10.0, 1e6])
@pytest.mark.parametrize("rho", [1e-3, 0.1, 2.0])
def test_the_edge_is_where_the_step_reverses_the_weights(grad_norm, rho):
    """lr lam + lr rho lam^2 / |g| = 2, and one SAM step from such a point lands on its mirror image."""
    lam = sam_edge(LR, rho, grad_norm)
    assert LR * lam + LR * rho * lam**2 / grad_norm == pytest.approx(2, rel=1e-12)
    w = np.array([grad_norm / lam])
    assert sam(on_quadratic(lam), w, LR, rho) == pytest.approx(-w, rel=1e-9)
    for factor in (0.99, 1.01):
        moved = sam(on_quadratic(factor * lam), w / factor, LR, rho)
        assert (abs(moved[0]) > w[0] / factor) == (factor > 1)


def test_the_edge_is_the_published_expression():
    g = np.geomspace(1e-3, 10, 20)
    published = g / (2 * RHO) * (np.sqrt(1 + 8 * RHO / (LR * g)) - 1)
    assert sam_edge(LR, RHO, g) == pytest.approx(published, rel=1e-12)
    assert usam_edge(LR, RHO) == pytest.approx((np.sqrt(1 + 8 * RHO / LR) - 1) / (2 * RHO), rel=1e-12)


def test_limits_of_the_edges():
    assert sam_edge(LR, 0.0, 0.3) == sam_edge(LR, 0.0, 0.0) == usam_edge(LR, 0.0) == stability_edge(LR) == 2 / LR
    assert sam_edge(LR, RHO, 0.0) == 0
    assert sam_edge(LR, RHO, 1e-12) == pytest.approx(np.sqrt(2e-12 / (RHO * LR)), rel=1e-4)
    assert sam_edge(LR, RHO, 1e12) == pytest.approx(2 / LR, rel=1e-10)
    assert np.isnan(sam_edge(LR, RHO, np.nan)) and np.isnan(sam_edge(LR, 0.0, np.nan))
    assert sam_edge(LR, RHO, np.inf) == 2 / LR


def test_the_edge_rises_with_the_gradient_and_stays_below_that_of_gradient_descent():
    g = np.geomspace(1e-8, 1e8, 200)
    edge = sam_edge(LR, RHO, g)
    assert (np.diff(edge) >= 0).all() and (edge <= 2 / LR).all() and (edge > 0).all()
    assert (np.diff(sam_edge(LR, np.geomspace(1e-4, 10, 50), 0.3)) < 0).all()


def test_the_ratio_does_not_cancel():
    """Where (sqrt(1 + 8 s) - 1) / (4 s) has lost all digits (negative control), ours still is 1 - 2 s + 8 s^2."""
    s = np.geomspace(1e-18, 1e-6, 30)
    series = 1 - 2 * s + 8 * s**2
    assert np.abs(edge_ratio(s) - series).max() < 3e-16
    assert np.abs((np.sqrt(1 + 8 * s) - 1) / (4 * s) - series).max() > 0.1
    large = np.array([1e8, 1e12, 1e300])
    assert edge_ratio(large) * np.sqrt(2 * large) == pytest.approx(1, rel=1e-4)
    assert edge_ratio(0.0) == 1 and edge_ratio(np.inf) == 0
    assert sam_edge(LR, RHO, 0.3) / stability_edge(LR) == pytest.approx(edge_ratio(RHO / (LR * 0.3)), rel=1e-15)


def test_unnormalized_sam_has_its_edge_at_its_largest_lr():
    assert edges.usam_largest_lr(RHO, usam_edge(LR, RHO)) == pytest.approx(LR, rel=1e-12)
    for beta in (0.5, 5.0):
        largest = edges.usam_largest_lr(RHO, beta)
        for factor in (0.98, 1.02):
            w = np.array([1.0])
            for _ in range(400):
                w = usam(on_quadratic(beta), w, factor * largest, RHO)
            assert (abs(w[0]) > 1) == (factor > 1)


def test_constant_edges_stay_where_the_gradient_has_overflowed():
    assert stability_edge(LR, RHO, np.inf) == 2 / LR and stability_edge(LR, RHO, np.nan) == 2 / LR
    assert usam_edge(LR, RHO, [0.3, np.inf]).tolist() == [usam_edge(LR, RHO)] * 2


@pytest.mark.parametrize("edge", EDGES.values())
def test_edges_share_their_arguments_and_broadcast(edge):
    lr, rho, g = np.array([0.1, 0.2]), 0.1, np.array([[0.3], [0.4], [0.0]])
    table = edge(lr, rho, g)
    assert table.shape == (3, 2)
    assert table[1, 1] == edge(0.2, 0.1, 0.4)


# the cycle

SPECTRUM = np.array([20.0, 12.0, 5.0, 0.5])


@pytest.mark.parametrize("lr", [0.02, 0.05, 0.09])
@pytest.mark.parametrize("rho", [0.01, 0.3])
def test_sam_on_a_quadratic_ends_in_the_cycle(lr, rho):
    """Amplitude to 1e-9; there SAM's edge is the sharpness itself; gradient norm and loss as given."""
    w = np.array([0.3, -0.2, 0.5, 0.1])
    for _ in range(4000):
        w = sam(on_quadratic(SPECTRUM), w, lr, rho)
    amplitude = edges.cycle_amplitude(lr, rho, 20.0)
    after = sam(on_quadratic(SPECTRUM), w, lr, rho)
    assert abs(abs(w[0]) - amplitude) < 1e-9 and abs(abs(after[0]) - amplitude) < 1e-9 and w[0] * after[0] < 0
    assert np.abs(w[1:]).max() < 1e-9
    grad_norm = np.linalg.norm(SPECTRUM * w)
    assert abs(grad_norm - edges.cycle_grad_norm(lr, rho, 20.0)) < 1e-8
    assert abs(0.5 * (SPECTRUM * w**2).sum() - edges.cycle_loss(lr, rho, 20.0)) < 1e-9
    assert abs(sam_edge(lr, rho, grad_norm) / 20 - 1) < 1e-9


@pytest.mark.parametrize("lr", [0.02, 0.05, 0.09])
@pytest.mark.parametrize("i", [1, 2, 3])
def test_transverse_multipliers(lr, i):
    """A deviation of 1e-6 along another eigenvector, over one step, to 1e-6."""
    w = np.zeros(4)
    w[0], w[i] = edges.cycle_amplitude(lr, RHO, 20.0), 1e-6
    after = sam(on_quadratic(SPECTRUM), w, lr, RHO)
    factor = edges.transverse_multiplier(lr, 20.0, SPECTRUM[i])
    assert abs(after[i] / w[i] - factor) < 1e-6 and abs(factor) < 1


def test_the_top_mode_itself_is_neither_damped_nor_amplified():
    assert edges.transverse_multiplier(0.05, 20.0, 20.0) == -1


def test_another_mode_has_no_stable_cycle():
    """Negative control: on the second eigenvector the deviation along the first grows."""
    assert abs(edges.transverse_multiplier(0.05, 12.0, 20.0)) > 1


def test_below_the_edge_gradient_descent_stays_off_it():
    """Negative control for every statement that the sharpness sits at the edge: with a small step it does not."""
    lr = 0.3 * 2 / SPECTRUM[0]
    w = np.ones(4)
    for _ in range(500):
        w = sam(on_quadratic(SPECTRUM), w, lr, 0.0)
    assert np.abs(w).max() < 0.1 and SPECTRUM[0] / stability_edge(lr) == pytest.approx(0.3)


# the valley


def valley(w):
    """Gradient of (5 + y) x^2 / 2, a valley of minima x = 0 along which the sharpness 5 + y changes."""
    x, y = w
    return np.array([(5 + y) * x, x**2 / 2])


def mean_drift(gradient, start, lr, rho, steps=200):
    """Displacement of y a step, over pairs of steps of the cycle."""
    w = np.array(start)
    for _ in range(400):
        w = np.array([sam(gradient, w, lr, rho)[0], start[1]])  # settle across the valley, held along it
    first = w[1]
    for _ in range(steps):
        w = sam(gradient, w, lr, rho)
    return (w[1] - first) / steps


def test_drift_along_the_valley():
    measured = mean_drift(valley, (0.01, 0.0), 0.05, 0.02)
    predicted = edges.valley_drift(0.05, 0.02, 5.0, 1.0)
    assert predicted == pytest.approx(-1.30612e-5, abs=0.5e-10)
    assert measured == pytest.approx(predicted, rel=1e-3)


def test_the_drift_at_small_steps_and_its_law_in_the_radius():
    assert edges.valley_drift(1e-9, RHO, 5.0, 1.0) == pytest.approx(-1e-9 * RHO**2 / 2, rel=1e-8)
    steeper = mean_drift(valley, (0.01, 0.0), 0.05, 0.01)
    assert steeper / mean_drift(valley, (0.01, 0.0), 0.05, 0.02) == pytest.approx(0.25, rel=2e-3)
    assert abs(mean_drift(valley, (0.01, 0.0), 0.05, 0.0)) < 1e-100  # gradient descent does not drift


def test_drift_on_the_toy():
    """(x y)^2 / 2 has sharpness y^2, whose gradient along the valley is 2 y."""

    def toy(w):
        return np.array([w[0] * w[1] ** 2, w[0] ** 2 * w[1]])

    measured = mean_drift(toy, (0.001, 3.0), 0.05, 0.002, steps=40)
    assert measured == pytest.approx(edges.valley_drift(0.05, 0.002, 9.0, 6.0), rel=1e-3)


# stopping points


def stop(rule, y_squared, steps):
    """y^2 at the end, from beside the minimum (0, y)."""
    w = np.array([1e-6, np.sqrt(y_squared)])

    def toy(v):
        return np.array([v[0] * v[1] ** 2, v[0] ** 2 * v[1]])

    for _ in range(steps):
        w = rule(toy, w, LR, RHO)
    return w[1] ** 2


def descend(gradient, w, lr, rho):
    return sam(gradient, w, lr, 0.0)


@pytest.mark.parametrize(("name", "rule", "edge"), [("sgd", descend, 40.0), ("usam", usam, 15.62)])
def test_where_a_rule_may_stop_on_the_toy(name, rule, edge):
    """Just below its edge a point stays where it is; just above it is left for one below."""
    point = float(edges.toy_stopping_points(LR, RHO)[name])
    assert point == pytest.approx(edge, abs=5e-3)
    assert stop(rule, 0.98 * point, 3000) == pytest.approx(0.98 * point, rel=1e-6)
    assert stop(rule, 1.02 * point, 3000) < 0.999 * point


def test_sam_does_not_stop_on_the_toy():
    assert edges.toy_stopping_points(LR, RHO)["sam"] == 0
    ends = [stop(sam, 30.0, steps) for steps in (0, 300, 3000, 30_000)]
    assert ends[0] > ends[1] > ends[2] > ends[3] and ends[3] < 0.05


# the convex bound


@pytest.mark.parametrize("rho", [0.0, 0.1, 3.0])
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_the_convex_bound_holds_for_any_radius(rho, share):
    alpha, beta = 0.5, 4.0
    spectrum, lr = np.array([beta, 1.0, alpha]), share / beta
    w = np.array([1.0, -2.0, 3.0])
    first = 0.5 * (spectrum * w**2).sum()
    for t in range(200):
        bound = edges.convex_bound(t, first, lr=lr, rho=rho, alpha=alpha, beta=beta)
        assert 0.5 * (spectrum * w**2).sum() <= bound * (1 + 1e-12)
        w = sam(on_quadratic(spectrum), w, lr, rho)


def test_the_bounds_plateau_is_that_of_the_cycle_up_to_a_factor():
    """With one curvature lam the bound ends at the loss on the cycle times (2 - lr lam) / (lr lam), at least 1."""
    lr, rho, lam = 0.05, 0.1, 10.0
    plateau = edges.convex_bound(1e9, 1.0, lr=lr, rho=rho, alpha=lam, beta=lam)
    assert plateau / edges.cycle_loss(lr, rho, lam) == pytest.approx((2 - lr * lam) / (lr * lam), rel=1e-12)
