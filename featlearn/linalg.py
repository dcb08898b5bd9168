"""Linear algebra of a block of runs: the results of a run depend on its own matrices alone, to the last bit.

A batched BLAS or LAPACK routine may round a matrix differently at different places of its batch, since it may choose
instructions by address or index. So products on a CPU are compiled here (tiles.py), and eigenvalues are computed one
matrix at a time, each copied to the start of a cache line. On a GPU one launch treats all matrices equally.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def product(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right, [..., m, s] @ [..., s, n], of one precision; leading axes broadcast. Not differentiable."""
    batch = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])  # type: ignore[no-untyped-call]
    (m, s), n = left.shape[-2:], right.shape[-1]
    left = left.expand(*batch, m, s).reshape(math.prod(batch), m, s)
    right = right.expand(*batch, s, n).reshape(math.prod(batch), s, n)
    multiply = _device_product if left.is_cuda else _host_product
    return multiply(left, right).reshape(*batch, m, n)


def times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Return the products [..., m] of matrices [..., m, s] with vectors [..., s]."""
    return (matrices * vectors[..., None, :]).sum(-1)


def _device_product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply [b, m, s] and [b, s, n] on a GPU, where all matrices of a batch are treated in the same way."""
    return left @ right


def _host_product(left: Tensor, right: Tensor) -> Tensor:
    """Multiply [b, m, s] and [b, s, n] on a CPU; without numba by ``plain_product``."""
    try:
        from featlearn.tiles import multiply_all
    except ModuleNotFoundError:
        return plain_product(left, right)
    out = left.new_empty(len(left), left.shape[1], right.shape[2])
    multiply_all(left.detach().contiguous().numpy(), right.detach().contiguous().numpy(), out.numpy())
    return out


def plain_product(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right summed term by term, each multiplication and addition rounded as in IEEE 754."""
    out = left.new_zeros(len(left), left.shape[1], right.shape[2])
    for j in range(left.shape[2]):
        out += left[:, :, j, None] * right[:, j, None, :]
    return out


def eigh(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues [b, D], ascending, and eigenvectors [b, D, D], as columns, of symmetric matrices [b, D, D].

    NaN for matrices that are not finite.
    """
    moderate, size = _moderate(matrices)
    found = [torch.linalg.eigh(part) for part in _parts(moderate)]
    values, vectors = (torch.cat(parts) for parts in zip(*found, strict=True))
    return values * size, vectors.where(size[..., None].isfinite(), math.nan)


def eigvalsh(matrices: Tensor) -> Tensor:
    """Return the eigenvalues [b, D], ascending, of symmetric matrices [b, D, D]; NaN where not finite."""
    moderate, size = _moderate(matrices)
    return torch.cat([torch.linalg.eigvalsh(part) for part in _parts(moderate)]) * size


def _moderate(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return matrices divided by a power of two that brings their largest entry near 1, and that power, [b, 1].

    LAPACK may fail near overflow or underflow. A matrix that is not finite becomes zero, its power NaN.
    """
    largest = matrices.abs().amax((1, 2))[:, None]
    finite = largest.isfinite() & ~matrices.isnan().any(-1).any(-1)[:, None]
    size = torch.where(finite & (largest > 0), largest, 1.0).log2().floor().exp2()
    return torch.where(finite[..., None], matrices / size[..., None], 0.0), size.where(finite, math.nan)


def _parts(matrices: Tensor) -> tuple[Tensor, ...]:
    """Split a batch on a CPU into single matrices: LAPACK gets a copy of each, at an aligned address."""
    return (matrices,) if matrices.is_cuda or not len(matrices) else torch.split(matrices, 1)
