"""The geometry of a block of runs, drawn from its exact law: its cost does not depend on the dimension d.

The R noises and f initial filters are standard Gaussian vectors, scaled. Along the S directions of the signals each has
N(0, 1) coordinates; the Gram matrix of the other d - S coordinates is Wishart, L L' with L lower triangular,
L_ii = sqrt(chi2_{d-S-i}) and L_ij ~ N(0, 1) (Bartlett's decomposition, valid for d - S >= R + f; see
``law_reason`` in config/automatic.py). So the rows of L are coordinates of these vectors, equal in law to drawn ones up
to a rotation. Anisotropic noise has a covariance with few distinct eigenvalues, in units of std^2 lambda_b with
multiplicities d_b: coordinates in each eigenspace are drawn like that, and those of noises scaled by sqrt(lambda_b).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from featlearn.data.model import Frame, PatchModel
from featlearn.geometry import Draw, by_run, inner_products, patches_of, stacked, taken
from featlearn.linalg import product
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.streams.lanes import LaneDraws, chi_squares, normals

Setting = tuple[PatchModel, TwoLayerCNN]


def draw(settings: Sequence[Setting], which: np.ndarray, seeds: Tensor) -> Draw:
    """Draw runs from the law of their geometry, each from its own seed; ``which`` [b]: the index of its setting.

    Runs with equal settings and seeds, which differ in the optimizer only, are drawn once. As many are drawn at a time
    as fit in the cache. Settings may differ in ``dim`` and in real numbers only.
    """
    numbers = {setting: i for i, setting in reversed(list(enumerate(settings)))}
    own = torch.as_tensor(np.array([numbers[setting] for setting in settings])[which], device=seeds.device)
    distinct, place = torch.unique(torch.stack([own, seeds], 1), dim=0, return_inverse=True)
    at_once = _at_once(settings[0], seeds.device)
    missing = -len(distinct) % at_once if seeds.is_cuda else 0  # there rounding may depend on the batch size
    rows = torch.split(torch.cat([distinct, distinct[-1:].expand(missing, -1)]), at_once)
    drawn: Draw = stacked([_draw(settings, part[:, 0].cpu().numpy(), part[:, 1].contiguous()) for part in rows])
    if len(distinct) == len(seeds) and (place.diff() == 1).all():
        return drawn
    together: Draw = taken(drawn, place)
    return together


def _draw(settings: Sequence[Setting], which: np.ndarray, seeds: Tensor) -> Draw:
    (data, network), tensor = settings[0], partial(_column, which=which, device=seeds.device)
    frame: Frame = merged([d.frame for d, _ in settings], tensor)
    n_signals, f = len(frame.signals), network.n_neurons(data)
    dim, init_std = tensor([d.dim for d, _ in settings]), tensor([n.std(d.dim) for d, n in settings])
    signals = merged([d.frame.coordinates for d, _ in settings], tensor)
    signals = torch.stack([torch.stack(row, 1) for row in signals], 1)
    variances = None
    if frame.spectrum:
        gaussians, variances = spectral_coordinates(seeds, frame.spectrum, n_signals, frame.n_noises + f)
        gaussians[:, : frame.n_noises] *= variances.sqrt()[:, None]
    else:
        gaussians = gaussian_coordinates(seeds, dim, n_signals, frame.n_noises + f)
    if frame.orthogonal:
        gaussians[:, : frame.n_noises, :n_signals] *= (signals.diagonal(dim1=1, dim2=2) == 0)[:, None]
    stds = [torch.as_tensor(noise.std).expand_as(dim)[:, None].expand(-1, len(noise.owners)) for noise in frame.noises]
    gaussians *= torch.cat([*stds, init_std[:, None].expand(-1, f)], 1)[..., None]
    noises, filters = gaussians[:, : frame.n_noises], gaussians[:, frame.n_noises :]
    vectors = torch.cat([pad(signals, (0, gaussians.shape[2] - n_signals)), noises], 1)
    biases = init_std[:, None] * normals(seeds, "law, biases", f) if network.bias else None
    training = _numbers_merged([d for d, _ in settings], tensor).draw(LaneDraws(seeds))
    patches = patches_of(vectors, training)
    geometry = inner_products(vectors, patches, filters, biases, n_signals, product, variances)
    return Draw(by_run(training), geometry)


def spectral_coordinates(
    seeds: Tensor, spectrum: Sequence[tuple[Tensor, Tensor]], n_signals: int, count: int
) -> tuple[Tensor, Tensor]:
    """Return coordinates [b, count, c] of standard Gaussian vectors, and the noise's variances along these, [b, c].

    spectrum: eigenvalues [b] and multiplicities [b]. Every eigenspace has coordinates of its own, those of the signals
    belong to the first. In one of D < count dimensions L has D columns: the others are 0.
    """
    parts, variances, place = [], [], torch.arange(count, device=seeds.device)
    for number, (value, size) in enumerate(spectrum):
        signals = 0 if number else n_signals
        part = gaussian_coordinates(seeds, size, signals, count, f" {number}" if number else "")
        part[..., signals:] *= (place < size[:, None] - signals)[:, None]
        parts.append(part)
        variances.append(value[:, None].expand(-1, part.shape[2]))
    return torch.cat(parts, 2), torch.cat(variances, 1)


def gaussian_coordinates(seeds: Tensor, dim: Tensor, n_signals: int, count: int, name: str = "") -> Tensor:
    """Return coordinates [b, count, S + count] of standard Gaussian vectors in dim [b] dimensions.

    The first S columns are N(0, 1); the others hold Bartlett's L of the dim - S other coordinates. ``name`` tells apart
    draws of one seed.
    """
    below = normals(seeds, f"law, below{name}", n_signals * count + count * (count - 1) // 2)
    degrees = (dim[:, None] - n_signals - torch.arange(count, device=dim.device)).clamp(min=1)
    diagonal = chi_squares(seeds, f"law, diagonal{name}", degrees).sqrt()
    entries = torch.cat([below, diagonal, torch.zeros_like(dim)[:, None]], 1)
    place = torch.full((count, n_signals + count), entries.shape[1] - 1, device=dim.device)
    row, column = torch.tril_indices(count, n_signals + count, n_signals - 1, device=dim.device)
    place[row, column] = torch.arange(below.shape[1], device=dim.device)
    place.diagonal(n_signals).copy_(below.shape[1] + torch.arange(count, device=dim.device))
    return entries.index_select(1, place.flatten()).reshape(-1, *place.shape)


def merged(parts: Sequence[Any], tensor: Callable[[Sequence[float]], Tensor]) -> Any:
    """Merge equal structures of several settings into one whose floats are tensors, made by ``tensor`` from a list."""
    first = parts[0]
    if isinstance(first, float):
        return tensor(parts)
    if is_dataclass(first) and not isinstance(first, type):
        names = [field.name for field in fields(first)]
        return replace(first, **{name: merged([getattr(part, name) for part in parts], tensor) for name in names})
    if isinstance(first, tuple) and not all(isinstance(item, int) for item in first):
        return tuple(merged(same, tensor) for same in zip(*parts, strict=True))
    return first


def structure(part: Any) -> Any:
    """Return what ``merged`` needs to be equal: the part without its real numbers."""
    if isinstance(part, float):
        return float
    if is_dataclass(part) and not isinstance(part, type):
        return type(part), *(structure(getattr(part, field.name)) for field in fields(part))
    if isinstance(part, tuple) and not all(isinstance(item, int) for item in part):
        return tuple(map(structure, part))
    return part


def _numbers_merged(datas: Sequence[Any], tensor: Callable[[Sequence[float]], Tensor]) -> Any:
    """Return the first of these models with its real numbers merged over all of them, and dim where it differs."""
    columns = {field.name: [getattr(data, field.name) for data in datas] for field in fields(datas[0])}
    merged = {name: column for name, column in columns.items() if all(isinstance(x, float) for x in column)}
    if len(set(columns["dim"])) > 1:
        merged["dim"] = columns["dim"]
    return replace(datas[0], **{name: tensor(column) for name, column in merged.items()})


def _column(values: Sequence[float], which: np.ndarray, device: torch.device) -> Tensor:
    """Return a number of every setting as one of every run, [b], in float64."""
    return torch.as_tensor(np.array(values, dtype=np.float64)[which]).to(device)


def _at_once(setting: Setting, device: torch.device) -> int:
    """Return how many runs are drawn at a time: their matrices fit in the cache, or on the GPU."""
    most = 2**24 if device.type == "cuda" else 2**18
    frame = setting[0].frame
    return max(1, most // (len(frame.signals) + frame.n_noises + setting[1].n_neurons(setting[0])) ** 2)
