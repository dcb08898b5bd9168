"""One step of every limit against one step of its rule: with Gaussian noise by Monte Carlo, else by autograd.

Moments of mini-batches are in test_systems.py, where they are exact.
"""

import math
from dataclasses import replace

import pytest
import torch
from sde_laws import DATA, F64, NET, apart, block, direction, first_system, flat, limit, loss_of, moments

from featlearn.data import NoData
from featlearn.engines.vector import Vector
from featlearn.models.quadratic import Quadratic
from featlearn.models.two_valleys import TwoValleys
from featlearn.optim import DNSAM, MSAM, NSAM, NUSAM, SAM, SGD, USAM, SignSGD
from featlearn.sde.gaussian import Gaussian, SampledGaussian, Shifted
from featlearn.sde.limits import limit_of

PLAIN, SIGN, NOISE, LANES = SGD(lr=1.0), SignSGD(lr=1.0), 0.5, 2**16
RULES = {
    "sam": SAM(rho=0.1, base=PLAIN),
    "usam": USAM(rho=0.1, base=PLAIN),
    "dnsam": DNSAM(rho=0.1, base=PLAIN),
    "n_sam": NSAM(rho=0.1, base=PLAIN),
    "n_usam": NUSAM(rho=0.1, base=PLAIN),
}
PLACES = {1: [0.3], 2: [0.3, 0.4], 5: [0.3, 0.4, -0.2, 0.1, 0.3]}


def valley(d):
    return {"model": TwoValleys(n_transverse=d - 1), "data": NoData()}


def placed(d):
    return lambda engine: Vector((torch.tensor(PLACES[d], dtype=F64).expand(len(engine.seeds), d),))


@pytest.fixture(scope="module")
def blocks():
    """Engines of LANES seeds, by dimension."""
    return {d: block(LANES, **valley(d), seeds=range(LANES)) for d in PLACES}


def sampled(engine, rule, d):
    """Of every run the rule's direction and the noise of its gradient, [LANES, D] each."""
    loss = loss_of(engine, None, noise=NOISE)
    return direction(rule, loss, placed(d)(engine)), NOISE * flat(loss.injected)


def system(rule, noise=NOISE, **settings):
    """The system of the whole training set, as a function of a block."""
    return lambda engine: first_system(limit(rule, **settings), loss_of(engine, None, noise=noise))


def derived(rule, d):
    """Mean and covariance by the limit."""
    return moments(system(rule), d, **valley(d), at=placed(d))


def deviations(x, expected):
    """How far a mean over runs is from its expectation, in standard errors."""
    return (x.mean(0) - expected) / (x.std(0) / math.sqrt(len(x))).clamp(min=1e-30)


def beyond_noise(engine, rule, d, mean):
    """What the perturbation adds, of each run: to the direction, and to the products of its deviations."""
    directions, noise = sampled(engine, rule, d)
    gradient = flat(loss_of(engine, None).gradient(placed(d)(engine)))
    centred = directions - mean
    return directions - gradient - noise, centred[:, :, None] * centred[:, None] - noise[:, :, None] * noise[:, None]


@pytest.mark.parametrize("d", PLACES)
@pytest.mark.parametrize("name", ["sam", "usam", "dnsam"])
def test_mean_and_covariance_are_those_of_the_rule(name, d, blocks):
    """At a radius so small that its square is below the statistical error; the noise itself is a control variate.

    The wrong twins have no response of the perturbation to the noise: neither S~ in the covariance, nor the mean of a
    perturbation along a noisy gradient.
    """
    rule = replace(RULES[name], rho=3e-4)
    mean, covariance = derived(rule, d)
    shift, spread = beyond_noise(blocks[d], rule, d, mean)
    plain, identity = derived(PLAIN, d)[0], NOISE**2 * torch.eye(d, dtype=F64)
    assert deviations(shift, mean - plain).abs().max() < 3
    assert deviations(spread, covariance - identity).abs().max() < 3
    assert deviations(spread, 0 * identity).abs().max() > 100
    if name == "sam":
        assert deviations(shift, derived(replace(RULES["n_sam"], rho=3e-4), d)[0] - plain).abs().max() > 100


@pytest.mark.parametrize("name", ["n_sam", "n_usam"])
def test_a_perturbation_without_noise_has_the_noise_of_the_gradient(name, blocks):
    directions, noise = sampled(blocks[2], RULES[name], 2)
    mean, covariance = moments(system(RULES[name], expansion="exact"), 2, **valley(2), at=placed(2))
    assert (directions - noise - mean).abs().max() < 1e-14 and apart(covariance, NOISE**2 * torch.eye(2)) < 1e-14


