"""SAM against the equations in d dimensions, its limits, and the traps of shared/reference/sam_family.md."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import (
    QUICK_TRACKERS,
    PlainNetwork,
    advance,
    drawn_batches,
    engine_of,
    explicit,
    full_batches,
    make_run,
    same_bits,
)

from featlearn.engines.protocol import Loss
from featlearn.optim import SAM, SGD
from featlearn.optim.wrapper import Memory
from featlearn.runs import Record, Train
from featlearn.simulation import simulate_block
from featlearn.trackers import Decomposition

BASES = [
    SGD(lr=0.1),
    SGD(lr=0.05, momentum=0.9),
    SGD(lr=0.05, momentum=0.9, weight_decay=0.05),
    SGD(lr=0.05, momentum=0.8, nesterov=True, weight_decay=0.05),
]
EVERY_BASE = pytest.mark.parametrize("base", BASES, ids=repr)
ENGINES = pytest.mark.parametrize("engine", ["gram", "weights"])


def run_of(rule, engine="gram", batch_size=3, **changes):
    parts = {"data__n_patches": 3, "data__flip_prob": 0.2, "network__bias": True, **changes}
    return make_run(rule, engine=engine, train__batch_size=batch_size, **parts)


def equal(u, v):
    return all(torch.equal(a, b) for a, b in zip(u.leaves, v.leaves, strict=True))


def by_the_equations(rule, plain, samples, decay_in_perturbation=False):
    """The weights after a step on each of the batches: SAM in its window, with its base's equations throughout."""
    base, w, v = rule.base, plain.start, 0.0
    for t, chosen in enumerate(samples):
        at = w
        if rule.start <= t and (rule.stop is None or t < rule.stop):
            g = plain.gradient(w, chosen) + decay_in_perturbation * base.weight_decay * w
            at = w + rule.rho * g / math.sqrt((g * g).sum())
        g = plain.gradient(at, chosen) + base.weight_decay * w
        v = base.momentum * v + g
        w = w - base.lr * (g + base.momentum * v if base.nesterov else v)
    return w


@EVERY_BASE
@ENGINES
@pytest.mark.parametrize("window", [(0, None), (4, 12), (0, 10), (15, None)])
def test_steps_follow_the_equations(base, engine, window):
    rule = SAM(rho=0.2, start=window[0], stop=window[1], base=base)
    run = run_of(rule, engine)
    plain, (batches, samples) = PlainNetwork(run), drawn_batches(run, 20)
    end, _ = advance(engine_of(run), rule, batches)
    assert np.abs(explicit(end, plain) - by_the_equations(rule, plain, samples)).max() < 1e-12


def test_the_equations_detect_a_wrong_window_and_decay():
    """Negative controls: a window off by one step, and decay that enters the perturbation, are detected at once."""
    rule = SAM(rho=0.2, start=4, stop=12, base=BASES[2])
    run = run_of(rule)
    plain, (batches, samples) = PlainNetwork(run), drawn_batches(run, 20)
    ours = explicit(advance(engine_of(run), rule, batches)[0], plain)
    late, long = replace(rule, start=5), replace(rule, stop=13)
    wrong = [by_the_equations(twin, plain, samples) for twin in (late, long)]
    wrong.append(by_the_equations(rule, plain, samples, decay_in_perturbation=True))
    assert all(np.abs(ours - twin).max() > 1e-6 for twin in wrong)


@EVERY_BASE
@ENGINES
@pytest.mark.parametrize("window", [(0, None), (3, 9)])
def test_radius_zero_is_the_base_bit_for_bit(base, engine, window):
    run = run_of(base, engine)
    built, (batches, _) = engine_of(run), drawn_batches(run, 30)
    for rho in (0.0, torch.zeros(1, dtype=torch.float64)):
        rule = SAM(rho=rho, start=window[0], stop=window[1], base=base)
        assert equal(advance(built, rule, batches)[0], advance(built, base, batches)[0])


