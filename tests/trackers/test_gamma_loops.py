"""Tails of the gamma law against scipy's, and many at once against one by one."""

import math

import numpy as np
import pytest
from scipy import special

from featlearn.trackers.gamma_loops import decay, upper_gamma, upper_gammas


@pytest.mark.parametrize("a", [1, 2, 3, 10, 11, 64, 65, 200, 0.5, 1.5, 10.5, 64.5, 65.5, 200.5])
def test_many_gamma_functions_at_once_are_those_one_by_one(a):
    x = np.concatenate([[0.0, 1e-300, 700.0, 1e9, math.inf], np.linspace(0, 3 * a, 400)])
    one_by_one = np.array([upper_gamma(float(a), float(v)) for v in x])
    found = np.empty_like(x)
    upper_gammas(float(a), x.copy(), found, np.empty_like(x), np.empty(len(x), np.int64))
    assert np.allclose(found, one_by_one, rtol=1e-13, atol=1e-290)
    assert not np.allclose(found, np.roll(one_by_one, 1), rtol=1e-13, atol=1e-290)


def test_the_exponential_is_exact_to_its_last_bits():
    x = np.concatenate([np.linspace(0, 700, 100_001), np.arange(0, 1000) * math.log(2) / 2])
    expected, found = np.exp(-x), x.copy()
    decay(found, np.empty_like(x), np.empty(len(x), np.int64))
    assert np.abs(found / expected - 1).max() < 4e-16 * 2


@pytest.mark.parametrize("a", [1, 2, 3, 10, 63, 64, 65, 66, 200, 5000, 0.5, 1.5, 2.5, 10.5, 64.5, 65.5, 200.5])
def test_the_tail_of_the_gamma_law(a):
    x = np.concatenate(
        [[0, 1e-300, 1e-9], np.geomspace(1e-3, 30 * a + 2000, 200), (a + np.linspace(-0.9, 9, 50) * a**0.5).clip(min=0)]
    )
    ours = np.array([upper_gamma(float(a), float(v)) for v in x])
    assert np.abs(ours - special.gammaincc(a, x)).max() < 1e-12 * max(1, a / 200)  # an exponent of size a log a cancels
    assert upper_gamma(float(a), math.inf) == pytest.approx(0.0, abs=1e-200)
