"""Points of a Gaussian integral: directions, their rotation for each run, and lengths.

Scrambled Sobol directions are the same for every run; a random rotation from the run's seed is applied to them. So two
optimizers with one seed are compared on common random numbers, while the integration errors of different seeds are
independent: they average out, and the spread over seeds includes them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


@lru_cache(maxsize=8)
def sobol_directions(n_gaussians: int, size: int, n_points: int, n_scrambles: int) -> np.ndarray:
    """Return points on the unit sphere in n_gaussians * size dimensions, from independent scrambles of Sobol points."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    dim = n_gaussians * size
    scrambles = [qmc.Sobol(dim, rng=np.random.default_rng(i)).random(n_points) for i in range(n_scrambles)]
    normals = np.asarray(ndtri(np.concatenate(scrambles) + 2.0**-32))  # coordinates are multiples of 2^-30
    return np.asarray(normals / np.linalg.norm(normals, axis=1, keepdims=True))


@lru_cache(maxsize=8)
def padded_directions(sizes: tuple[int, int, int, int]) -> np.ndarray:
    """Return directions for compiled loops, [s, q, f, points], with columns of zeros (see tiles.py)."""
    from featlearn.tiles import pad_columns

    q, f, n_points, n_scrambles = sizes
    return pad_columns(sobol_directions(*sizes).reshape(n_scrambles, n_points, q, f).transpose(0, 2, 3, 1))


@lru_cache(maxsize=2)  # by the identity of the tensor
def padded_rotations(turns: Tensor) -> np.ndarray:
    """Return rotations for compiled loops, with columns of zeros."""
    from featlearn.tiles import pad_columns

    return pad_columns(turns.numpy())


@lru_cache(maxsize=4)  # by the identity of the tensor, the same at every step of a block
def rotations(seeds: Tensor, n_gaussians: int, size: int) -> Tensor:
    """Return uniformly distributed rotations [b, n_gaussians, size, size], from the seeds [b] of the runs alone.

    Gaussian rows, orthonormalized by Gram and Schmidt, each twice for orthogonality to rounding.
    """
    from featlearn.streams.lanes import normals

    rows = normals(seeds, "test rotations", n_gaussians * size * size).reshape(-1, size, size)
    turns = _orthonormal(rows) if rows.is_cuda else _compiled_orthonormal(rows)
    return turns.reshape(-1, n_gaussians, size, size)


def _orthonormal(rows: Tensor) -> Tensor:
    turns = rows.new_zeros(rows.shape)
    for i in range(rows.shape[1]):
        row, before = rows[:, i], turns[:, :i]
        for _ in range(2):
            along = (before * row[:, None]).sum(-1, keepdim=True)
            row = row - (along * before).sum(-2)
        turns[:, i] = row / row.square().sum(-1, keepdim=True).sqrt()
    return turns


def _compiled_orthonormal(rows: Tensor) -> Tensor:
    """Do the same in one pass on a CPU; without numba call ``_orthonormal``."""
    try:
        from featlearn.tiles import pad_columns
        from featlearn.trackers.integral_loops import orthonormalize
    except ModuleNotFoundError:
        return _orthonormal(rows)
    import torch

    padded = pad_columns(rows.numpy())
    orthonormalize(padded)
    return torch.as_tensor(padded)[..., : rows.shape[2]].contiguous()


_OFFSETS = 64


@lru_cache(maxsize=4)
def chi_lengths(seeds: Tensor, n_gaussians: int, size: int, n_points: int, n_scrambles: int) -> Tensor:
    """Return lengths of Gaussian vectors in n_gaussians * size dimensions, [b, n_scrambles * n_points].

    A scramble has one quantile of the chi law from each of n_points equal shares, in random order. Their position
    within the shares, one of _OFFSETS, is drawn for every run and scramble, so that errors average out over runs.
    """
    import torch
    from scipy.special import gammaincinv

    from featlearn.streams.lanes import uniforms

    shares = (np.arange(n_points * _OFFSETS) + 0.5) / (n_points * _OFFSETS)
    quantiles = np.sqrt(2 * gammaincinv(n_gaussians * size / 2, shares)).reshape(n_points, _OFFSETS)
    order = np.concatenate([np.random.default_rng(i).permutation(n_points) for i in range(n_scrambles)])
    places = (uniforms(seeds, "test lengths", n_scrambles) * _OFFSETS).ceil().long() - 1
    table = torch.as_tensor(quantiles).to(seeds.device)
    return table[torch.as_tensor(order).to(seeds.device), places.repeat_interleave(n_points, 1)]