@EVERY_BASE
def test_radius_zero_is_the_base_in_the_loop(base):
    """Also among SAM runs of one block: the rows are those of SGD, bit for bit."""
    run = run_of(base, record__trackers=QUICK_TRACKERS)
    (plain,) = simulate_block([run])
    blocked = simulate_block([replace(run, optimizer=SAM(rho=rho, base=base)) for rho in (0.2, 0.0, 0.1)])
    assert same_bits(replace(blocked[1], run=run), plain)
    assert not same_bits(replace(blocked[0], run=run), plain)


@EVERY_BASE
@ENGINES
def test_outside_the_window_it_is_the_base(base, engine):
    run = run_of(base, engine)
    built, (batches, _) = engine_of(run), drawn_batches(run, 20)
    plain, _ = advance(built, base, batches)
    for start, stop in ((20, None), (20, 21), (50, 60)):
        rule = SAM(rho=0.3, start=start, stop=stop, base=base)
        assert equal(advance(built, rule, batches)[0], plain), (start, stop)
    assert not equal(advance(built, SAM(rho=0.3, start=19, base=base), batches)[0], plain)
    assert not equal(advance(built, SAM(rho=0.3, stop=1, base=base), batches)[0], plain)


@EVERY_BASE
@ENGINES
def test_switching_keeps_the_momentum(base, engine):
    """SAM until step 10, then its base, is SAM(stop=10); a new base at step 10 would lose the buffer."""
    run = run_of(base, engine)
    built, (batches, _) = engine_of(run), drawn_batches(run, 20)
    sam = SAM(rho=0.2, base=base)
    w, memory = advance(built, sam, batches[:10])
    by_hand, _ = advance(built, base, batches[10:], w, memory.base, 10)
    switched, _ = advance(built, replace(sam, stop=10), batches)
    assert equal(switched, by_hand)
    fresh, _ = advance(built, base, batches[10:], w, None, 10)
    assert equal(switched, fresh) == (base.momentum == 0)


@EVERY_BASE
@ENGINES
def test_switching_on_keeps_the_momentum(base, engine):
    run = run_of(base, engine)
    built, (batches, _) = engine_of(run), drawn_batches(run, 20)
    w, memory = advance(built, base, batches[:10])
    sam = SAM(rho=0.2, base=base)
    switched, _ = advance(built, replace(sam, start=10), batches)
    assert equal(switched, advance(built, sam, batches[10:], w, Memory(memory, None), 10)[0])


@ENGINES
def test_the_perturbation_has_the_radius_over_all_parameters_jointly(engine):
    """Filters and biases together: |w + eps - w| = rho, whatever the base does with momentum and decay."""
    run = run_of(BASES[0], engine, network__init_std=0.3)
    built, (batches, _) = engine_of(run), drawn_batches(run, 6)
    w, _ = advance(built, BASES[0], batches)
    loss = Loss(built, batches[5])
    rules = [SAM(rho=0.25, base=base) for base in BASES]
    points = [rule.probe(loss, w, rule.init(w), 0) for rule in rules]
    assert all(equal(point, points[0]) for point in points)
    eps = points[0] - w
    assert math.sqrt(built.inner(eps, eps).item()) == pytest.approx(0.25, rel=1e-10)
    g = built.gradient(w, batches[5])
    assert built.inner(g, eps).item() == pytest.approx(0.25 * math.sqrt(built.inner(g, g).item()), rel=1e-10)
    rows = [np.linalg.norm(row) for row in explicit(eps, PlainNetwork(run))]
    assert max(rows) > 1.01 * min(rows)  # not normalised filter by filter


