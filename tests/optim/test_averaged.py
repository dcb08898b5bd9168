"""F-SAM, VaSSO and the family that contains them: against their equations, against each other, and trap 4 of F-SAM.

Trap 4: which average is subtracted, what becomes of a constant gradient, where the perturbation points on a full batch.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from equations import EVERY_SAMPLE, HEAVY, PLAIN, error, run_of, unit
from helpers import PlainNetwork, advance, drawn_batches, engine_of, full_batches, loss_on

from featlearn.engines.protocol import Loss
from featlearn.optim import EMASAM, FSAM, SAM, VaSSO

BASES = pytest.mark.parametrize("base", [PLAIN, HEAVY], ids=["plain", "heavy"])


def friendly(rho, lam, sigma):
    """The official code: subtract the old average, which starts as the first gradient; step 0 is plain SAM."""

    def equation(plain):
        average = None

        def gradient(t, w, chosen, buffer):
            nonlocal average
            g = plain.gradient(w, chosen)
            d = g if average is None else g - sigma * average
            average = g if average is None else lam * average + (1 - lam) * g
            return plain.gradient(w + rho * unit(d), chosen)

        return gradient

    return equation


def friendly_by_the_paper(rho, lam, sigma):
    """Update the average, then subtract it; it starts as the first gradient too."""

    def equation(plain):
        average = None

        def gradient(t, w, chosen, buffer):
            nonlocal average
            g = plain.gradient(w, chosen)
            if average is None:
                average, d = g, g
            else:
                average = lam * average + (1 - lam) * g
                d = g - sigma * average
            return plain.gradient(w + rho * unit(d), chosen)

        return gradient

    return equation


def suppressed(rho, theta):
    """VaSSO: the average itself."""

    def equation(plain):
        average = None

        def gradient(t, w, chosen, buffer):
            nonlocal average
            g = plain.gradient(w, chosen)
            average = g if average is None else (1 - theta) * average + theta * g
            return plain.gradient(w + rho * unit(average), chosen)

        return gradient

    return equation


@BASES
@pytest.mark.parametrize(("lam", "sigma"), [(0.9, 1.0), (0.6, 1.0), (0.6, 0.5), (0.0, 0.3)])
def test_friendly_sam_follows_the_official_code(base, lam, sigma):
    assert error(FSAM(rho=0.2, lam=lam, sigma=sigma, base=base), friendly(0.2, lam, sigma)) < 1e-12


@BASES
@pytest.mark.parametrize(("lam", "sigma"), [(0.9, 1.0), (0.6, 0.5)])
def test_friendly_sam_follows_the_paper_where_asked_to(base, lam, sigma):
    rule = FSAM(rho=0.2, lam=lam, sigma=sigma, updated=True, base=base)
    assert error(rule, friendly_by_the_paper(0.2, lam, sigma)) < 1e-12
    other = error(rule, friendly(0.2, lam, sigma))
    assert other < 1e-12 if sigma == 1 else other > 1e-4


@BASES
@pytest.mark.parametrize("theta", [0.2, 0.9, 1.0])
def test_vasso_follows_its_equation(base, theta):
    assert error(VaSSO(rho=0.2, theta=theta, base=base), suppressed(0.2, theta)) < 1e-12


def test_the_equations_detect_a_wrong_radius_lam_and_sigma():
    """Negative control."""
    rule = FSAM(rho=0.2, lam=0.6, sigma=0.5, base=PLAIN)
    assert min(error(rule, friendly(*wrong)) for wrong in [(0.21, 0.6, 0.5), (0.2, 0.4, 0.5), (0.2, 0.6, 0.6)]) > 1e-5


def end(rule, batch_size=3):
    run = run_of(rule, batch_size=batch_size)
    return advance(engine_of(run), rule, drawn_batches(run, 16)[0])[0].leaves


def same(a, b):
    return all(torch.equal(u, v) for u, v in zip(end(a), end(b), strict=True))


def near(a, b):
    return all(torch.allclose(u, v, rtol=0, atol=1e-12) for u, v in zip(end(a), end(b), strict=True))


def family(a, b, lam):
    return EMASAM(rho=0.2, batch_weight=a, ema_weight=b, lam=lam, base=HEAVY)


def test_the_family_holds_its_members():
    assert same(family(1.0, 0.0, 0.7), SAM(rho=0.2, base=HEAVY))
    assert same(family(0.4, 1 - 0.4, 1 - 0.4), VaSSO(rho=0.2, theta=0.4, base=HEAVY))
    assert same(family(1.0, -0.8, 0.7), FSAM(rho=0.2, sigma=0.8, lam=0.7, base=HEAVY))
    assert not near(family(1.0, -0.8, 0.7), FSAM(rho=0.2, sigma=0.8, lam=0.6, base=HEAVY))


def test_at_their_ends_the_members_are_sam():
    sam = SAM(rho=0.2, base=HEAVY)
    assert same(VaSSO(rho=0.2, theta=1.0, base=HEAVY), sam)
    assert same(FSAM(rho=0.2, sigma=0.0, base=HEAVY), sam)
    assert not near(FSAM(rho=0.2, sigma=0.1, base=HEAVY), sam)


def test_the_two_conventions_are_one_at_another_sigma():
    """sigma' = sigma lam / (1 - sigma (1 - lam)): the same at sigma = 1, else not."""
    for sigma, lam in ((1.0, 0.9), (0.7, 0.6), (0.3, 0.95)):
        paper = FSAM(rho=0.2, sigma=sigma, lam=lam, updated=True, base=HEAVY)
        assert near(paper, FSAM(rho=0.2, sigma=sigma * lam / (1 - sigma * (1 - lam)), lam=lam, base=HEAVY))
        assert near(paper, replace(paper, updated=False)) == (sigma == 1.0)


