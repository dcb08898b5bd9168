"""The loss of a rule: whole or on a mini-batch, on another one, under flipped labels."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from helpers import engine_of, landscape_engine, make_run

from featlearn.engines.batches import batch_weights, shuffled
from featlearn.engines.loss import Loss
from featlearn.engines.vector import Vector
from featlearn.models.beale import Beale
from featlearn.models.landscape import Landscape

RUNS = [make_run(seed=seed, data__flip_prob=0.2) for seed in range(3)]


@pytest.fixture(scope="module")
def engine():
    return engine_of(*RUNS)


def on(engine, samples, step=0):
    return Loss(engine, batch_weights(samples, engine.labels), samples, step)


def test_the_gradient_of_a_mini_batch_is_the_mean_of_its_samples(engine):
    samples, w = torch.tensor([[2, 5, 7]] * 3), engine.initial()
    loss, alone = on(engine, samples), [on(engine, samples[:, [i]]).gradient(w) for i in range(3)]
    mean = (1 / 3) * (alone[0] + alone[1] + alone[2])
    assert loss.size == 3 and torch.equal(loss.order, samples)
    assert all(torch.allclose(a, b, atol=1e-14) for a, b in zip(loss.gradient(w).leaves, mean.leaves, strict=True))
    assert torch.equal(loss.inner(w, w), engine.inner(w, w))


def test_the_whole_set_has_every_sample_in_a_new_order_at_each_step(engine):
    full = on(engine, torch.tensor([[1, 4]] * 3), step=6).full
    assert full.size == 8 and torch.equal(full.batch, torch.full((3, 8), 1 / 8).double())
    assert full.other is full
    assert torch.equal(full.order.sort(1).values, torch.arange(8).expand(3, 8))
    assert torch.equal(full.order, shuffled(engine.seeds, 8, 6)) and not torch.equal(
        full.order, shuffled(engine.seeds, 8, 7)
    )


def test_another_mini_batch_is_drawn_by_seed_and_step(engine):
    samples = torch.tensor([[0, 1, 2]] * 3)
    other, again, later = (on(engine, samples, step).other for step in (4, 4, 5))
    assert torch.equal(other.samples, again.samples) and not torch.equal(other.samples, later.samples)
    assert len({tuple(row) for row in other.samples.tolist()}) > 1
    assert other.size == 3 and torch.equal(other.batch, batch_weights(other.samples, engine.labels))
    assert all(len(set(row)) == 3 for row in other.samples.tolist())


def test_flipped_labels_replace_those_of_the_loss(engine):
    loss, w = on(engine, torch.tensor([[0, 1, 2]] * 3)), engine.initial()
    assert torch.equal(loss.flipped(1.0).labels, -engine.labels)
    assert torch.equal(loss.flipped(1.0).flipped(1.0).labels, engine.labels)
    each = loss.flipped(torch.tensor([0.0, 1.0, 0.0]).double()).labels
    assert torch.equal(each, engine.labels * torch.tensor([1.0, -1.0, 1.0]).double()[:, None])
    assert torch.equal(loss.flipped(0.0).gradient(w).leaves[1], loss.gradient(w).leaves[1])
    assert not torch.equal(loss.flipped(1.0).gradient(w).leaves[1], loss.gradient(w).leaves[1])


@dataclass(frozen=True, kw_only=True)
class Power(Landscape):
    """x^p y + z."""

    p: int

    def shapes(self, data):
        return (2,), (1,)

    def initial(self, seed, data):
        return np.array([2.0, 3.0]), np.array([1.0])

    def losses(self, leaves, given):
        (x, y), (z,) = leaves
        return x**self.p * y + z


def derivatives(model, v, noise=0.0):
    """Gradient, H v and D3[v, v] at the start, as lists."""
    engine = landscape_engine(model, None, 0)
    loss, w = Loss(engine, torch.ones_like(engine.labels), gradient_noise=noise), engine.initial()
    direction = engine.unflattened(torch.tensor([v], dtype=torch.float64))
    g, hvp = loss.linearize(w)
    found = g, hvp(direction), loss.third(w, direction)
    assert all(torch.equal(a, b) for a, b in zip(hvp(direction).leaves, loss.hvp(w, direction).leaves, strict=True))
    return [torch.cat([leaf[0] for leaf in each.leaves]).tolist() for each in found]


@pytest.mark.parametrize(
    ("p", "gradient", "second", "third"),
    [
        (0, [0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        (1, [3.0, 2.0, 1.0], [7.0, 5.0, 0.0], [0.0, 0.0, 0.0]),
        (3, [36.0, 8.0, 1.0], [36 * 5 + 12 * 7.0, 12 * 5.0, 0.0], [18 * 25 + 24 * 35.0, 12 * 25.0, 0.0]),
    ],
)
def test_derivatives_of_a_polynomial_by_hand(p, gradient, second, third):
    """Also of a loss that is linear or quadratic, and along a parameter in which it is linear."""
    assert derivatives(Power(p=p), [5.0, 7.0, 11.0]) == [gradient, second, third]


def test_the_third_derivative_is_the_slope_of_products_with_the_hessian():
    engine = landscape_engine(Beale(), None, 0)
    loss, w = Loss(engine, torch.ones_like(engine.labels)), engine.initial()
    v = Vector((torch.tensor([[0.3, -0.7]], dtype=torch.float64),))
    exact, errors = loss.third(w, v).leaves[0], []
    for h in (0.02, 0.01):
        slope = (0.5 / h) * (loss.hvp(w + h * v, v) - loss.hvp(w - h * v, v))
        errors.append(float((slope.leaves[0] - exact).abs().max()))
    assert 3.9 < errors[0] / errors[1] < 4.1 and errors[1] < 1e-3 * exact.abs().max()


def test_noise_is_in_the_gradient_alone():
    v = [5.0, 7.0, 11.0]
    plain, noisy = derivatives(Power(p=3), v), derivatives(Power(p=3), v, noise=0.5)
    assert noisy[1:] == plain[1:] and noisy[0] != plain[0]
    engine = landscape_engine(Power(p=3), None, 0)
    loss = Loss(engine, torch.ones_like(engine.labels), gradient_noise=0.5)
    assert all(
        torch.equal(a, b)
        for a, b in zip(loss.linearize(engine.initial())[0].leaves, loss.gradient(engine.initial()).leaves, strict=True)
    )
    assert not loss.full.gradient_noise
