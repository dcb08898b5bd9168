"""Muon against torch's own iteration, run in double precision, and against an iteration written out here."""

import numpy as np
import pytest
import torch
from equations import EVERY_SAMPLE, run_of
from helpers import PlainNetwork, advance, drawn_batches, engine_of, explicit, full_batches

from featlearn.engines.protocol import Loss
from featlearn.optim import Muon
from featlearn.optim.muon import A, B, C, orthogonal

ENGINES = pytest.mark.parametrize("engine", ["gram", "weights"])
RULES = [
    Muon(lr=0.05, weight_decay=0.1),
    Muon(lr=0.05, momentum=0.5, nesterov=False, ns_steps=3),
    Muon(lr=0.05, momentum=0.0),
]
EVERY_RULE = pytest.mark.parametrize("rule", RULES, ids=repr)


def by_torch(rule, plain, samples):
    """The weights, biases in their last column, after steps of torch.optim.Muon."""
    parameter = torch.tensor(plain.start)
    options = {key: value for key, value in vars(rule).items() if key != "lr_schedule"}
    optimizer = torch.optim.Muon([parameter], **options)
    for chosen in samples:
        parameter.grad = torch.tensor(plain.gradient(parameter.numpy(), chosen))
        optimizer.step()
    return parameter.numpy()


@EVERY_RULE
@ENGINES
def test_steps_are_those_of_torch_in_double_precision(rule, engine, monkeypatch):
    run = run_of(rule, engine=engine)
    plain, (batches, samples) = PlainNetwork(run), drawn_batches(run, 20)
    ours = explicit(advance(engine_of(run), rule, batches)[0], plain)
    first = explicit(advance(engine_of(run), rule, batches[:1])[0], plain) - plain.start
    rough = by_torch(rule, plain, samples[:1]) - plain.start
    cosine = (first * rough).sum() / np.sqrt((first**2).sum() * (rough**2).sum())
    assert cosine < 1 - 1e-6  # as torch ships it, it rounds to bfloat16, and amplifies that up to 3.4445^5 times
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
    assert np.abs(ours - by_torch(rule, plain, samples)).max() < 1e-12
    assert np.abs(ours - plain.start).max() > 0.05


@ENGINES
def test_the_first_step_by_hand(engine):
    """O(g) written with a singular value decomposition: the iteration acts on the singular values alone."""
    rule = Muon(lr=0.1, momentum=0.9)
    run = run_of(rule, engine=engine)
    plain, built = PlainNetwork(run), engine_of(run)
    u, s, v = np.linalg.svd(plain.gradient(plain.start, EVERY_SAMPLE), full_matrices=False)
    s = s / np.sqrt((s * s).sum())
    for _ in range(5):
        s = 3.4445 * s - 4.775 * s**3 + 2.0315 * s**5
    end = explicit(advance(built, rule, full_batches(built, 1))[0], plain)
    assert np.abs(end - (plain.start - 0.1 * u * s @ v)).max() < 1e-12
    assert ((s > 0.6) & (s < 1.25)).sum() >= 2


def drifting(engine, u, ns_steps):
    """O(u) with S updated along with X, S <- Q S Q, which is equal in exact arithmetic."""
    s, mix = engine.rows_gram(u), torch.eye(6, dtype=torch.float64)[None]
    for _ in range(ns_steps):
        q = A * torch.eye(6, dtype=torch.float64) + B * s + C * s @ s
        s, mix = q @ s @ q, q @ mix
    return engine.mix_rows(u, mix)


@ENGINES
def test_small_singular_values_are_kept_to_rounding(engine):
    """They are a thousandth of the largest ones, and an iteration multiplies them by 3.4445."""
    run = run_of(RULES[0], engine=engine)
    built, plain = engine_of(run), PlainNetwork(run)
    loss, draw = Loss(built, full_batches(built, 1)[0]), torch.Generator().manual_seed(0)
    rows = torch.randn(6, len(plain.distinct), dtype=torch.float64, generator=draw)
    if engine == "gram":
        u = built.direction(rows[None])
    else:
        weights = rows @ torch.tensor(plain.distinct)
        u = built.initial().with_leaves((weights[None, :, :-1], weights[None, :, -1]))
    squares, vectors = torch.linalg.eigh(built.rows_gram(u))
    left = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=draw))[0]

    def with_values(s):
        return built.mix_rows(u, left * (s / squares.sqrt()) @ vectors.mT)

    s = torch.tensor([1, 0.1, 0.01, 3e-3, 1e-3, 3e-4], dtype=torch.float64)
    s = s / s.norm()
    start = with_values(s)
    for _ in range(5):
        s = A * s + B * s**3 + C * s**5

    def error(x):
        return np.abs(explicit(x, plain) - explicit(with_values(s), plain)).max()

    assert error(orthogonal(loss, start, 5)) < 1e-13 < error(drifting(built, start, 5))


@ENGINES
def test_the_step_does_not_depend_on_the_length_of_the_gradient_and_zero_gives_zero(engine):
    built = engine_of(*[run_of(RULES[0], engine=engine, seed=seed) for seed in range(2 if engine == "gram" else 1)])
    loss = Loss(built, full_batches(built, 1)[0])
    g = loss.gradient(built.initial())
    found = [orthogonal(loss, c * g, 5) for c in (1.0, 1e-40, 1e40)]
    for other in found[1:]:
        pairs = zip(found[0].leaves, other.leaves, strict=True)
        assert all(torch.allclose(a, b, rtol=1e-12, atol=1e-14) for a, b in pairs)
    values = torch.linalg.eigvalsh(built.rows_gram(found[0])).sqrt()
    assert (values.amax(1) > 0.6).all() and (values < 1.25).all()
    zero = g.where(torch.zeros(len(values), dtype=torch.bool), 0.0 * g)
    assert not any(leaf.any() for leaf in orthogonal(loss, zero, 5).leaves)


def test_dead_rows_are_left_where_they_are():
    """A filter without gradient is not moved, whatever the others do."""
    rule = Muon(lr=0.1)
    run = run_of(rule, engine="weights")
    built = engine_of(run)
    weight, bias = (leaf.clone() for leaf in built.initial().leaves)
    bias[:, 2] = -100
    start = type(built.initial())((weight, bias))
    end, _ = advance(built, rule, full_batches(built, 3), start, rule.init(start))
    assert torch.equal(end.leaves[0][:, 2], weight[:, 2]) and not torch.equal(end.leaves[0][:, 1], weight[:, 1])
