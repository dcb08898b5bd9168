"""The scales against numbers computed by hand, and against each other."""

import pytest

from featlearn.theory import init_std, sam_epochs, sam_radius, snr

SETUP = {"n_patches": 2, "noise_std": 0.5, "dim": 10_000}


def test_by_hand():
    assert snr(5.0, 0.5, 10_000) == pytest.approx(5 / 50)
    assert init_std(1.0, **SETUP) == pytest.approx(1 / 100)
    assert sam_radius(1.0, n_filters=10, batch_size=4, **SETUP) == pytest.approx(20 / 100)
    assert sam_epochs(2.0, n_filters=10, batch_size=10, n_samples=20, signal_norm=5, lr=0.02) == pytest.approx(20)


def test_the_radius_is_c_sqrt_m_times_the_deactivation_threshold():
    m, batch_size = 9, 5
    threshold = init_std(1.0, **SETUP) * (batch_size * m) ** 0.5
    radius = sam_radius(0.7, n_filters=m, batch_size=batch_size, **SETUP)
    assert radius == pytest.approx(0.7 * m**0.5 * threshold)


@pytest.mark.parametrize("c", [0.5, 2.0])
def test_linear_in_the_constant(c):
    assert init_std(c, **SETUP) == pytest.approx(c * init_std(1.0, **SETUP))
    radius = {"n_filters": 10, "batch_size": 20, **SETUP}
    assert sam_radius(c, **radius) == pytest.approx(c * sam_radius(1.0, **radius))


def test_a_noise_of_zero_has_no_scale():
    with pytest.raises(ZeroDivisionError):
        init_std(1.0, n_patches=2, noise_std=0.0, dim=100)
