"""Small noise: the error h^4 + eps^2 h^2 + eps^4 h of the splitting, part by part."""

import numpy as np
import pytest
from sde_orders import FLAT, linear_moments, local_error, slopes, weak_error

from featlearn.sde.integrators import RK4, Strang
from featlearn.sde.integrators.rk4 import flow


def covariance_error(h, eps):
    return np.linalg.norm(linear_moments(Strang(), h, eps)[1])


def test_without_noise_the_error_is_of_order_four():
    assert slopes([weak_error(Strang(), h, 1e-6) for h in (1 / 8, 1 / 16, 1 / 32)]) == pytest.approx(4, abs=0.04)


def test_small_noise_adds_an_error_of_order_two():
    steps = [2.0**-k for k in (4, 5, 6)]
    assert slopes([covariance_error(h, 0.003) for h in steps]) == pytest.approx(2, abs=0.01)
    assert slopes([covariance_error(2**-4, eps) for eps in (0.012, 0.006, 0.003)]) == pytest.approx(2, abs=0.01)


def test_large_noise_adds_an_error_of_order_one():
    steps = [2.0**-k for k in (8, 9, 10)]
    assert slopes([covariance_error(h, 1.0) for h in steps]) == pytest.approx(1, abs=0.02)
    assert slopes([covariance_error(2**-16, eps) for eps in (0.2, 0.1)]) == pytest.approx(4, abs=0.1)


def test_on_small_noise_it_is_more_accurate_than_rk4():
    assert 100 * weak_error(Strang(), 1 / 64, 0.1) < weak_error(RK4(), 1 / 64, 0.1)


def test_halves_that_are_correlated_lose_the_order():
    """Negative control: with dW_1 = dW_2 = dW / 2, half of the noise's effect on the drift's mean is missing."""

    class Correlated(Strang):
        def step(self, system, w, h, dw, uniforms):
            middle = flow(system, w + system.increment(w, 0.0, 0.5 * dw), h)
            return middle + system.increment(middle, 0.0, 0.5 * dw)

    assert slopes([local_error(Correlated(), FLAT, h) for h in (2**-7, 2**-8, 2**-9)]) == pytest.approx(2, abs=0.02)
