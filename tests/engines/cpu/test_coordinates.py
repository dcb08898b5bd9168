"""The padded span: padding with zeros, vanishing combinations, and sizes of eigenvalues."""

import torch

from featlearn.engines.cpu.coordinates import WideCoordinates
from featlearn.engines.span.coordinates import Coordinates


def diagonal(*values):
    """A Gram matrix with these eigenvalues, in rotated axes."""
    turned = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1)).double())[0]
    return turned @ torch.tensor(values).double().diag() @ turned.T


GRAM = torch.stack([diagonal(1, 2, 3, 4, 5), diagonal(0, 0, 3, 4, 5), diagonal(1e-6, 2, 3, 4, 5)])


def test_rows_are_padded_with_zeros():
    wide, plain = WideCoordinates(GRAM), Coordinates(GRAM)
    assert wide.width >= 5 and wide.width % 4 == 0
    of_patches, of_coefficients = wide.wide_factors
    for padded, narrow in (
        (wide.wide_gram, GRAM),
        (of_patches, plain.factor.mT),
        (of_coefficients, plain.factor),
    ):
        assert padded.shape == (3, 5, wide.width)
        assert torch.equal(padded[..., :5], narrow) and not padded[..., 5:].any()


def test_the_kernel_is_of_combinations_that_vanish():
    kernel = WideCoordinates(GRAM).kernel[..., :5]
    assert kernel.shape == (3, 2, 5) and not kernel[0].any() and not kernel[2].any()
    assert torch.allclose(kernel[1] @ kernel[1].T, torch.eye(2).double(), atol=1e-14)
    assert torch.allclose(kernel[1] @ GRAM[1], torch.zeros(2, 5).double(), atol=1e-13)


def test_an_eigenvalue_that_is_small_but_not_zero_is_not_regular():
    assert WideCoordinates(GRAM).regular.tolist() == [True, True, False]
