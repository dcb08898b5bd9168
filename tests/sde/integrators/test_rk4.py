"""Small noise: the error h^4 + eps^2 h of rk4, part by part."""

import numpy as np
import pytest
from sde_orders import linear_moments, slopes, weak_error

from featlearn.sde.integrators import RK4

STEPS = [2.0**-k for k in (7, 8, 9)]


def covariance_error(h, eps):
    return np.linalg.norm(linear_moments(RK4(), h, eps)[1])


def test_without_noise_the_error_is_of_order_four():
    assert slopes([weak_error(RK4(), h, 1e-6) for h in (1 / 8, 1 / 16, 1 / 32)]) == pytest.approx(4, abs=0.04)


@pytest.mark.parametrize("eps", [0.001, 0.1])
def test_the_noise_adds_an_error_of_order_one(eps):
    assert slopes([covariance_error(h, eps) for h in STEPS]) == pytest.approx(1, abs=0.02)


def test_that_error_is_quadratic_in_the_noise():
    assert slopes([covariance_error(2**-7, eps) for eps in (0.08, 0.04, 0.02)]) == pytest.approx(2, abs=0.01)
