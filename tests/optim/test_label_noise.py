"""Label-noise GD against its equation: fresh flips in each step."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from equations import HEAVY, PLAIN, error, run_of
from helpers import advance, drawn_batches, engine_of, full_batches, loss_on

from featlearn.optim import LabelNoiseGD
from featlearn.streams.lanes import uniforms

FLIP_RATE = 0.3


def flipped(fresh=True):
    """The gradient under this step's labels, their flips from a stream of the run (seed 0)."""

    def equation(plain):
        observed = plain.labels

        def gradient(t, w, chosen, buffer):
            flips = uniforms(torch.tensor([0]), "label noise", 8, t if fresh else 0)[0].numpy() < FLIP_RATE
            with patch.object(plain, "labels", np.where(flips, -observed, observed)):
                return plain.gradient(w, chosen)

        return gradient

    return equation


@pytest.mark.parametrize("base", [PLAIN, HEAVY], ids=["plain", "heavy"])
@pytest.mark.parametrize("batch_size", [3, 8])
def test_it_follows_its_equation(base, batch_size):
    rule = LabelNoiseGD(flip_rate=FLIP_RATE, base=base)
    assert error(rule, flipped(), batch_size=batch_size) < 1e-12
    assert error(rule, flipped(fresh=False), batch_size=batch_size) > 1e-2


@pytest.mark.parametrize("rate", [0.0, torch.zeros(1, dtype=torch.float64)])
def test_without_flips_it_is_the_base_bit_for_bit(rate):
    run = run_of(HEAVY)
    engine, (batches, _) = engine_of(run), drawn_batches(run, 12)
    ends = [advance(engine, rule, batches)[0] for rule in (LabelNoiseGD(flip_rate=rate, base=HEAVY), HEAVY)]
    assert all(torch.equal(a, b) for a, b in zip(*[end.leaves for end in ends], strict=True))


def test_labels_are_flipped_at_the_rate_anew_in_each_step_and_for_each_run():
    runs = [replace(run_of(PLAIN), seed=seed) for seed in range(4)]
    engine = engine_of(*runs)
    (batch,) = full_batches(engine, 1)
    flips = torch.stack(
        [loss_on(engine, batch, t).flipped(FLIP_RATE).labels != engine.problem.labels for t in range(200)]
    ).double()
    assert flips.mean().item() == pytest.approx(FLIP_RATE, abs=4 * (FLIP_RATE * (1 - FLIP_RATE) / flips.numel()) ** 0.5)
    assert (flips[0] != flips[1]).any(1).all() and (flips[:, 0] != flips[:, 1]).any()
    together = torch.corrcoef(flips.flatten(1).T) - torch.eye(32, dtype=torch.float64)
    assert together.abs().max() < 0.35