@pytest.mark.parametrize("name", ["sam", "usam", "dnsam"])
def test_the_error_of_the_covariance_falls_with_the_square_of_the_radius(name, blocks):
    """The term of first order, compared with its samples above, is a control variate."""
    engine, identity = blocks[2], NOISE**2 * torch.eye(2, dtype=F64)
    errors = []
    for rho in (0.02, 0.01):
        rule = replace(RULES[name], rho=rho)
        mean = sampled(engine, rule, 2)[0].mean(0)
        spread = beyond_noise(engine, rule, 2, mean)[1].mean(0)
        loss, w, first = loss_of(engine, None, noise=NOISE), placed(2)(engine), limit_of(rule, "first")
        noisy = Shifted(loss.full, NOISE * loss.injected)
        bent = flat(first.direction(noisy, w, first.strength(loss, w, rho))) - flat(noisy.gradient(w))
        linear = (NOISE * flat(loss.injected)).T @ bent / LANES
        complete, truncated = (
            moments(system(rule, covariance=word), 2, **valley(2), at=placed(2))[1]
            for word in ("complete", "truncated")
        )
        error = spread - (complete - identity) - (linear + linear.T) + (truncated - identity)
        errors.append(float(error.norm()))
    assert abs(math.log2(errors[0] / errors[1]) - 2) < 0.15


def test_on_a_quadratic_usam_and_dnsam_are_exact_at_any_radius():
    """(I + r H) g and (I + r H)^2 s^2, by hand, with r = rho or rho / |g|."""
    eigenvalues, w = torch.tensor([3.0, -1.0], dtype=F64), torch.tensor([0.2, 0.5], dtype=F64)
    quadratic = {"model": Quadratic(spectrum=(3.0, -1.0), start=(0.2, 0.5)), "data": NoData()}
    g = eigenvalues * w
    for rule, radius in ((RULES["usam"], 0.1), (RULES["dnsam"], 0.1 / g.norm())):
        mean, covariance = moments(system(rule), 2, **quadratic)
        assert apart(mean, (1 + radius * eigenvalues) * g) < 1e-14
        assert apart(covariance, ((1 + radius * eigenvalues) * NOISE).square().diag()) < 1e-14


def test_the_sign_of_a_noisy_gradient():
    """For g = .3 and s = .6: erf(.3 / (.6 sqrt 2)) and 1 - erf^2; the sampled numbers are those of the notes."""
    quadratic = {"model": Quadratic(spectrum=(1.0,), start=(0.3,)), "data": NoData()}
    mean, covariance = moments(system(SIGN, 0.6), 1, **quadratic)
    assert abs(mean.item() - 0.38292) < 5e-6 and abs(covariance.item() - 0.85337) < 5e-6
    engine = block(LANES, **quadratic, seeds=range(LANES))
    signs = direction(SIGN, loss_of(engine, None, noise=0.6), engine.initial())
    assert deviations(signs, mean).abs().max() < 3 and deviations((signs - mean).square(), covariance[0]).abs() < 3


@pytest.mark.parametrize("rule", [RULES["sam"], RULES["dnsam"], SAM(rho=0.1, base=SIGN)], ids=["sam", "dnsam", "sign"])
def test_where_there_is_no_closed_form_the_noise_is_sampled(rule):
    """Mean and covariance of the rule's directions at the draws of the system: unbiased for any number of them."""
    d, sets = 2, 5
    made = system(rule, expansion="exact", sets=sets)
    mean, covariance = moments(made, sets, **valley(d), at=placed(d))
    found = made(block(1, **valley(d)))
    assert type(found) is SampledGaussian
    z = NOISE * found.draws.reshape(sets, d)
    engine = block(sets, **valley(d))
    w, plain = placed(d)(engine), loss_of(engine, None)

    def gradient(at):
        return flat(plain.gradient(Vector((at,)))) + z

    g, start = gradient(flat(w)), flat(w)
    length = flat(plain.gradient(w)) if isinstance(rule, DNSAM) else g
    directions = gradient(start + 0.1 * g / length.norm(dim=1, keepdim=True))
    directions = directions.sign() if rule.base is SIGN else directions
    assert apart(mean, directions.mean(0)) < 1e-13 and apart(covariance, directions.T.cov()) < 1e-12


