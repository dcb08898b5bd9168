"""Random signs from uniform numbers."""

import pytest
import torch

from featlearn.sde.integrators.protocol import signs


def test_each_half_of_the_unit_interval_is_a_sign():
    uniforms = torch.tensor([[1e-9, 0.5], [0.500001, 1.0]], dtype=torch.float64)
    found = signs(uniforms, torch.zeros(2, 3, dtype=torch.float32), 2)
    assert found.tolist() == [[-1, -1], [1, 1]] and found.dtype == torch.float32


def test_none_are_needed_for_none():
    assert signs(None, torch.zeros(2, 3), 0).shape == (2, 0)


@pytest.mark.parametrize(("uniforms", "n"), [(None, 1), (torch.ones(2, 3), 1), (torch.ones(1, 1), 1)])
def test_a_wrong_number_is_refused(uniforms, n):
    with pytest.raises(ValueError, match=r"the step needs uniform numbers of shape \(2, 1\)"):
        signs(uniforms, torch.zeros(2, 3), n)
