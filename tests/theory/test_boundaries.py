"""The boundaries against their formulas, and against their powers of every argument."""

import inspect

import numpy as np
import pytest

from featlearn.theory import BOUNDARIES, power_boundary, sam_boundary, sgd_boundary, snr
from featlearn.theory.boundaries import ARGUMENTS

SETUP = {"dim": 1000.0, "n_samples": 20.0, "n_patches": 2.0, "noise_std": 0.5}

POWERS = {
    "sgd": {"dim": 1 / 4, "n_samples": -1 / 4, "n_patches": 1, "noise_std": 1},
    "sam": {"dim": 0, "n_samples": 0, "n_patches": 1, "noise_std": 1},
    "power": {"dim": 1 / 2, "n_samples": -1 / 3, "n_patches": 0, "noise_std": 1},
}


@pytest.mark.parametrize("law", POWERS)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_power_of_every_argument(law, argument):
    boundary = BOUNDARIES[law]
    ratio = boundary(1.3, **{**SETUP, argument: 16 * SETUP[argument]}) / boundary(1.3, **SETUP)
    assert np.log(ratio) / np.log(16) == pytest.approx(POWERS[law][argument], abs=1e-12)


@pytest.mark.parametrize("law", POWERS)
def test_linear_in_the_constant_and_broadcast_over_all(law):
    boundary = BOUNDARIES[law]
    assert boundary(2.5, **SETUP) == pytest.approx(2.5 * boundary(1.0, **SETUP))
    dims, samples = np.array([100.0, 400.0, 900.0]), np.array([[10.0], [20.0]])
    grid = boundary(1.0, **{**SETUP, "dim": dims, "n_samples": samples})
    assert grid.shape == (2, 3)
    assert grid[1, 2] == pytest.approx(boundary(1.0, **{**SETUP, "dim": 900.0, "n_samples": 20.0}))
    assert set(ARGUMENTS) <= set(inspect.signature(boundary.boundary).parameters)


def test_points_on_the_boundary_satisfy_the_published_equalities():
    c, d, n, patches, std = 1.3, *SETUP.values()
    norm = sgd_boundary(c, **SETUP)
    assert n * norm**4 == pytest.approx(c**4 * patches**4 * std**4 * d)
    assert sam_boundary(c, **SETUP) == pytest.approx(c * patches * std)
    norm = float(power_boundary(c, **SETUP, power=4.0))
    assert n * snr(norm, std, d) ** 4 == pytest.approx(c**4)


def test_relu_has_no_power_boundary():
    with pytest.raises(ValueError, match="q > 2, not q = 2"):
        power_boundary(1.0, **SETUP, power=2.0)


def test_integers_do_not_overflow_or_divide_as_integers():
    norm = sgd_boundary(1, dim=np.array([10**12]), n_samples=10**4, n_patches=2, noise_std=1)
    assert norm == pytest.approx([200.0])
