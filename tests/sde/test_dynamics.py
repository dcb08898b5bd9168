"""Flows and SDEs in the loop: beside the rule, and in their limits. In both engines and in blocks: test_blocks.py."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from helpers import same_bits
from sde_laws import DATA, F64, NET, block, first_system, flat, limit, loss_of
from sde_paths import BASE, CURVED, NOISY_SAM, QUADRATIC, RULES, mini_batches, path, points

from featlearn.config.resolve import needs
from featlearn.models.quadratic import Quadratic
from featlearn.models.two_valleys import TwoValleys
from featlearn.optim import DNSAM, NSAM, NUSAM, SAM, SGD, USAM, SignSGD
from featlearn.optim.answers import AnswerError
from featlearn.optim.schedules import Cosine, FollowLR
from featlearn.simulation import simulate, simulate_block, simulate_seeds

# beside the rule


@pytest.mark.parametrize("rule", [BASE, USAM(rho=0.3, base=BASE)], ids=["sgd", "usam"])
def test_one_euler_step_of_the_length_of_a_step_is_the_rule(rule):
    """On a quadratic with Gaussian noise, to rounding: so it tests no continuous limit. Smaller steps differ."""
    theirs = points(path(QUADRATIC, rule, noise=0.2, n_steps=40))
    ours, fine = (points(path(QUADRATIC, limit(rule, substeps=k), noise=0.2, n_steps=40)) for k in (1, 8))
    assert np.abs(ours - theirs).max() < 1e-13 and 1e-3 < np.abs(fine - theirs).max() < 0.3


@pytest.mark.parametrize("dynamics", ["flow", "sde"])
def test_a_seed_has_the_initial_point_of_its_rule(dynamics):
    for network, data in ((Quadratic(), None), (NET, DATA)):
        starts = [
            points(path(network, rule, 1, data=data, seed=5))[0] for rule in (BASE, limit(BASE, dynamics, substeps=1))
        ]
        assert np.array_equal(*starts)


@pytest.mark.parametrize("rule", [USAM(rho=0.1, base=BASE), SAM(rho=0.1, base=BASE), DNSAM(rho=0.1, base=BASE)])
def test_a_flow_and_its_rule_meet_as_the_learning_rate_falls(rule):
    """At a fixed time, with an error proportional to it."""
    errors = []
    for halvings in (0, 1, 2):
        lr, n_steps = 0.05 / 2**halvings, 5 * 2**halvings
        one = replace(rule, base=SGD(lr=lr))
        flow = limit(one, "flow", expansion="exact", integrator="rk4", substeps=1)
        errors.append(np.abs(points(path(CURVED, flow, n_steps))[-1] - points(path(CURVED, one, n_steps))[-1]).max())
    assert np.abs(np.log2(np.array(errors[:-1]) / errors[1:]) - 1).max() < 0.1


@pytest.mark.parametrize("cls", [SAM, USAM, DNSAM, NSAM, NUSAM])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_as_the_radius_falls_the_sde_is_that_of_gradient_descent(cls, noise):
    """Path by path, with a difference proportional to the radius, and none at 0."""
    plain = points(path(CURVED, limit(BASE, substeps=2), 4, noise=noise))
    rules = [limit(cls(rho=rho, base=BASE), substeps=2) for rho in (2e-4, 1e-4, 0.0)]
    found = [points(path(CURVED, rule, 4, noise=noise)) for rule in rules]
    apart = [np.abs(each - plain).max() for each in found]
    assert abs(apart[0] / apart[1] - 2) < 0.02 and apart[2] < 1e-15


@pytest.mark.parametrize(("integrator", "order"), [("euler_maruyama", 1), ("rk4", 4), ("strang", 4), ("platen", 2)])
def test_more_substeps_approach_the_flow_with_the_order_of_the_integrator(integrator, order):
    rule = SAM(rho=0.1, base=SGD(lr=0.4))
    exact, *ends = (
        points(path(CURVED, limit(rule, "flow", integrator=name, substeps=k), n_steps=1))[-1]
        for name, k in (("rk4", 64), (integrator, 2), (integrator, 4), (integrator, 8))
    )
    errors = np.array([np.abs(end - exact).max() for end in ends])
    assert np.abs(np.log2(errors[:-1] / errors[1:]) - order).max() < 0.2


# how a path ends, and what is recorded


def saddle(start, **settings):
    rule = limit(USAM(rho=0.3, base=SGD(lr=0.1)), covariance="truncated", substeps=2, **settings)
    run = path(Quadratic(spectrum=(1.0, -2.0), start=start), rule, 8, noise=0.1)
    return replace(run, train=replace(run.train, stop_at_train_loss=-0.5))


def test_projected_covariances_are_counted_to_the_end_of_a_run():
    """Two a step, where rho lam < -1/2; not after a run has stopped, while its neighbours go on."""
    runs = [saddle((0.1, 0.6)), saddle((2.0, 0.1))]
    stopped, going = simulate_block(runs)
    assert (stopped.status, going.status) == ("fitted", "ok") and 0 < stopped.stopped_step < 6
    for each in (stopped, going):
        assert each.values["projected_covariances"].tolist() == [2.0 * step for step in each.steps]
    assert same_bits(simulate(runs[0]), stopped)
    seldom = replace(runs[0].record, steps=(0, 8))
    end = simulate_block([replace(run, record=seldom) for run in runs])[0].values["projected_covariances"]
    assert end.tolist() == [0.0, 2.0 * stopped.stopped_step]
    flat_rule = limit(USAM(rho=0.2, base=SGD(lr=0.1)), covariance="truncated")
    none = simulate(path(Quadratic(spectrum=(1.0, -2.0), start=(0.1, 0.6)), flat_rule, noise=0.1))
    assert not none.values["projected_covariances"].any()
    assert "projected_covariances" not in simulate(path(CURVED, NOISY_SAM, noise=0.1)).values


KINDS = [{}, {"dynamics": "flow"}, {"covariance": "truncated"}]
WILD = [(cls, kind, integrator) for cls in (SAM, USAM, DNSAM) for kind in KINDS for integrator in ("strang", "platen")]
WILD += [(SAM, {}, "euler_maruyama"), (SAM, {}, "rk4"), (SAM, {"expansion": "exact"}, "euler_maruyama")]


@pytest.mark.parametrize(("cls", "settings", "integrator"), WILD)
def test_a_path_that_overflows_has_diverged(cls, settings, integrator):
    rule = limit(cls(rho=0.1, base=SGD(lr=5.0)), **{"substeps": 2, "integrator": integrator, **settings})
    found = simulate(path(TwoValleys(n_transverse=1, x=3.0), rule, 30, noise=0.3))
    assert found.status == "diverged" and all(np.isfinite(column).all() for column in found.values.values())


def test_mini_batches_without_an_active_filter_have_no_perturbation():
    """A dead ReLU network: no gradient on any mini-batch, and no NaN."""
    for name, rule in RULES.items():
        run = mini_batches(
            limit(rule, sets=2, substeps=1), n_steps=2, network__activation="relu", network__init_std=0.0
        )
        assert np.isfinite(simulate(run).values["train_loss"]).all(), name


def test_the_window_and_the_schedules_are_those_of_the_rule():
    """Before and after the window the path is that of the base; within it the radius and the rate are scheduled."""
    base = SGD(lr=0.1, lr_schedule=Cosine(steps=12, warmup=2))
    rule = SAM(rho=0.3, rho_schedule=FollowLR(), start=4, stop=8, base=base)
    found, plain = (points(path(CURVED, limit(r, "flow", substeps=1), 12)) for r in (rule, base))
    assert np.array_equal(found[:5], plain[:5]) and np.abs(found[5] - plain[5]).max() > 1e-4
    exact = points(path(CURVED, limit(rule, "flow", substeps=1, expansion="exact"), 12))
    assert np.abs(exact - points(path(CURVED, rule, 12))).max() < 1e-15  # one Euler step without noise is the rule's


def test_trackers_see_the_probe_the_radius_and_the_rate_of_the_rule():
    rule = SAM(rho=0.3, start=2, base=SGD(lr=0.1, lr_schedule=Cosine(steps=9)))
    ours = limit(rule)
    assert [ours.active(t) for t in (1, 2)] == [False, True]
    assert (ours.radius(3), ours.rate(3)) == (rule.radius(3), rule.base.rate(3)) and ours.edge == rule.edge
    engine = block(1)
    loss, w = loss_of(engine, torch.tensor([[1, 3]])), engine.initial()
    assert torch.equal(flat(ours.probe(loss, w, None, 2)), flat(rule.probe(loss, w, rule.init(w), 2)))
    assert needs(limit(SAM(rho=0.1, base=SignSGD(lr=0.1)))) == {"coordinates"}
    assert needs(limit(BASE)) == set() and needs(limit(BASE, expansion="second")) == {"coordinates"}


# a drift and a diffusion of one's own


@dataclass(frozen=True, kw_only=True)
class OrnsteinUhlenbeck:
    """dX = -theta X dt + sigma dW."""

    lr: float = 0.1
    theta: float = 2.0
    sigma: float = 0.5

    def drift(self, loss, w, t):
        return -self.theta * w

    def diffusion(self, loss, w, z, t):
        return self.sigma * z


def test_an_own_process_has_its_stationary_variance():
    """Of Euler's scheme with the step h = lr / k: sigma^2 h / (1 - (1 - theta h)^2)."""
    run = path(Quadratic(spectrum=(1.0, 1.0), start=(0.0, 0.0)), limit(OrnsteinUhlenbeck(), substeps=2), 40)
    run = replace(run, record=replace(run.record, steps=(0, 40)))
    found = simulate_seeds(run, range(4000))
    ends = np.concatenate([found["x0"][:, -1], found["x1"][:, -1]])
    variance = 0.25 * 0.05 / (1 - 0.9**2)
    squares = ends**2
    assert abs(squares.mean() - variance) < 3 * squares.std() / math.sqrt(len(ends))
    assert abs(variance - 0.25 / 4) > 3 * squares.std() / math.sqrt(len(ends))  # what the process itself has


