"""DNSAM, n-SAM and the components of F-SAM's study, which use the full gradient: against their equations."""

import numpy as np
import pytest
import torch
from equations import EVERY_SAMPLE, HEAVY, PLAIN, error, length, run_of, unit
from helpers import PlainNetwork, drawn_batches, engine_of, explicit, loss_on

from featlearn.optim import DNSAM, NSAM, SGD, ComponentSAM
from featlearn.streams.lanes import permutations

BASES = pytest.mark.parametrize("base", [PLAIN, HEAVY], ids=["plain", "heavy"])


def along(direction):
    """The gradient at w + eps, eps = direction(plain, t, w, chosen)."""

    def equation(plain):
        return lambda t, w, chosen, buffer: plain.gradient(w + direction(plain, t, w, chosen), chosen)

    return equation


def normalized_by_the_full_gradient(plain, t, w, chosen):
    return 0.2 * plain.gradient(w, chosen) / length(plain.gradient(w, EVERY_SAMPLE))


def full(plain, t, w, chosen):
    return 0.2 * unit(plain.gradient(w, EVERY_SAMPLE))


def noise(plain, t, w, chosen):
    return 0.2 * unit(plain.gradient(w, chosen) - plain.gradient(w, EVERY_SAMPLE))


def orthogonal(plain, t, w, chosen):
    g, f = plain.gradient(w, chosen), unit(plain.gradient(w, EVERY_SAMPLE))
    return 0.2 * unit(g - (g * f).sum() * f)


def other_batch(plain, t, w, chosen):
    """Drawn from a stream of the run (seed 0) that the step determines."""
    drawn = permutations(torch.tensor([0]), "other batch", 8, t)[0, : len(chosen)].tolist()
    return 0.2 * unit(plain.gradient(w, drawn))


COMPONENTS = {"full": full, "noise": noise, "orthogonal": orthogonal, "other_batch": other_batch}


@BASES
def test_dnsam_follows_its_equation(base):
    assert error(DNSAM(rho=0.2, base=base), along(normalized_by_the_full_gradient)) < 1e-12


@BASES
def test_n_sam_follows_its_equation(base):
    assert error(NSAM(rho=0.2, base=base), along(full)) < 1e-12


@BASES
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_follows_its_equation(component, base):
    rule = ComponentSAM(rho=0.2, component=component, base=base)
    assert error(rule, along(COMPONENTS[component])) < 1e-12
    others = [direction for name, direction in COMPONENTS.items() if name != component]
    assert min(error(rule, along(direction)) for direction in others) > 1e-4  # negative control


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_has_the_same_radius(component):
    rule = ComponentSAM(rho=0.2, component=component, base=PLAIN)
    run = run_of(rule)
    engine, (batches, _) = engine_of(run), drawn_batches(run, 2)
    w = engine.initial()
    eps, _ = rule.perturbation(loss_on(engine, batches[1], 1), w, rule.init(w), 1)
    assert engine.inner(eps, eps).sqrt().item() == pytest.approx(0.2, rel=1e-10)
    full_gradient = engine.gradient(w, batches[1] * 0 + 1 / 8)
    uphill = engine.inner(eps, full_gradient).item()
    if component == "orthogonal":
        assert uphill == pytest.approx(0, abs=1e-14)
    else:
        assert abs(uphill) > 1e-3


def test_the_length_of_dnsam_is_that_of_the_batch_gradient_over_the_full_one():
    rule = DNSAM(rho=0.2, base=SGD(lr=0.1))
    run = run_of(rule)
    engine, plain, (batches, samples) = engine_of(run), PlainNetwork(run), drawn_batches(run, 4)
    w = engine.initial()
    whole = length(plain.gradient(plain.start, EVERY_SAMPLE))
    for batch, chosen in zip(batches, samples, strict=True):
        eps = explicit(rule.probe(loss_on(engine, batch), w, rule.init(w), 0) - w, plain)
        ratio = length(plain.gradient(plain.start, chosen)) / whole
        assert abs(ratio - 1) > 0.01
        assert np.linalg.norm(eps) == pytest.approx(0.2 * ratio, rel=1e-10)
