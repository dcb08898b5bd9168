"""train.gradient_noise on landscapes: one Z for all gradients of a step, none in full gradients and in trackers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import RULES, landscape_engine, make_landscape_run, same_bits

from featlearn.config.resolve import needs
from featlearn.data.gaussian import Gaussian
from featlearn.data.none import NoData
from featlearn.engines.loss import Loss
from featlearn.loop import MiniBatches, Stepper, make_stepper
from featlearn.models.quadratic import Quadratic
from featlearn.models.teacher_student import TeacherStudent
from featlearn.optim import DNSAM, MSAM, NSAM, SAM, SGD, USAM, ComponentSAM
from featlearn.simulation import simulate, simulate_block
from featlearn.streams.lanes import normals
from featlearn.trackers import Loss as LossTracker
from featlearn.trackers import Position, Sharpness

SPECTRUM = np.array([3.0, 0.5, -1.0])
MODEL, S, LR, RHO = Quadratic(spectrum=tuple(SPECTRUM)), 0.7, 0.1, 0.2
BASE = SGD(lr=LR)
ON_LANDSCAPES = [name for name, rule in RULES.items() if not needs(rule) & {"labels", "patches"}]


def noise(t, name="gradient noise", seed=5):
    return normals(torch.tensor([seed]), name, 3, t)[0].numpy()


def unit(u):
    return u / np.linalg.norm(u)


STEPS = {  # the gradient of step t at w, from g = H w, sZ and sZ'
    "sgd": (BASE, lambda w, g, z, other: g + z),
    "sam": (SAM(rho=RHO, base=BASE), lambda w, g, z, other: SPECTRUM * (w + RHO * unit(g + z)) + z),
    "usam": (USAM(rho=RHO, base=BASE), lambda w, g, z, other: SPECTRUM * (w + RHO * (g + z)) + z),
    "dnsam": (
        DNSAM(rho=RHO, base=BASE),
        lambda w, g, z, other: SPECTRUM * (w + RHO * (g + z) / np.linalg.norm(g)) + z,
    ),
    "n_sam": (NSAM(rho=RHO, base=BASE), lambda w, g, z, other: SPECTRUM * (w + RHO * unit(g)) + z),
    "other": (
        ComponentSAM(rho=RHO, component="other_batch", base=BASE),
        lambda w, g, z, other: SPECTRUM * (w + RHO * unit(g + other)) + z,
    ),
    "noise": (
        ComponentSAM(rho=RHO, component="noise", base=BASE),
        lambda w, g, z, other: SPECTRUM * (w + RHO * unit(z)) + z,
    ),
}


def distance(rule, gradient, seed=5):
    """The largest distance of the run from its equation over four steps."""
    run = make_landscape_run(MODEL, rule, seed=seed, train__gradient_noise=S, trackers=(Position(n_coordinates=3),))
    run = replace(run, record=replace(run.record, steps=(0, 1, 2, 3, 4)), train=replace(run.train, n_steps=4))
    found = np.stack([simulate(run).values[f"x{i}"] for i in range(3)], 1)
    w = found[0]
    errors = []
    for t in range(4):
        w = w - LR * gradient(w, SPECTRUM * w, S * noise(t), S * noise(t, "other gradient noise"))
        errors.append(np.abs(w - found[t + 1]).max())
    return max(errors)


@pytest.mark.parametrize("name", STEPS)
def test_steps_follow_their_equation(name):
    assert distance(*STEPS[name]) < 1e-13


def test_another_z_in_the_second_gradient_is_another_rule():
    """Negative controls: fresh noise in the second gradient, and noise in one of the two gradients only."""
    sam = STEPS["sam"][0]
    assert distance(sam, lambda w, g, z, other: SPECTRUM * (w + RHO * unit(g + z)) + other) > 1e-2
    assert distance(sam, lambda w, g, z, other: SPECTRUM * (w + RHO * unit(g + z))) > 1e-2
    assert distance(sam, lambda w, g, z, other: SPECTRUM * (w + RHO * unit(g)) + z) > 1e-3


def test_z_is_standard_normal_and_fresh_at_each_step():
    engine = landscape_engine(MODEL, NoData(), 0)
    engine.seeds = torch.arange(10_000)
    engine._initial = engine._initial.map(lambda leaf: leaf.expand(10_000, -1))
    loss = Loss(engine, engine.labels, step=3, gradient_noise=S)
    drawn = torch.cat([each.injected.leaves[0] for each in (loss, replace(loss, step=4), loss.other)], 1).numpy()
    assert np.abs(drawn.mean(0)).max() < 4 / 100
    assert np.abs(np.cov(drawn.T) - np.eye(9)).max() < 6 / 100


class Tilted:
    """A landscape whose own gradient has the noise of the step: the noisy loss without a field for it."""

    def __init__(self, engine, step):
        self._engine, self._z = engine, S * Loss(engine, engine.labels, step=step).injected

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def gradient(self, w, batch, labels=None):
        return self._engine.gradient(w, batch, labels) + self._z


@pytest.mark.parametrize("name", ON_LANDSCAPES)
def test_every_rule_takes_all_its_gradients_with_the_noise(name):
    """As on a loss with the linear term <s Z, w>, for the rules that ask for no full gradient and no other batch."""
    engine, rule = landscape_engine(MODEL, NoData(), 5), RULES[name]
    asked = []

    class Watched(Loss):
        full = property(lambda self: asked.append("full") or Loss.full.fget(self))
        other = property(lambda self: asked.append("other") or Loss.other.fget(self))

    w = v = engine.initial()
    memory = twin = rule.init(w)
    for t in range(7):
        w, memory = rule.step(Watched(engine, engine.labels, step=t, gradient_noise=S), w, memory, t)
        v, twin = rule.step(Loss(Tilted(engine, t), engine.labels, step=t), v, twin, t)
    assert bool(w.finite().all()) and (w.leaves[0] - engine.initial().leaves[0]).abs().max() > 1e-3
    assert asked or torch.equal(w.leaves[0], v.leaves[0])


@pytest.mark.parametrize("name", ["sam", "dnsam", "component_sam other_batch", "msam", "random_perturbation", "adam"])
def test_a_run_has_its_own_noise_alone_and_in_a_block(name):
    runs = [
        make_landscape_run(MODEL, RULES[name], seed=seed, train__gradient_noise=9.0, n_steps=6, trackers=(Position(),))
        for seed in (3, 4)
    ]
    together = simulate_block(runs)
    assert all(same_bits(simulate(run), found) for run, found in zip(runs, together, strict=True))
    silent = simulate(replace(runs[0], train=replace(runs[0].train, gradient_noise=0.0)))
    assert not same_bits(silent, together[0])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_micro_batches_have_the_z_of_their_batch(count):
    """The mean over micro-batches of gradient_b(w + rho u_b) + s Z, u_b along gradient_b(w) + s Z."""
    engine = landscape_engine(TeacherStudent(n_hidden=3), Gaussian(n_samples=6, dim=5), 0)
    loss = next(MiniBatches(engine.seeds, 6, engine.labels, gradient_noise=S).losses(engine))
    w, rule, z = engine.initial(), MSAM(rho=0.5, n_shards=count, base=BASE), S * loss.injected
    found, _ = rule.gradient(loss, w, rule.init(w), 0)
    for own, right in ((z, True), (0.0 * z, False)):
        total = 0.0 * z
        for shard in loss.order[0].chunk(count):
            batch = torch.zeros_like(engine.labels)
            batch[0, shard] = count / 6
            u = loss.unit(engine.gradient(w, batch) + own)
            total = total + engine.gradient(w + 0.5 * u, batch) + own
        pairs = zip(found.leaves, ((1 / count) * total).leaves, strict=True)
        assert all(torch.allclose(a, b, rtol=0, atol=1e-13) for a, b in pairs) == right


def test_the_full_loss_has_no_noise_and_flipped_labels_keep_it():
    engine = landscape_engine(MODEL, NoData(), 5)
    loss = Loss(engine, engine.labels, step=2, gradient_noise=S)
    w = engine.initial()
    assert torch.equal(loss.full.gradient(w).leaves[0], engine.gradient(w, engine.labels).leaves[0])
    other = loss.other
    assert not torch.equal(other.injected.leaves[0], loss.injected.leaves[0])
    engine.flipped = lambda labels, which, draws: labels
    flipped = loss.flipped(0.5)
    assert flipped.gradient_noise == S and torch.equal(flipped.injected.leaves[0], loss.injected.leaves[0])


def test_trackers_see_the_loss_without_noise():
    trackers = (LossTracker(), Sharpness(batch="batch"), Position(n_coordinates=3))
    values = simulate(make_landscape_run(MODEL, STEPS["sam"][0], train__gradient_noise=S, trackers=trackers)).values
    w = np.stack([values[f"x{i}"] for i in range(3)], 1)
    assert np.allclose(values["grad_norm"], np.linalg.norm(SPECTRUM * w, axis=1), rtol=1e-13, atol=0)
    assert np.allclose(values["train_loss"], (SPECTRUM * w**2).sum(1) / 2, rtol=1e-13, atol=0)
    assert np.allclose(values["sharpness"], 3.0, rtol=1e-13, atol=0)


@pytest.mark.parametrize("s", [0.0, S])
def test_noisy_steps_are_taken_one_by_one(s):
    """A tape holds no noise; without noise a device takes many equal steps in one call."""
    engine = landscape_engine(MODEL, NoData(), 5)
    stepper = make_stepper(engine, STEPS["sam"][0], None)
    assert type(stepper) is Stepper
    stepper._on_host = False
    state = stepper.start(Loss(engine, engine.labels, gradient_noise=s))
    assert stepper.until(state, 0, 10) == (1 if s else 10)
