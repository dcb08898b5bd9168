"""GSAM, LookSAM and WSAM, which combine the gradients at w and at SAM's point: against their equations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from equations import HEAVY, PLAIN, error, length, run_of, unit
from helpers import PlainNetwork, advance, drawn_batches, engine_of, explicit, loss_on

from featlearn.engines.protocol import Loss
from featlearn.optim import GSAM, SAM, WSAM, LookSAM
from featlearn.optim.schedules import StepDecay

BASES = pytest.mark.parametrize("base", [PLAIN, HEAVY], ids=["plain", "heavy"])
RHO = 0.2


def both(plain, w, chosen):
    g = plain.gradient(w, chosen)
    return g, plain.gradient(w + RHO * unit(g), chosen)


def surrogate_gap(alpha):
    def equation(plain):
        def gradient(t, w, chosen, buffer):
            g, s = both(plain, w, chosen)
            return s - alpha * (g - (g * unit(s)).sum() * unit(s))

        return gradient

    return equation


def weighted(gamma, decoupled):
    """dlrover's code: the sharpness is in the base's gradient, or follows its step at the learning rate."""

    def equation(plain):
        def gradient(t, w, chosen, buffer):
            g, s = both(plain, w, chosen)
            sharpness = gamma / (1 - gamma) * (s - g)
            return (g, sharpness) if decoupled else g + sharpness

        return gradient

    return equation


def looking(k, alpha, start=0):
    """Every k-th step from the start on is SAM's; it stores the component added orthogonally to the gradient."""

    def equation(plain):
        kept = None

        def gradient(t, w, chosen, buffer):
            nonlocal kept
            if t < start:
                return plain.gradient(w, chosen)
            if (t - start) % k:
                g = plain.gradient(w, chosen)
                return g + alpha * length(g) / length(kept) * kept
            g, s = both(plain, w, chosen)
            kept = s - (s * unit(g)).sum() * unit(g)
            return s

        return gradient

    return equation


@BASES
@pytest.mark.parametrize("alpha", [0.0, 0.4, 2.0])
def test_gsam_follows_its_equation(base, alpha):
    rule = GSAM(rho=RHO, alpha=alpha, base=base)
    assert error(rule, surrogate_gap(alpha)) < 1e-12 < 1e-5 < error(rule, surrogate_gap(alpha + 0.1))


@BASES
@pytest.mark.parametrize("decoupled", [True, False])
@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("engine", ["gram", "weights"])
def test_wsam_follows_its_equation(base, gamma, decoupled, engine):
    """With momentum and decay, which do not affect the decoupled sharpness, the default."""
    rule = WSAM(rho=RHO, gamma=gamma, base=base, **({} if decoupled else {"decoupled": False}))
    assert error(rule, weighted(gamma, decoupled), engine=engine) < 1e-12
    assert error(rule, weighted(gamma + 0.05, decoupled), engine=engine) > 1e-4
    other = error(rule, weighted(gamma, not decoupled), engine=engine)
    assert other > 1e-4 if gamma and base.momentum else other < 1e-12


def test_the_decoupled_sharpness_follows_the_rate():
    """By hand over a rate that falls: w - lr_t (buffer + sharpness), within a window of steps."""
    falls = StepDecay(every=4, gamma=0.3)
    rule = WSAM(rho=RHO, gamma=0.8, start=2, base=replace(HEAVY, lr_schedule=falls))
    run = run_of(rule)
    plain, (batches, samples) = PlainNetwork(run), drawn_batches(run, 12)
    w, buffer = plain.start, 0 * plain.start
    for t, chosen in enumerate(samples):
        g, s = both(plain, w, chosen)
        buffer = 0.9 * buffer + g + 0.05 * w
        w = w - 0.05 * falls.factor(t) * (buffer + (4 * (s - g) if t >= 2 else 0))
    assert np.abs(explicit(advance(engine_of(run), rule, batches)[0], plain) - w).max() < 1e-12


def test_a_base_without_a_rate_is_refused_where_the_sharpness_needs_one():
    class Rateless:
        """A step without a ``rate`` method."""

    with pytest.raises(ValueError, match=r"decoupled: Rateless has no rate\(t\)"):
        WSAM(rho=RHO, gamma=0.5, base=Rateless())
    assert WSAM(rho=RHO, gamma=0.5, decoupled=False, base=Rateless()).weight == 1


@BASES
@pytest.mark.parametrize(("k", "start"), [(1, 0), (2, 0), (5, 0), (3, 4)])
def test_looksam_follows_its_equation(base, k, start):
    """With a momentum base too, and its steps counted from the start of the window (trap 10)."""
    rule = LookSAM(rho=RHO, k=k, alpha=0.5, start=start, base=base)
    assert error(rule, looking(k, 0.5, start), seed=1) < 1e-12
    assert error(rule, looking(k + 1, 0.5, start), seed=1) > 1e-4
    if start:
        assert error(rule, looking(k, 0.5, start - 1), seed=1) > 1e-4


def test_looksam_takes_the_second_gradient_in_every_kth_step_of_its_window():
    class Counted(Loss):
        def gradient(self, w):
            taken.append(self.step)
            return super().gradient(w)

    taken = []
    rule = LookSAM(rho=RHO, k=3, alpha=0.5, start=2, stop=10, base=HEAVY)
    run = run_of(rule)
    engine, (batches, _) = engine_of(run), drawn_batches(run, 12)
    w, memory = engine.initial(), rule.init(engine.initial())
    for t, batch in enumerate(batches):
        w, memory = rule.step(Counted(**vars(loss_on(engine, batch, t))), w, memory, t)
    assert [taken.count(t) for t in range(12)] == [1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1]


def end(rule):
    run = run_of(rule)
    return advance(engine_of(run), rule, drawn_batches(run, 12)[0])[0].leaves


def test_at_their_ends_they_are_sam_or_the_base():
    sam, base = end(SAM(rho=RHO, base=HEAVY)), end(HEAVY)
    looksam = LookSAM(rho=RHO, k=1, alpha=0.5, base=HEAVY)
    none = [WSAM(rho=RHO, gamma=0.0, decoupled=decoupled, base=HEAVY) for decoupled in (True, False)]
    exact = [(GSAM(rho=RHO, alpha=0.0, base=HEAVY), sam), (looksam, sam), *((rule, base) for rule in none)]
    assert all(torch.equal(a, b) for rule, other in exact for a, b in zip(end(rule), other, strict=True))
    half = end(WSAM(rho=RHO, gamma=0.5, decoupled=False, base=HEAVY))
    assert all(torch.allclose(a, b, rtol=0, atol=1e-13) for a, b in zip(half, sam, strict=True))
    assert not any(torch.allclose(a, b) for a, b in zip(end(replace(looksam, k=2))[1:], sam[1:], strict=True))
