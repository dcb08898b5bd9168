import numpy as np
import torch
from helpers import RULES, make_landscape_run, make_run, view_of

from featlearn.models.mlp import MLP
from featlearn.models.quadratic import Quadratic
from featlearn.simulation import simulate
from featlearn.trackers import Position


def test_coordinates_and_distance_of_a_quadratic_by_hand():
    """Gradient descent without rotation: x_i(t) = (1 - lr lambda_i)^t x_i(0)."""
    network = Quadratic(spectrum=(4.0, 1.0))
    run = make_landscape_run(network, RULES["sgd"], trackers=(Position(n_coordinates=2),))
    values = simulate(run).values
    (start,) = network.initial(0, run.data)
    end = (1 - 0.1 * np.array([4.0, 1.0])) ** 20 * start
    assert np.allclose([values["x0"], values["x1"]], np.array([start, end]).T, rtol=1e-12)
    assert np.allclose(values["distance"], [0, np.linalg.norm(end - start)], rtol=1e-12)


def test_coordinates_go_through_the_tensors_in_order():
    view = view_of(make_landscape_run(MLP(width=3)))
    columns = Position(n_coordinates=10)(view)
    flat = torch.cat([leaf.flatten(1) for leaf in view.w.leaves], 1)
    assert torch.equal(torch.stack([columns[f"x{i}"] for i in range(10)], 1), flat)


def test_it_watches_the_network_on_patches_too():
    columns = Position()(view_of(make_run(engine="weights"), steps=3))
    assert columns["distance"].item() > 0
