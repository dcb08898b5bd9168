"""The points of the integral: directions, lengths and rotations."""

import math

import numpy as np
import pytest
import torch

from featlearn.trackers import TestError
from featlearn.trackers.points import chi_lengths, rotations, sobol_directions


@pytest.mark.parametrize("n_points", [3, 100, 65])
def test_sobol_points_come_in_powers_of_two(n_points):
    with pytest.raises(ValueError, match="power of two"):
        TestError(n_points=n_points)


def test_points_are_standard_normal_and_scrambled_anew():
    directions = sobol_directions(1, 6, 64, 8).reshape(8, 64, 6)
    assert np.allclose(np.linalg.norm(directions, axis=2), 1)
    assert len({tuple(first) for first in directions[:, 0]}) == 8
    points = chi_lengths(torch.tensor([0]), 1, 6, 64, 8).numpy().reshape(8, 64, 1) * directions
    assert np.abs(points.mean((0, 1))).max() < 0.02 and np.abs(points.std((0, 1)) - 1).max() < 0.03


def test_lengths_follow_the_chi_law_in_every_scramble():
    lengths = chi_lengths(torch.arange(50), 1, 6, 64, 8).numpy().reshape(50, 8, 64)
    assert (np.sort(lengths[3, 2])[1:] > np.sort(lengths[3, 2])[:-1]).all()
    reach = (lengths**2).max() / 64  # moving all places across their shares moves the mean by the range / 64
    assert np.abs((lengths**2).mean(2) - 6).max() < reach and abs((lengths**2).mean() - 6) < reach / math.sqrt(400)


def test_rotations_are_rotations_and_belong_to_seeds():
    turns = rotations(torch.tensor([3, 4, 3]), 2, 5).numpy()
    assert np.allclose(turns @ turns.swapaxes(-1, -2), np.eye(5), atol=1e-13)
    assert (turns[0] == turns[2]).all() and (rotations(torch.tensor([4]), 2, 5)[0].numpy() == turns[1]).all()
    assert np.abs(turns[0, 0] - turns[0, 1]).max() > 0.1 and np.abs(turns[0] - turns[1]).max() > 0.1
    many = rotations(torch.arange(2000), 1, 3)[:, 0].numpy()
    assert np.abs(many.mean(0)).max() < 4 / math.sqrt(3 * 2000)
