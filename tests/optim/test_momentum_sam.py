"""Momentum-SAM against its equation; it needs a momentum."""

import pytest
import torch
from equations import HEAVY, error, length, run_of
from helpers import drawn_batches, engine_of, loss_on

from featlearn.optim import SGD, MomentumSAM


def against_the_buffer(sign):
    def equation(plain):
        def gradient(t, w, chosen, buffer):
            eps = sign * 0.2 * buffer / length(buffer) if t else 0 * w
            return plain.gradient(w + eps, chosen)

        return gradient

    return equation


@pytest.mark.parametrize("base", [SGD(lr=0.05, momentum=0.9), HEAVY], ids=["momentum", "heavy"])
def test_it_follows_its_equation(base):
    rule = MomentumSAM(rho=0.2, base=base)
    assert error(rule, against_the_buffer(-1)) < 1e-12 < 1e-3 < error(rule, against_the_buffer(1))


def test_the_first_step_is_that_of_the_base():
    rule = MomentumSAM(rho=0.2, base=HEAVY)
    run = run_of(rule)
    engine, (batches, _) = engine_of(run), drawn_batches(run, 1)
    w = engine.initial()
    ends = [r.step(loss_on(engine, batches[0]), w, r.init(w), 0)[0] for r in (rule, HEAVY)]
    assert all(torch.equal(a, b) for a, b in zip(*[end.leaves for end in ends], strict=True))


def test_a_base_without_momentum_is_refused():
    with pytest.raises(ValueError, match="buffer of an SGD base: it needs momentum > 0"):
        MomentumSAM(rho=0.2, base=SGD(lr=0.1))
