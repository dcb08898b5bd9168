"""Coordinates of patches against their Gram matrix, also for dependent and for zero patches."""

import pytest
import torch

from featlearn.engines.span.coordinates import Coordinates


def draw(size, dim):
    return torch.randn(size, dim, generator=torch.Generator().manual_seed(0)).double()


FREE = draw(4, 9)
CASES = {  # patches, and the dimension of their span
    "independent": (FREE, 4),
    "one the negative of another": (torch.cat([FREE[:3], -FREE[:1]]), 3),
    "more than dimensions": (draw(6, 2), 2),
    "a zero": (torch.cat([FREE[:3], 0 * FREE[:1]]), 3),
    "all zero": (0 * FREE, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_coordinates_have_the_inner_products_of_the_patches(name):
    patches, rank = CASES[name]
    gram = patches @ patches.T
    found = Coordinates(torch.stack([gram, torch.eye(len(gram)).double()]))  # in a block with a run of another rank
    assert found.rank.tolist() == [rank, len(gram)]
    factor, inverse = found.factor[0], found.inverse_factor[0]
    assert torch.allclose(factor @ factor.T, gram, atol=1e-13)
    assert torch.allclose(inverse, torch.linalg.pinv(factor, rtol=1e-7), atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_coefficients_from_coordinates_and_back(name):
    """The rows Q = F^+ X are orthonormal, as many as the rank, and F Q are the patches."""
    patches, rank = CASES[name]
    found = Coordinates((patches @ patches.T)[None])
    rows = found.inverse_factor[0] @ patches
    gram = rows @ rows.T
    assert torch.allclose(gram @ gram, gram, atol=1e-10) and gram.trace().item() == pytest.approx(rank, abs=1e-10)
    assert torch.allclose(found.factor[0] @ rows, patches, atol=1e-10)
    assert found.factor.dtype == torch.float64 == Coordinates(torch.eye(2)[None]).factor.dtype
