"""SAMPa against its equations, and trap 5: it perturbs at lam = 0."""

import numpy as np
import pytest
from equations import HEAVY, PLAIN, run_of, unit
from helpers import PlainNetwork, advance, drawn_batches, engine_of, explicit, full_batches, loss_on

from featlearn.optim import SAM, SAMPa

N_STEPS = 12


def by_the_equations(rule, plain, samples, *, late=True):
    """x and y as in the paper; with momentum y is where the base would go with grad(y)."""

    def move(x, buffer, g):
        buffer = rule.base.momentum * buffer + g + rule.base.weight_decay * x
        return x - rule.base.lr * buffer, buffer

    x, buffer, previous = plain.start, 0 * plain.start, samples[0]
    at_y = plain.gradient(x, previous)
    for chosen in samples:
        perturbed = plain.gradient(x + rule.rho * unit(at_y), previous if late else chosen)
        y, _ = move(x, buffer, at_y)
        at_y = plain.gradient(y, chosen)
        x, buffer = move(x, buffer, (1 - rule.lam) * perturbed + rule.lam * at_y)
        previous = chosen
    return x


@pytest.mark.parametrize("base", [PLAIN, HEAVY], ids=["plain", "heavy"])
@pytest.mark.parametrize("lam", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("engine", ["gram", "weights"])
def test_steps_follow_the_equations(base, lam, engine):
    rule = SAMPa(rho=0.2, lam=lam, base=base)
    run = run_of(rule, engine=engine)
    plain, (batches, samples) = PlainNetwork(run), drawn_batches(run, N_STEPS)
    ours = explicit(advance(engine_of(run), rule, batches)[0], plain)
    assert np.abs(ours - by_the_equations(rule, plain, samples)).max() < 1e-12
    punctual = by_the_equations(rule, plain, samples, late=False)  # negative control: all on the step's own batch
    assert np.abs(ours - punctual).max() > 1e-4 or lam == 1.0


@pytest.mark.parametrize("lam", [0.0, 0.2, 1.0])
def test_the_perturbation_has_the_radius_at_every_lam(lam):
    rule = SAMPa(rho=0.3, lam=lam, base=HEAVY)
    run = run_of(rule)
    engine, (batches, _) = engine_of(run), drawn_batches(run, 6)
    w, memory = engine.initial(), rule.init(engine.initial())
    for t, batch in enumerate(batches):
        loss = loss_on(engine, batch, t)
        eps = rule.probe(loss, w, memory, t) - w
        assert engine.inner(eps, eps).sqrt().item() == pytest.approx(0.3, rel=1e-10)
        w, memory = rule.step(loss, w, memory, t)


def test_the_first_step_on_the_full_batch_without_lam_is_sam():
    rule = SAMPa(rho=0.3, lam=0.0, base=PLAIN)
    engine = engine_of(run_of(rule, batch_size=8))
    sam = SAM(rho=0.3, base=PLAIN)
    for n_steps, equal in ((1, True), (2, False)):
        batches = full_batches(engine, n_steps)
        apart = advance(engine, rule, batches)[0] - advance(engine, sam, batches)[0]
        assert (engine.inner(apart, apart).item() < 1e-20) == equal
