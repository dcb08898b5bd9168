"""The trace from the formula, by loops in d dimensions: sum of l'' |grad F|^2 and of l' times F's own trace."""

import math

import pytest
import torch
from helpers import PlainNetwork, drawn_batches, engine_of, explicit, make_run, view_after, view_of

from featlearn.trackers import HessianTrace


def logistic_slope(z):
    return 1 / (1 + math.exp(-z))


SECOND = {  # act''
    "relu": lambda z: 0.0,
    "relu2": lambda z: 2.0 * (z > 0),
    "softplus": lambda z: logistic_slope(z) * (1 - logistic_slope(z)),
}


def by_hand(plain, weights, chosen, second):
    total = 0.0
    for i in chosen:
        wrong = 1 / (1 + math.exp(plain.labels[i] * plain.output(weights, i)))
        for sign, w in zip(plain.signs, weights, strict=True):
            gradient = sum(plain.scale * sign * plain.slope(w @ x) * x for x in plain.patches[i])
            bent = sum(plain.scale * sign * second(w @ x) * (x @ x) for x in plain.patches[i])
            total += wrong * (1 - wrong) * (gradient @ gradient) - plain.labels[i] * wrong * bent
    return total / len(chosen)


@pytest.mark.parametrize("engine", ["gram", "weights"])
@pytest.mark.parametrize("activation", SECOND)
def test_on_the_whole_set_and_on_the_mini_batch(activation, engine):
    changes = {"data__n_patches": 3, "data__flip_prob": 0.2, "network__bias": True, "train__batch_size": 3}
    run = make_run(engine=engine, network__activation=activation, **changes)
    plain, (batches, samples) = PlainNetwork(run), drawn_batches(run, 3)
    view = view_after(engine_of(run), run.optimizer, batches)
    weights = explicit(view.w, plain)
    for batch, chosen in (("full", range(8)), ("batch", samples[2])):
        found = HessianTrace(batch=batch)(view)["hessian_trace"].item()
        assert found == pytest.approx(by_hand(plain, weights, list(chosen), SECOND[activation]), rel=1e-10)


def test_every_run_of_a_block_has_its_own():
    together = HessianTrace()(view_of(make_run(), make_run(seed=1)))["hessian_trace"]
    alone = [HessianTrace()(view_of(make_run(seed=seed)))["hessian_trace"] for seed in (0, 1)]
    assert torch.allclose(together, torch.cat(alone), rtol=1e-12) and together[0] != together[1]
