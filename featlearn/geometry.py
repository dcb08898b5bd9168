"""The geometry of runs: all inner products that training and trackers need.

With the distinct patches X [N, d] and initial filters W0 [f, d] training needs X X', W0 X' and W0 W0' alone. A bias is
one more coordinate, which is 1 for every patch: it adds 1 to every entry of X X'. Here they are computed from vectors
in any orthonormal coordinates: explicit ones, a run at a time, or those of law.py, as many as there are vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featlearn.data.model import PatchModel, TrainingSet
from featlearn.models.two_layer_cnn import TwoLayerCNN
from featlearn.streams import stream
from featlearn.streams.lanes import LaneDraws


@dataclass(frozen=True)
class Weighted:
    """Inner products <u, Lam v> of a block of runs, Lam the noise's covariance in units of std^2; without biases.

    gram [b, N, N]: of the patches. align0 [b, f, N]: of filters with patches. init_gram [b, f, f]: of filters.
    """

    gram: Tensor
    align0: Tensor
    init_gram: Tensor


@dataclass(frozen=True)
class Geometry:
    """Inner products of a block of runs, and the initial biases [b, f], or None without.

    gram [b, N, N]: of the patches. align0 [b, f, N]: of filters with patches. init_gram [b, f, f]: of filters. These
    three include the biases, if any; the others do not. signal_gram [b, N, S]: of patches with signals.
    signal_align0 [b, f, S]: of filters with signals. squares [b, K]: squared norms of the signals, then of the noises.
    weighted: None where the noise is isotropic.
    """

    gram: Tensor
    align0: Tensor
    init_gram: Tensor
    signal_gram: Tensor
    signal_align0: Tensor
    squares: Tensor
    biases: Tensor | None
    weighted: Weighted | None = None


@dataclass(frozen=True)
class Draw:
    """All random draws of a block of runs before the first step.

    vectors [b, K, d], weights [b, f, d] and patches [b, N, d] are kept on request, for explicit draws only.
    """

    training: TrainingSet
    geometry: Geometry
    vectors: Tensor | None = None
    weights: Tensor | None = None
    patches: Tensor | None = None


def patches_of(vectors: Tensor, training: TrainingSet) -> Tensor:
    """Return the distinct patches [b, N, d], each a sum of its vectors [b, K, d] times their strengths."""
    numbers, strengths = training.vectors, training.strengths
    if numbers.ndim == 2:
        terms = [vectors.index_select(1, number) for number in numbers.unbind(1)]
    else:
        lane = torch.arange(len(vectors), device=vectors.device)[:, None]
        terms = [vectors[lane, number] for number in numbers.unbind(2)]
    total = strengths[..., 0, None] * terms[0]
    for strength, term in zip(strengths.unbind(-1)[1:], terms[1:], strict=True):
        total = total + strength[..., None] * term
    return total


def inner_products(
    vectors: Tensor,
    patches: Tensor,
    filters: Tensor,
    biases: Tensor | None,
    n_signals: int,
    product: Callable[[Tensor, Tensor], Tensor],
    variances: Tensor | None = None,
) -> Geometry:
    """Return the geometry of vectors [b, K, c], patches [b, N, c] and filters [b, f, c]; ``product`` multiplies.

    variances [b, c]: of the noise along every coordinate, in units of std^2; None where they are equal.
    """
    signals = vectors[:, :n_signals]
    gram, align0, init_gram = product(patches, patches.mT), product(filters, patches.mT), product(filters, filters.mT)
    if biases is not None:
        gram, align0 = gram + 1, align0 + biases[..., None]
        init_gram = init_gram + biases[:, :, None] * biases[:, None, :]
    weighted = None
    if variances is not None:
        heavy_patches, heavy_filters = variances[:, None] * patches, variances[:, None] * filters
        weighted = Weighted(
            gram=product(heavy_patches, patches.mT),
            align0=product(heavy_filters, patches.mT),
            init_gram=product(heavy_filters, filters.mT),
        )
    return Geometry(
        gram=gram,
        align0=align0,
        init_gram=init_gram,
        signal_gram=product(patches, signals.mT),
        signal_align0=product(filters, signals.mT),
        squares=vectors.square().sum(-1),
        biases=biases,
        weighted=weighted,
    )


def axis_variances(spectrum: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return the variances of the noise along all axes, [d], in units of std^2."""
    values, counts = np.array(spectrum).T
    return np.repeat(values, counts.astype(int))


def draw_run(data: PatchModel, network: TwoLayerCNN, seed: int, *, keep: bool = False) -> Draw:
    """Draw the run ``seed`` from explicit vectors, a block of one.

    keep: also keep the vectors; otherwise they are dropped once their inner products are known, so that memory does not
    grow with the dimension times the number of runs.
    """
    training = by_run(data.draw(LaneDraws(torch.tensor([seed]))))
    # torch aligns copies to cache lines: the bits of a product do not depend on the address of the draws
    vectors, weights = (torch.tensor(x)[None] for x in (draw_vectors(data, seed), network.draw_weights(seed, data)))
    biases = torch.tensor(network.draw_biases(seed, data))[None] if network.bias else None
    patches = patches_of(vectors, training)
    frame = data.frame
    variances = torch.tensor(axis_variances(frame.spectrum))[None] if frame.spectrum else None
    geometry = inner_products(vectors, patches, weights, biases, len(frame.signals), torch.matmul, variances)
    return Draw(training, geometry, vectors, weights, patches) if keep else Draw(training, geometry)


def draw_vectors(data: PatchModel, seed: int) -> np.ndarray:
    """Draw the vectors [K, d] of the run ``seed``: signals along the first S axes, then the noises.

    The signals' directions are arbitrary: the law of everything else is invariant under rotations. Anisotropic noise
    has its eigenvectors along the axes, those of the first eigenvalue first.
    """
    frame = data.frame
    n_signals = len(frame.signals)
    vectors = np.zeros((n_signals + frame.n_noises, data.dim))
    vectors[:n_signals, :n_signals] = frame.coordinates
    noises = vectors[n_signals:]
    stream(seed, "noise").standard_normal(out=noises)
    noises *= np.repeat([noise.std for noise in frame.noises], [len(noise.owners) for noise in frame.noises])[:, None]
    if frame.spectrum:
        noises *= np.sqrt(axis_variances(frame.spectrum))
    if frame.orthogonal:
        noises[:, :n_signals][:, np.diagonal(frame.coordinates) > 0] = 0
    return vectors


def by_run(training: TrainingSet) -> TrainingSet:
    """Return a training set with an axis of runs in all its tensors."""
    b = len(training.labels)
    own = (training.vectors, training.strengths)
    vectors, strengths = (x.expand(b, *x.shape) if x.ndim == 2 else x for x in own)
    return replace(training, vectors=vectors, strengths=strengths)


def stacked(draws: Sequence[Any]) -> Any:
    """Stack draws, or parts of them, along the runs."""
    return _mapped(torch.cat, draws)


def taken(draw: Any, place: Tensor) -> Any:
    """Return the runs of a draw at these indices [b]."""
    return _mapped(lambda tensors: tensors[0].index_select(0, place), [draw])


def _mapped(function: Callable[[list[Tensor]], Tensor], draws: Sequence[Any]) -> Any:
    first = draws[0]
    if first is None or isinstance(first, Tensor):
        return first if first is None else function(list(draws))
    names = [field.name for field in fields(first)]
    return type(first)(**{name: _mapped(function, [getattr(draw, name) for draw in draws]) for name in names})
