"""Leads of the right output, and the probability that one of them is negative."""

import math

import numpy as np
import pytest
import torch

from featlearn.trackers.integral import leads, plain_error, radial_error


def test_leads_by_hand():
    outputs = torch.tensor([[1.0, -2.0], [0.5, 3.0], [2.0, 2.0]]).double()  # [C, points]
    assert leads(outputs[:1], -1).tolist() == [[-1.0, 2.0]]
    assert leads(outputs, 1).tolist() == [[-0.5, 5.0], [-1.5, 1.0]]


@pytest.mark.parametrize(("lead", "error"), [([1, 2], 0), ([-1, 2], 1), ([0, 2], 1 / 2), ([0, 0], 2 / 3), ([0, -1], 1)])
def test_outputs_that_tie_share(lead, error):
    lead = torch.tensor(lead).double()[:, None]
    assert plain_error(lead).item() == pytest.approx(error, rel=1e-15)
    assert radial_error(lead, torch.zeros_like(lead), 1, 1.5).item() == pytest.approx(error, rel=1e-15)
    assert plain_error(torch.cat([lead, torch.full_like(lead, math.nan)])).isnan().all()


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_probability_of_an_interval_of_lengths(degree):
    """Three classes: a lead that falls, one that rises, against a million lengths."""
    start = torch.tensor([[0.7, -0.2, 0.7, 0.1], [-0.3, -0.1, 0.2, 0.3]]).double()
    rise = torch.tensor([[-0.2, 0.1, -0.3, 0.2], [0.3, 0.2, 0.1, 0.1]]).double()
    normals = np.random.default_rng(3).standard_normal((5, 10**6))
    lengths = torch.as_tensor(np.sqrt((normals**2).sum(0)))
    for place, found in enumerate(radial_error(start, rise, degree, 2.5).tolist()):
        ahead = start[:, place, None] + rise[:, place, None] * lengths**degree > 0
        wrong = 1 - ahead.all(0).double()
        assert abs(found - wrong.mean().item()) <= 4 * wrong.std().item() / 1000
        if place == 0:
            first = 1 - ahead[0].double()
            assert abs(found - first.mean().item()) > 0.01  # it takes both leads
