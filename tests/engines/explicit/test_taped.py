"""A tape repeats the bits of autograd on new numbers, and refuses what it cannot repeat."""

from dataclasses import replace

import pytest
import torch
from helpers import make_run

from featlearn.data import NoData
from featlearn.engines.explicit.autograd import AutogradEngine
from featlearn.engines.explicit.taped import record
from featlearn.engines.vector import Vector
from featlearn.models import Beale, Quadratic, Saddle
from featlearn.simulation import build_engine

MODELS = {
    "quadratic": Quadratic(spectrum=(1.0, 3.0)),
    "rotated": Quadratic(spectrum=(1.0, 3.0, 4.0), rotated=True),
    "saddle": Saddle(),
    "beale": Beale(),
}


def engine_of(model, n=32):
    run = replace(make_run(), engine="weights", sampling="vectors", data=NoData(), network=model)
    return build_engine([replace(run, seed=seed) for seed in range(n)], "cpu")


def both(engine, w, v):
    """Gradient and H v from the engine, and by autograd alone."""
    batch = torch.ones_like(engine.labels)
    for linearize in (engine.linearize, lambda *args: AutogradEngine.linearize(engine, *args)):
        g, hvp = linearize(w, batch)
        yield [*g.leaves, *hvp(v).leaves, *hvp(g).leaves]


@pytest.mark.parametrize("name", MODELS)
def test_the_bits_are_those_of_autograd_at_every_point(name):
    engine = engine_of(MODELS[name])
    points = [engine.initial(), 0.5 * engine.initial() + engine.isotropic("a", 0)[0]]
    for w in points:
        v = engine.isotropic("b", 0)[0]
        for layout in (v, v.map(torch.Tensor.contiguous)):
            taped, eager = both(engine, w, layout)
            assert all(torch.equal(a, b) for a, b in zip(taped, eager, strict=True))
            assert all(a.abs().max() > 1e-3 for a in taped)
    assert all(tape is not None for tape in engine._tapes.values())


def test_the_tape_leaves_out_what_the_results_do_not_need():
    engine = engine_of(MODELS["quadratic"])
    list(both(engine, engine.initial(), engine.initial()))
    (tape,) = engine._tapes.values()
    assert len(tape.gradient[0]) <= 10 and len(tape.product[0]) <= 6


def test_blocks_of_other_sizes_have_tapes_of_their_own():
    engine = engine_of(MODELS["saddle"])
    few = Vector(tuple(leaf[:8] for leaf in engine.initial().leaves))
    part = engine_of(MODELS["saddle"], 8)
    part._tapes = engine._tapes
    for own, w in ((engine, engine.initial()), (part, few)):
        taped, eager = both(own, w, w)
        assert all(torch.equal(a, b) for a, b in zip(taped, eager, strict=True))
    assert len(engine._tapes) == 2


def linear_in(function):
    """Record the function as a gradient whose product with v is v."""
    x = torch.arange(3.0, dtype=torch.float64)
    return record(lambda: ([function(x)], lambda v: [2 * v[0]]), [x], [torch.empty_like(x)])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x + 1).mul_(2),
        lambda x: x + torch.rand_like(x),
        lambda x: x * x.sum().item(),
    ],
    ids=["in place", "random", "number"],
)
def test_what_cannot_be_repeated_is_refused(function):
    assert linear_in(function) is None


def test_lists_of_tensors_are_repeated_too():
    tape = linear_in(lambda x: torch.stack([*x.unbind()[:2], x.sort()[0][2]]))
    assert torch.equal(
        tape([torch.tensor([4.0, 2.0, 3.0], dtype=torch.float64)])[0][0], torch.tensor([4.0, 2, 4]).double()
    )


def test_constants_stay_and_inputs_change():
    tape = linear_in(lambda x: x * torch.full((3,), 5.0, dtype=torch.float64) + 1)
    x = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for _ in range(2):
        (g,), product = tape([x])
        assert torch.equal(g, 5 * x + 1)
        assert torch.equal(product([x])[0], 2 * x) and torch.equal(product([-x])[0], -2 * x)
