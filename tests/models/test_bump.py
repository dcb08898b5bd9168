"""The cosine: its critical points, and SAM at the points where it hallucinates minimizers."""

import math

import numpy as np
import pytest
import torch
from helpers import make_landscape_run

from featlearn.models.bump import Bump
from featlearn.optim import SAM, SGD
from featlearn.simulation import simulate_block
from featlearn.trackers import Position


def ends(starts, rho, n_steps=300):
    """Where SAM with step .1 ends from each start."""
    rule, trackers = SAM(rho=rho, base=SGD(lr=0.1)), (Position(n_coordinates=1),)
    runs = [make_landscape_run(Bump(x=x), rule, n_steps=n_steps, trackers=trackers) for x in starts]
    return np.array([trajectory.values["x0"][-1] for trajectory in simulate_block(runs)])


@pytest.mark.parametrize(("x", "expected"), [(0.0, (0.0, 0.0, 1.5)), (math.pi, (3.0, 0.0, -1.5))])
def test_minimum_and_maximum(x, expected):
    w, model = torch.tensor([x], dtype=torch.float64), Bump(curvature=1.5)

    def value(w):
        return model.losses((w,), tuple(map(torch.as_tensor, model.given(0, None))))

    found = value(w).item(), torch.func.grad(value)(w).item(), torch.func.jacrev(torch.func.grad(value))(w).item()
    assert found == pytest.approx(expected, abs=1e-15)


def test_a_large_radius_stops_where_the_minimum_behind_the_maximum_is_seen():
    """At 2 pi - rho, of slope sin(-rho) = .757: neither a minimum nor a maximum."""
    rho = 4.0
    found = ends([2 * math.pi - rho - 0.2, 2 * math.pi - rho + 0.2], rho)
    assert found == pytest.approx(2 * math.pi - rho, abs=1e-12) and math.sin(found[0]) > 0.7


def test_a_small_radius_stops_at_the_maximum_from_within_the_radius():
    """pi - rho repels; on its right SAM stays within lr rho of the maximum, on its left it finds the minimum."""
    rho, top = 0.5, math.pi
    left, right = ends([top - rho - 0.01, top - rho + 0.01], rho)
    assert abs(left) < 0.1 * rho and abs(right - top) < 0.1 * rho
    assert ends([top - rho], rho, n_steps=2) == pytest.approx(top - rho, abs=1e-12)
