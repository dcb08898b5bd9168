"""The weak order of the package's SDEs on a quadratic with Gaussian noise, without Monte Carlo.

Rule and SDE of USAM are linear there: the steps and increments of the package give their matrices, and these the exact
means and second moments at a fixed time. The radius is c sqrt(lr), as in the theorem of Compagnoni et al. 2023.
"""

import math

import numpy as np
from sde_laws import after_steps, euler_step, limit, linear_limit, linear_rule, step_of

from featlearn.models.quadratic import Quadratic
from featlearn.optim import SGD, USAM

MODEL = Quadratic(spectrum=(2.0, 1.0, -0.5), rotated=True)
START, NOISE, C, TIME = np.array([1.0, -0.5, 0.7]), 0.5, 0.5, 1.0
RATES = [0.1 / 2**halvings for halvings in range(5)]


def usam(lr, c=C):
    return USAM(rho=c * math.sqrt(lr), base=SGD(lr=lr))


def errors(first, second):
    """The largest error of a mean, and of a second moment, at time TIME for every rate, [2, rates]."""
    found = []
    for lr in RATES:
        ours, theirs = (after_steps(START, *steps(lr), round(TIME / lr)) for steps in (first, second))
        found.append([np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True)])
    return np.array(found).T


def slopes(found):
    """Of log(error) against log(lr), by least squares."""
    return np.polyfit(np.log(RATES), np.log(found).T, 1)[0]


def of_rule(lr):
    return linear_rule(usam(lr), MODEL, NOISE)


def of_sde(rule, k=None):
    """The SDE itself, or k substeps of Euler-Maruyama."""

    def steps(lr):
        matrices = linear_limit(limit(rule(lr)), MODEL, NOISE)
        return step_of(*matrices) if k is None else euler_step(*matrices, k)

    return steps


def test_the_sde_of_usam_has_weak_order_one():
    found = errors(of_sde(usam), of_rule)
    assert np.abs(slopes(found) - 1).max() < 0.1 and found.min() > 1e-6


def test_the_sde_of_sgd_has_weak_order_one_half_for_usam():
    """The control of the matched SDE: it leaves out what the radius does."""
    found = slopes(errors(of_sde(lambda lr: SGD(lr=lr)), of_rule))
    assert np.abs(found - 0.5).max() < 0.1 and found.max() < 0.75


def test_at_a_fixed_radius_the_error_of_the_sde_of_sgd_stays():
    found = errors(of_sde(lambda lr: SGD(lr=lr)), lambda lr: linear_rule(USAM(rho=0.2, base=SGD(lr=lr)), MODEL, NOISE))
    assert (found[:, -2] / found[:, -1]).max() < 1.05  # of the last halving


def test_one_euler_step_repeats_the_rule():
    """So the control with one substep tests nothing; k steps leave the share 1 - 1/k of the error of the SDE."""
    assert errors(of_sde(usam, 1), of_rule).max() < 1e-14
    share = errors(of_sde(usam, 8), of_rule) / errors(of_sde(usam), of_rule)
    assert np.abs(share[:, -1] - 7 / 8).max() < 0.01


def test_without_the_radius_in_the_drift_the_order_is_lost():
    """Negative control, with the right noise. Noise without the radius errs by rho lr, which no order of one shows."""

    def mixed(drift, noise):
        def steps(lr):
            return step_of(*(linear_limit(limit(rule(lr)), MODEL, NOISE)[i] for i, rule in enumerate((drift, noise))))

        return slopes(errors(steps, of_rule))

    assert mixed(lambda lr: SGD(lr=lr), usam).max() < 0.75
    assert mixed(usam, lambda lr: SGD(lr=lr)).min() > 0.9