def perturbations(rule, losses, w):
    """eps on each of the losses, the point held fixed."""
    memory = rule.init(w)
    for t, loss in enumerate(losses):
        eps, own = rule.perturbation(loss, w, memory, t)
        memory = memory._replace(own=own)
        yield eps


class Shaky(Loss):
    """A gradient that is constant except for its last digits."""

    def gradient(self, w):
        return (1 + 1e-12 * math.cos(self.step)) * super().gradient(w)


@pytest.mark.parametrize("kind", [Loss, Shaky])
def test_a_constant_gradient_leaves_no_perturbation(kind):
    """After the first step g - m is rounding error, and must not be scaled to the radius."""
    rule = FSAM(rho=0.2, lam=0.7, base=PLAIN)
    engine = engine_of(run_of(rule))
    w, batches = engine.initial(), full_batches(engine, 20)
    losses = [kind(engine, batch, step=t) for t, batch in enumerate(batches)]
    first, *rest = perturbations(rule, losses, w)
    assert engine.inner(first, first).sqrt().item() == pytest.approx(0.2, rel=1e-12)
    assert not any(leaf.any() for eps in rest for leaf in eps.leaves)
    stretched = losses[0].unit(losses[0].gradient(w) - losses[1].gradient(w))
    assert engine.inner(stretched, stretched).item() == pytest.approx(1.0 if kind is Shaky else 0.0)


def test_on_the_full_batch_it_points_downhill_at_full_radius():
    """g - m is about -lr / (1 - lam) H g, on a smooth network along which the gradient falls."""
    rule = FSAM(rho=0.01, base=PLAIN)
    run = run_of(rule, batch_size=8, network__activation="softplus", network__init_std=0.2)
    engine = engine_of(run)
    batch = full_batches(engine, 1)[0]
    w, memory = advance(engine, rule, [batch] * 60)
    eps, _ = rule.perturbation(loss_on(engine, batch), w, memory, 60)
    g = engine.gradient(w, batch)
    assert engine.inner(eps, eps).sqrt().item() == pytest.approx(0.01, rel=1e-10)
    cosine = engine.inner(eps, g) / (engine.inner(eps, eps) * engine.inner(g, g)).sqrt()
    assert cosine.item() < -0.5
    uphill, _ = VaSSO(rho=0.01, theta=0.5, base=PLAIN).perturbation(loss_on(engine, batch), w, memory, 60)
    assert engine.inner(uphill, g) > 0


def test_the_full_gradient_is_removed_on_average():
    """It is not where the average is that of the difference, as in a public port."""
    rule = FSAM(rho=1.0, lam=0.98, base=PLAIN)
    run = run_of(rule)
    plain, (_, samples) = PlainNetwork(run), drawn_batches(run, 300)
    full = unit(plain.gradient(plain.start, EVERY_SAMPLE))
    gradients = {chosen: plain.gradient(plain.start, chosen) for chosen in set(map(tuple, samples))}
    right, wrong, cosines = None, None, {"right": [], "wrong": []}
    for chosen in map(tuple, samples):
        g = gradients[chosen]
        for kind, average in (("right", right), ("wrong", wrong)):
            cosines[kind].append(0.0 if average is None else (unit(g - average) * full).sum())
        left = g if wrong is None else g - wrong
        right = g if right is None else 0.98 * right + 0.02 * g
        wrong = left if wrong is None else 0.98 * wrong + 0.02 * left
    engine = engine_of(run)
    losses = [loss_on(engine, batch, t) for t, batch in enumerate(drawn_batches(run, 300)[0])]
    direction = losses[0].unit(losses[0].full.gradient(engine.initial()))
    steps = perturbations(rule, losses, engine.initial())
    ours = [engine.inner(eps, direction).item() for eps in steps]
    assert ours[1:] == pytest.approx(cosines["right"][1:], abs=1e-10)
    assert abs(np.mean(ours[100:])) < 0.05 < 0.2 < np.mean(cosines["wrong"][100:])
