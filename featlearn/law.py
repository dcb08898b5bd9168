"""The geometry of a block of runs, drawn from its exact law: the dimension d enters as a number only.

The n noises and 2m initial filters are standard Gaussian vectors, scaled. Along the signal's direction each has one
N(0, 1) coordinate; the Gram matrix of the other d - 1 coordinates is Wishart, L L' with L lower triangular,
L_ii = sqrt(chi2_{d-1-i}) and L_ij ~ N(0, 1) (Bartlett's decomposition, valid for d - 1 >= n + 2m; see
``geometry.law_reason``). Equal in law to the inner products of drawn vectors, not draw by draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from featlearn.linalg import product
from featlearn.streams.lanes import chi_squares, normals, uniforms


@dataclass(frozen=True)
class Numbers:
    """What the law of a run depends on besides its shape, [b] each, in float64; seeds in int64."""

    seeds: Tensor
    dim: Tensor
    noise_std: Tensor
    flip_prob: Tensor
    signal_norm: Tensor
    init_std: Tensor


@dataclass(frozen=True)
class Shape:
    """What the runs of a block share: samples n, noises q n, filters f = 2m, a bias or none, noise projected or not."""

    n_samples: int
    n_noises: int
    n_filters: int
    bias: bool
    orthogonal_noise: bool


@dataclass(frozen=True)
class Drawn:
    """True and observed labels [b, n] of +-1; gram [b, k, k], align0 [b, f, k], init_gram [b, f, f] (see Gram)."""

    true_labels: Tensor
    labels: Tensor
    gram: Tensor
    align0: Tensor
    init_gram: Tensor


def draw(numbers: Numbers, shape: Shape) -> Drawn:
    """Draw runs from the law of their geometry, each from its own seed, as many at a time as fit a cache."""
    at_once, count = _at_once(shape, numbers.seeds.device), len(numbers.seeds)
    missing = -count % at_once if numbers.seeds.is_cuda else 0  # there a product may round by the size of its batch
    columns = [torch.split(torch.cat([x, x[-1:].expand(missing)]), at_once) for x in vars(numbers).values()]
    parts = [vars(_draw(Numbers(*part), shape)).values() for part in zip(*columns, strict=True)]
    return Drawn(*(torch.cat(tensors)[:count] for tensors in zip(*parts, strict=True)))


def _draw(numbers: Numbers, shape: Shape) -> Drawn:
    true_labels, labels = draw_labels(numbers, shape.n_samples)
    rows = 1 + shape.n_noises + shape.n_filters
    lower = bartlett(numbers.seeds, numbers.dim, rows)
    if shape.orthogonal_noise:
        lower[:, 1 : 1 + shape.n_noises, 0] *= (numbers.signal_norm == 0)[:, None]
    stds = numbers.signal_norm, numbers.noise_std, numbers.init_std
    counts = 1, shape.n_noises, shape.n_filters
    lower *= torch.cat([std[:, None].expand(-1, count) for std, count in zip(stds, counts, strict=True)], 1)[..., None]
    joint, k = product(lower, lower.mT), 1 + shape.n_noises
    gram, align0, init_gram = joint[:, :k, :k], joint[:, k:, :k], joint[:, k:, k:]
    if shape.bias:
        biases = numbers.init_std[:, None] * normals(numbers.seeds, "law, biases", shape.n_filters)
        gram = pad(gram, (0, 1, 0, 1))
        gram[:, -1, -1] = 1
        align0 = torch.cat([align0, biases[..., None]], -1)
        init_gram = init_gram + biases[:, :, None] * biases[:, None, :]
    return Drawn(true_labels, labels, gram, align0, init_gram)


def draw_labels(numbers: Numbers, n_samples: int) -> tuple[Tensor, Tensor]:
    """Return true labels [b, n] of equal probability, and observed ones: flipped with probability flip_prob."""
    heads = uniforms(numbers.seeds, "law, true labels", n_samples) > 0.5
    flipped = uniforms(numbers.seeds, "law, flips", n_samples) <= numbers.flip_prob[:, None]
    true_labels = 2 * heads.to(torch.float64) - 1
    return true_labels, torch.where(flipped, -true_labels, true_labels)


def bartlett(seeds: Tensor, dim: Tensor, rows: int) -> Tensor:
    """Return L [b, rows, rows] with the inner products L L' of the signal's unit vector and Gaussian vectors.

    Its first column holds the coordinates along the signal: 1, then N(0, 1). Below it stands Bartlett's L of the
    dim - 1 other coordinates, dim [b].
    """
    below = normals(seeds, "law, below", rows * (rows - 1) // 2)
    roots = chi_squares(seeds, "law, diagonal", dim[:, None] - 1 - torch.arange(rows - 1, device=dim.device)).sqrt()
    one = torch.ones_like(dim)[:, None]
    entries = torch.cat([below, one, roots, 0 * one], 1)
    place = torch.full((rows, rows), entries.shape[1] - 1, device=dim.device)
    row, column = torch.tril_indices(rows, rows, -1, device=dim.device)
    place[row, column] = torch.arange(below.shape[1], device=dim.device)
    place.diagonal().copy_(below.shape[1] + torch.arange(rows, device=dim.device))
    return entries.index_select(1, place.flatten()).reshape(-1, rows, rows)


def _at_once(shape: Shape, device: torch.device) -> int:
    """Return how many runs are drawn at a time: with a matrix each that fit a cache, or a GPU."""
    most = 2**24 if device.type == "cuda" else 2**18
    return max(1, most // (1 + shape.n_noises + shape.n_filters) ** 2)