def test_the_closed_form_is_that_of_the_first_order_only():
    assert limit_of(RULES["sam"], "first").closed and not limit_of(RULES["sam"], "exact").closed
    assert limit_of(RULES["n_sam"], "exact").closed and not limit_of(SAM(rho=0.1, base=SIGN), "first").closed
    assert type(system(RULES["usam"])(block(1, **valley(2)))) is Gaussian


# the whole training set


def whole(rule, **settings):
    """The drift at the initial point of a network, [D]."""
    return moments(system(rule, 0.0, **settings), 0)[0]


def by_autograd(function):
    """The gradient at the initial point of a function of the flat parameters and of the loss there."""
    engine = block(1)
    x = flat(engine.initial())[0].requires_grad_()
    return torch.autograd.grad(function(x), x)[0]


def loss_at(x):
    shapes = NET.shapes(DATA)
    parts = torch.split(x, [math.prod(shape) for shape in shapes])
    leaves = tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
    return NET.losses(leaves, tuple(torch.as_tensor(a) for a in DATA.draw(0))).mean()


def gradient_at(x):
    return torch.autograd.grad(loss_at(x), x, create_graph=True)[0]


MODIFIED = {
    "usam": lambda x: loss_at(x) + 0.05 * gradient_at(x).square().sum(),
    "n_usam": lambda x: loss_at(x) + 0.05 * gradient_at(x).square().sum(),
    **dict.fromkeys(("sam", "dnsam", "n_sam"), lambda x: loss_at(x) + 0.1 * gradient_at(x).norm()),
}


@pytest.mark.parametrize("name", RULES)
def test_the_flow_descends_the_modified_loss(name):
    assert apart(whole(RULES[name]), by_autograd(MODIFIED[name])) < 1e-13


@pytest.mark.parametrize("name", RULES)
def test_expansions_approach_the_rule_with_their_orders(name):
    engine = block(1)
    for expansion, order in (("first", 2), ("second", 3)):
        errors = []
        for rho in (0.02, 0.01):
            rule = replace(RULES[name], rho=rho)
            theirs = direction(rule, loss_of(engine, None), engine.initial())[0]
            assert apart(whole(rule, expansion="exact"), theirs) < 1e-14
            errors.append(float((whole(rule, expansion=expansion) - theirs).norm()))
        assert abs(math.log2(errors[0] / errors[1]) - order) < 0.05


def test_the_third_derivative_along_the_unit_gradient():
    """D3[u, u] = grad(u' H u) - 2 H (I - u u') H u / |g|, by autograd."""
    x = flat(block(1).initial())[0].requires_grad_()

    def hessian_product(x, v):
        return torch.autograd.grad(gradient_at(x) @ v, x, create_graph=True)[0]

    g = gradient_at(x)
    u = g / g.norm()
    curvature = torch.autograd.grad(u @ hessian_product(x, u), x)[0]
    bent = hessian_product(x, u.detach())
    across = (bent - (u @ bent) * u).detach()
    formula = curvature - 2 * hessian_product(x, across) / g.norm()
    engine = block(1)
    loss, w = loss_of(engine, None), engine.initial()
    assert apart(flat(loss.third(w, loss.unit(loss.gradient(w))))[0], formula.detach()) < 1e-11
    second, first = (whole(RULES["sam"], expansion=name) for name in ("second", "first"))
    assert apart(second - first, 0.005 * formula.detach()) < 1e-10


def test_at_a_critical_point_there_is_no_perturbation_and_no_nan():
    quadratic = {"model": Quadratic(spectrum=(3.0, -1.0), start=(0.0, 0.0)), "data": NoData()}
    for rule in RULES.values():
        for noise in (0.0, NOISE):
            for expansion in ("first", "second", "exact"):
                engine = block(2, **quadratic)
                found = system(rule, noise, expansion=expansion)(engine)
                dw = torch.ones(2, found.n_noises, dtype=F64) if found.n_noises else None
                assert flat(found.increment(engine.initial(), 1.0, dw)).isfinite().all()
    mean, covariance = moments(system(RULES["dnsam"]), 2, **quadratic)
    assert not mean.any() and torch.equal(covariance, NOISE**2 * torch.eye(2, dtype=F64))


def test_micro_batches_outside_the_window_are_the_base():
    rule = MSAM(rho=0.1, micro_batch_size=1, start=3, base=PLAIN)
    assert type(limit_of(rule, "first", 0)).__name__ == "SGDLimit"
    assert type(limit_of(rule, "first", 3)).__name__ == type(limit_of(rule, "first")).__name__ == "MSAMLimit"