def test_time_is_lr_for_a_step():
    loss = loss_of(block(1), None)
    system = first_system(limit(OrnsteinUhlenbeck(lr=0.2)), loss)
    w, dw = loss.engine.initial(), torch.ones(1, 7, dtype=F64)
    assert torch.allclose(flat(system.increment(w, 0.5, None)), -0.2 * flat(w), rtol=1e-15, atol=0)
    noise = flat(system.increment(w, 0.0, dw))
    assert torch.allclose(noise, torch.full_like(noise, 0.5 * math.sqrt(0.2)), rtol=1e-15, atol=0)


def flattened(w):
    return w.map(lambda leaf: leaf[:, :1])


WRONG = [
    ("drift", lambda w: 1.0, "a Vector a combination of the parameters and their gradients; found float"),
    ("drift", lambda w: w.leaves[0], r"a Vector a combination of .*; found Tensor of shape \(\d+, 2\)"),
    ("drift", flattened, r"a Vector with parts of shape \[\(\d+, 2\)\]; found \[\(\d+, 1\)\]"),
    ("diffusion", lambda w: 1.0, "a Vector a combination of .*; found float"),
    ("diffusion", lambda w: None, "a Vector a combination of .*; found NoneType"),
    ("diffusion", flattened, r"a Vector with parts of shape .*; found \[\(\d+, 1\)\]"),
    ("rate", lambda t: "0.1", "a number; found str"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_a_wrong_answer_names_the_method(name, answer, message):
    """With its file and line; a number would be broadcast, and a shape fail in code that its author did not write."""

    class Wrong(OrnsteinUhlenbeck):
        def drift(self, loss, w, t):
            return answer(w) if name == "drift" else super().drift(loss, w, t)

        def diffusion(self, loss, w, z, t):
            return answer(z) if name == "diffusion" else z

        def rate(self, t):
            return answer(t) if name == "rate" else self.lr

    with pytest.raises(AnswerError, match=rf"Wrong\.{name} must return {message}") as caught:
        simulate(path(QUADRATIC, limit(Wrong()), 1))
    method = getattr(Wrong, name).__code__
    assert caught.value.place == (__file__, method.co_firstlineno)