def test_both_gradients_see_the_same_batch():
    seen = []

    class Watched(Loss):
        def gradient(self, w):
            seen.append(self.batch)
            return super().gradient(w)

    rule = SAM(rho=0.1, base=SGD(lr=0.1))
    run = run_of(rule)
    built, (batches, _) = engine_of(run), drawn_batches(run, 3)
    w, memory = built.initial(), rule.init(built.initial())
    for t, batch in enumerate(batches):
        w, memory = rule.step(Watched(built, batch), w, memory, t)
    assert [id(b) for b in seen] == [id(b) for b in batches for _ in range(2)]


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (7, 7), (12, 5)])
def test_a_window_without_steps_is_refused(start, stop):
    with pytest.raises(ValueError, match=f"start = {start} leaves no step before stop = {stop}"):
        SAM(rho=0.1, start=start, stop=stop, base=SGD(lr=0.1))


# limits, on a smooth activation

SMOOTH = {"network__activation": "softplus", "network__init_std": 0.2}


def step_difference(lr, rho):
    """One SAM step minus one SGD step, in explicit weights."""
    sgd = SGD(lr=lr)
    run = run_of(sgd, batch_size=8, **SMOOTH)
    built, plain = engine_of(run), PlainNetwork(run)
    batch = full_batches(built, 1)
    return explicit(advance(built, SAM(rho=rho, base=sgd), batch)[0] - advance(built, sgd, batch)[0], plain)


def order(values):
    """Orders of decay under halving."""
    sizes = [np.linalg.norm(v) for v in values]
    return [math.log2(a / b) for a, b in pairwise(sizes)]


def test_the_difference_to_sgd_is_linear_in_lr_times_rho():
    assert order([step_difference(0.1 / 2**k, 0.01) for k in range(4)]) == pytest.approx([1, 1, 1], abs=1e-6)
    assert order([step_difference(0.1, 1e-3 / 2**k) for k in range(4)]) == pytest.approx([1, 1, 1], abs=0.01)


def test_the_difference_to_sgd_is_the_hessian_along_the_gradient():
    """SAM - SGD = -lr rho H g/|g| + O(lr rho^2), H by autograd; the order of the rest is measured."""
    run = run_of(SGD(lr=0.1), batch_size=8, **SMOOTH)
    plain = PlainNetwork(run)
    patches, labels = torch.tensor(plain.patches), torch.tensor(plain.labels)
    signs = torch.tensor(plain.signs)

    def loss(w):
        f = plain.scale * (torch.nn.functional.softplus(patches @ w.T) * signs).sum((1, 2))
        return torch.nn.functional.softplus(-labels * f).mean()

    start = torch.tensor(plain.start)
    g = torch.autograd.functional.jacobian(loss, start)
    _, along = torch.autograd.functional.hvp(loss, start, g / g.norm())
    rest = [step_difference(0.1, rho) / (-0.1 * rho) - along.numpy() for rho in (0.04, 0.02, 0.01, 0.005)]
    assert order(rest) == pytest.approx([1, 1, 1], abs=0.1)
    assert np.linalg.norm(rest[-1]) < 0.02 * along.norm().item()


def test_over_a_fixed_time_sam_tends_to_the_flow_of_its_own():
    """lr -> 0 at fixed lr * steps: the trajectories converge at first order in lr, and not to those of SGD."""

    def end(lr, rho):
        rule = SAM(rho=rho, base=SGD(lr=lr)) if rho else SGD(lr=lr)
        run = run_of(rule, batch_size=8, **SMOOTH)
        steps = round(1.6 / lr)
        trackers = (Decomposition(per_sample=True),)
        run = replace(run, train=Train(n_steps=steps, batch_size=8), record=Record(steps=(steps,), trackers=trackers))
        return simulate_block([run])[0].values["noise_coef"][-1]

    ends = [end(0.04 / 2**k, 0.2) for k in range(4)]
    differences = [a - b for a, b in pairwise(ends)]
    assert order(differences) == pytest.approx([1, 1], abs=0.15)
    assert np.abs(ends[-1] - end(0.005, 0.0)).max() > 10 * np.abs(differences[-1]).max()


def test_a_base_that_perturbs_on_its_own_is_refused():
    with pytest.raises(ValueError, match="without a base of its own"):
        SAM(rho=0.1, base=SAM(rho=0.1, base=SGD(lr=0.1)))
