"""Packed vectors equal plain ones in sums, multiples, finiteness and inner products, terms separate or not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import engine_of, full_batches, make_run

from featlearn.engines.cpu.engine import CPUGramEngine
from featlearn.engines.cpu.packed import PackedVector, pack
from featlearn.engines.span.engine import GramEngine
from featlearn.engines.vector import Vector
from featlearn.tiles import padded

DTYPES = [torch.float64, torch.float32]
SHAPES = [(1, 2, 1), (3, 4, 7), (2, 6, 8), (5, 20, 21), (2, 2, 40)]


def leaves(shape, dtype, seed=0, trained=False):
    rng = torch.Generator().manual_seed(seed)
    second = [(*shape[:2], 3)] * trained
    parts = [torch.randn(size, dtype=torch.float64, generator=rng) for size in (shape[:1], shape, shape, *second)]
    return tuple(part.to(dtype) for part in parts)


def agree(packed, plain, rtol):
    return all(torch.allclose(a, b, rtol=rtol, atol=rtol) for a, b in zip(packed.leaves, plain.leaves, strict=True))


def combinations(u, v, a):
    """Sums and multiples whose terms are kept separate, or evaluated in between."""
    total = u + a * v
    seen = u - 0.5 * v
    assert seen.leaves
    return [total, seen, 2.0 * total, u - v, total + total, a * (a * u) - (a * v), seen + a * total, -0.25 * v]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("trained", [False, True])
def test_sums_and_multiples(shape, dtype, trained):
    one, other = (leaves(shape, dtype, seed, trained) for seed in (0, 1))
    a = torch.linspace(-2, 2, shape[0], dtype=dtype)
    found = combinations(pack(*one), pack(*other), a)
    expected = combinations(Vector(one), Vector(other), a)
    rtol = 64 * torch.finfo(dtype).eps
    assert len(found) == 8 and all(agree(x, y, rtol) for x, y in zip(found, expected, strict=True))
    wrong = combinations(pack(*one), pack(*other), a * (1 + 1000 * rtol))  # negative control
    assert not agree(wrong[0], expected[0], rtol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("trained", [False, True])
def test_layout(shape, dtype, trained):
    """f rows of coefficients, f of alignments, then alpha and a second layer; zeros elsewhere, also in sums."""
    (b, f, n), one = shape, leaves(shape, dtype, trained=trained)
    u = pack(*one)
    for v in (u, u + 0.5 * u, 3.0 * u, u.where(torch.arange(b) > 0, 2.0 * u)):
        width, size = padded(n, dtype.itemsize), 1 + 3 * f * trained
        assert v.rows.shape == (b, 2 * f + -(-size // width), width) and width >= n
        assert not v.rows[:, : 2 * f, n:].any() and not v.rows[:, 2 * f :].flatten(1)[:, size:].any()
    assert all(torch.equal(x, y) for x, y in zip(u.leaves, one, strict=True))
    assert all(torch.equal(x, y) for x, y in zip(u.with_leaves(one).leaves, one, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_values_and_finiteness(dtype):
    """A run of numbers whose squares overflow is not finite, one whose squares vanish is; its neighbours stay."""
    one, other = leaves((6, 4, 5), dtype), leaves((6, 4, 5), dtype, 1)
    big = torch.finfo(dtype).max ** 0.5
    factors = torch.tensor([1.0, 1e-30, 2 * big, torch.inf, torch.nan, 0.01 * big], dtype=dtype)
    expected = [True, True, False, False, False, True]
    lazy = pack(*one) + factors * pack(*other)
    assert lazy.finite().tolist() == expected
    assert (1.0 * lazy).finite().tolist() == expected == (factors * pack(*other)).finite().tolist()
    kept = lazy.where(lazy.finite(), pack(*one))
    assert kept.finite().all() and torch.equal(kept.rows[2], pack(*one).rows[2])


def engines(dtype="float64"):
    runs = [replace(make_run(seed=s, network__bias=True, data__flip_prob=0.2), dtype=dtype) for s in range(3)]
    problem = engine_of(*runs).problem
    return CPUGramEngine(problem), GramEngine(problem)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gradients_and_inner_products_of_sums(dtype):
    """A gradient at a sum with separate terms, its stored <g, g>, and <u, v> with a part along W0."""
    found = []
    for engine in engines(dtype):
        (batch,) = full_batches(engine, 1)
        w = engine.initial()
        g = engine.gradient(w, batch)
        there = w + torch.tensor([0.5, -0.1, 0.0], dtype=batch.dtype) * g
        h = engine.gradient(there, batch)
        mixed = h - 0.3 * w
        pairs = [(g, g), (2.0 * g, 2.0 * g), (h, h), (g, h), (mixed, mixed), (mixed, there), (w, w)]
        doubled = 2.0 * g
        products = [engine.inner(u, v) for u, v in pairs] + [engine.inner(doubled, doubled)]
        found.append([torch.stack(products), *there.leaves, *h.leaves])
        assert torch.allclose(products[-1], products[1], rtol=1e-5)
    rtol = 1e-11 if dtype == "float64" else 2e-4
    assert all(torch.allclose(a, b, rtol=rtol, atol=rtol) for a, b in zip(*found, strict=True))


def test_a_point_may_be_moved_along_itself():
    """w + a w shares both terms of its sum; the gradient is taken at (1 + a) w, not at w."""
    fused, _ = engines()
    (batch,) = full_batches(fused, 1)
    w = fused.initial()
    moved, scaled, still = (fused.gradient(v, batch).leaves[1] for v in (w + 0.5 * w, 1.5 * w, w))
    assert torch.allclose(moved, scaled, rtol=1e-14, atol=0) and not torch.allclose(moved, still, rtol=1e-3)


def test_a_wrong_twin_fails(monkeypatch):
    """Negative control: a sum that forgets its factor's sign gives another gradient, and the comparison detects it."""
    correct = PackedVector.made
    fused, plain = engines()
    (batch,) = full_batches(fused, 1)

    def step(engine):
        w = engine.initial()
        return engine.gradient(w - 0.5 * engine.gradient(w, batch), batch).leaves[1]

    assert torch.allclose(step(fused), step(plain), rtol=1e-11, atol=1e-11)

    def unsigned(self, rows, factor=None, start=None):
        return correct(self, rows, None if factor is None else abs(factor), start)

    monkeypatch.setattr(PackedVector, "made", unsigned)
    assert not torch.allclose(step(fused), step(plain), rtol=1e-6)


@pytest.mark.parametrize("make", [lambda x: Vector((x,)), lambda x: pack(x[:, 0, 0], x, x)])
def test_a_number_may_stand_on_either_side(make):
    u = make(torch.as_tensor(np.random.default_rng(0).normal(size=(3, 2, 4))))
    each = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
    for a in (2, 0.5, each):
        assert all(map(torch.equal, (u * a).leaves, (a * u).leaves))
    assert all(map(torch.equal, (-u).leaves, (-1.0 * u).leaves))
    with pytest.raises(TypeError):
        u * u
