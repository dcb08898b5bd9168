"""The covariance that is truncated at first order in rho: by hand, and where it is projected."""

import pytest
import torch
from sde_laws import F64, apart, block, first_system, flat, law, limit, loss_of, moments

from featlearn.data import NoData
from featlearn.models.quadratic import Quadratic
from featlearn.models.two_valleys import TwoValleys
from featlearn.optim import DNSAM, SAM, SGD, USAM
from featlearn.sde.truncated import Truncated

PLAIN, NOISE = SGD(lr=1.0), 0.5
QUADRATIC = {"model": Quadratic(spectrum=(3.0, -2.0), start=(0.1, 0.2)), "data": NoData()}


def system(rule, **settings):
    def made(engine):
        return first_system(limit(rule, **settings), loss_of(engine, None, noise=NOISE))

    return made


@pytest.mark.parametrize("rho", [0.1, 0.2])
def test_on_a_quadratic_it_is_linear_in_the_radius(rho):
    """s^2 (1 + 2 rho lam), by hand; the drift is that of the complete one."""
    rule = USAM(rho=rho, base=PLAIN)
    found = system(rule, covariance="truncated")
    assert type(found(block(1, **QUADRATIC))) is Truncated
    mean, covariance = moments(found, 2, **QUADRATIC)
    by_hand = NOISE**2 * (1 + 2 * rho * torch.tensor([3.0, -2.0], dtype=F64))
    assert apart(covariance, by_hand.diag()) < 1e-14
    assert torch.equal(mean, moments(system(rule), 2, **QUADRATIC)[0])


@pytest.mark.parametrize("rule", [SAM, DNSAM, USAM])
def test_it_differs_from_the_complete_one_by_the_square_of_the_radius(rule):
    valley = {"model": TwoValleys(n_transverse=1, x=0.3), "data": NoData()}
    gaps = []
    for rho in (0.02, 0.01):
        pair = [system(rule(rho=rho, base=PLAIN), covariance=name) for name in ("complete", "truncated")]
        complete, truncated = (moments(each, 2, **valley)[1] for each in pair)
        gaps.append((complete - truncated).norm())
    assert abs(float(gaps[0] / gaps[1]) - 4) < 1e-6


@pytest.mark.parametrize(("rho", "projected"), [(0.2, False), (0.3, True)])
def test_it_is_projected_beyond_half_the_inverse_curvature(rho, projected):
    """1 + 2 rho lam < 0 for lam = -2: beyond rho = 1/4 the noise along it is 0, and that is counted, once a substep."""
    made = system(USAM(rho=rho, base=PLAIN), covariance="truncated", integrator="strang")
    covariance = moments(made, 2, **QUADRATIC)[1]
    by_hand = NOISE**2 * (1 + 2 * rho * torch.tensor([3.0, -2.0], dtype=F64)).clamp(min=0)
    assert apart(covariance, by_hand.diag()) < 1e-14
    one = made(block(3, **QUADRATIC))
    assert one.n_projected == 0.0
    w, dw = one.loss.engine.initial(), torch.ones(3, 2, dtype=F64)
    for _ in range(2):
        one.increment(w, 0.5, dw)
    one.increment(w, 0.5, None)
    assert one.n_projected.tolist() == [projected] * 3


def test_rounding_is_not_a_projection():
    """At rho = 1/4 an eigenvalue is 0."""
    one = system(USAM(rho=0.25, base=PLAIN), covariance="truncated")(block(1, **QUADRATIC))
    noise = flat(one.increment(one.loss.engine.initial(), 0.0, torch.ones(1, 2, dtype=F64)))
    assert one.n_projected.tolist() == [False] and abs(float(noise[0, 1])) < 1e-7


def test_where_it_is_not_finite_the_noise_is_nan_and_nothing_is_raised():
    one = system(USAM(rho=0.3, base=PLAIN), covariance="truncated")(block(1, **QUADRATIC))
    w = one.loss.engine.unflattened(torch.tensor([[float("nan"), 1.0]], dtype=F64))
    assert flat(one.increment(w, 1.0, torch.ones(1, 2, dtype=F64))).isnan().any()


def test_it_is_the_covariance_of_many_draws():
    """The root is symmetric, so that noise and Z are the same where rho = 0."""
    one = system(SAM(rho=0.0, base=PLAIN), covariance="truncated")(block(64, **QUADRATIC))
    dw = torch.linspace(-1, 1, 128, dtype=F64).reshape(64, 2)
    noise = -flat(one.increment(one.loss.engine.initial(), 0.0, dw))
    assert apart(noise, NOISE * dw) < 1e-14 and law(noise)[1].shape == (2, 2)
