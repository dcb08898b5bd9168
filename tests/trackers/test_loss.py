import math

import numpy as np
import pytest
import torch
from helpers import PlainNetwork, advance, engine_of, explicit, full_batches, make_run, view_of

from featlearn.trackers import Loss


@pytest.mark.parametrize("changes", [{}, {"data__flip_prob": 0.3, "network__bias": True, "data__n_patches": 3}])
@pytest.mark.parametrize("steps", [0, 7])
def test_loss_error_and_gradient_by_hand(changes, steps):
    run = make_run(**changes)
    plain, engine = PlainNetwork(run), engine_of(run)
    w, _ = advance(engine, run.optimizer, full_batches(engine, steps))
    weights = explicit(w, plain)
    margins = [plain.labels[i] * plain.output(weights, i) for i in range(8)]
    columns = Loss()(view_of(run, steps=steps))
    loss = np.mean([math.log1p(math.exp(-z)) for z in margins])
    norm = np.linalg.norm(plain.gradient(weights, range(8)))
    assert columns["train_loss"].item() == pytest.approx(loss, rel=1e-11)
    assert columns["train_error"].item() == np.mean([z < 0 for z in margins])
    assert columns["grad_norm"].item() == pytest.approx(norm, rel=1e-10)


def test_the_gradient_is_that_of_the_whole_training_set():
    """Also where the rule sees a mini-batch only."""
    full, mini = make_run(), make_run(train__batch_size=3)
    assert torch.equal(Loss()(view_of(full))["grad_norm"], Loss()(view_of(mini))["grad_norm"])


def test_a_network_without_opinion():
    columns = Loss()(view_of(make_run(data__signal_norm=0.0, network__init_std=0.0)))
    assert columns["train_loss"].item() == pytest.approx(math.log(2), rel=1e-15)
    assert columns["train_error"].item() == 0.5 and columns["grad_norm"].item() == 0
