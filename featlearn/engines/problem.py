"""A block of runs of equal shape as tensors: distinct patches, which sample shows which, and the network on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from featlearn.data.model import Frame, Kind, PatchModel, Slot
from featlearn.functions import LossFunction, activation, loss
from featlearn.functions.activations import Activation
from featlearn.geometry import Draw, Weighted
from featlearn.models.two_layer_cnn import TwoLayerCNN


@dataclass(frozen=True)
class Composition:
    """The vectors that the patches of a block combine, and the population of fresh samples: for records, not training.

    frame, population: see data/model.py; their numbers are tensors [b]. flip_prob [b]. vectors, strengths [b, N, T],
    signal_gram, signal_align0, squares, biases, weighted: see geometry.py.
    """

    frame: Frame
    population: tuple[Kind, ...]
    flip_prob: Tensor
    vectors: Tensor
    strengths: Tensor
    signal_gram: Tensor
    signal_align0: Tensor
    squares: Tensor
    biases: Tensor | None
    weighted: Weighted | None

    @cached_property
    def mixing(self) -> Tensor:
        """M [b, N, K]: the patches are M times the vectors, and C M are the coefficients of C X over the vectors."""
        mixing = self.strengths.new_zeros(*self.strengths.shape[:2], self.squares.shape[1])
        return mixing.scatter_add_(2, self.vectors, self.strengths)


@dataclass(frozen=True)
class Problem:
    """The data that a block of b runs trains on; the same for both engines.

    seeds [b], int64: seeds of the runs' random streams. n_parameters [b]: trained numbers D of the network.
    gram [b, N, N], align0 [b, f, N], init_gram [b, f, f]: inner products (see geometry.Geometry).
    shown [b, n, s]: the distinct patch in each slot of a sample. slots, n_common: see data/model.py.
    labels [b, n]: +-1, or classes 0, ..., C - 1. n_classes: of the data.
    head [f, C]: the second layer, or its initial value if ``trained``. scale: of an activation (see TwoLayerCNN.scale).
    composition: None for micro-batches.
    """

    seeds: Tensor
    n_parameters: Tensor
    gram: Tensor
    align0: Tensor
    init_gram: Tensor
    shown: Tensor
    labels: Tensor
    slots: tuple[Slot, ...]
    n_common: int
    n_classes: int
    head: Tensor
    trained: bool
    activation: Activation
    loss: LossFunction
    scale: float
    composition: Composition | None

    @property
    def n_samples(self) -> int:
        """Number of training samples n."""
        return self.labels.shape[1]

    @property
    def n_outputs(self) -> int:
        """Number of outputs C of the network."""
        return self.head.shape[1]

    @property
    def times(self) -> tuple[int, ...]:
        """How many patches of a sample are the one in each slot, [s]."""
        return tuple(slot.times for slot in self.slots)

    @property
    def composed(self) -> Composition:
        """The composition; a block of whole runs has one."""
        assert self.composition is not None, "micro-batches are not observed"
        return self.composition

    def own(self) -> Tensor:
        """Whether filter f belongs to the label of sample n, its sign or its class, [b, f, n]."""
        if self.n_outputs == 1:
            return self.head * self.labels[:, None] > 0
        return self.head.argmax(1)[:, None] == self.labels[:, None]

    def patches_of(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Return the patches [b, s, N'] that micro-batches [b, s, n'] of samples show, and where: [b, s, n', slots].

        The common patches are listed once where a micro-batch has at least as many samples; else every sample lists
        what it shows.
        """
        lane = torch.arange(len(samples), device=samples.device)[:, None, None]
        shown, once = self.shown[lane, samples], samples.shape[2] >= self.n_common
        (b, s, n, _), size, parts, places = shown.shape, 0, [], []
        if once:
            size = self.n_common
            parts.append(torch.arange(size, device=samples.device).expand(b, s, size))
        for slot, patch in zip(self.slots, shown.unbind(3), strict=True):
            if slot.common and once:
                places.append(patch)
                continue
            parts.append(patch)
            places.append(torch.arange(size, size + n, device=samples.device).expand(b, s, n))
            size += n
        return torch.cat(parts, 2), torch.stack(places, 3)

    def part(self, samples: Tensor) -> Problem:
        """Return the problems of the micro-batches ``samples`` [b, s, n'] as b s lanes.

        W0 is left out (its inner products are 0): micro-batches only compute gradients at given points.
        """
        b, s, size = samples.shape
        once = size >= self.n_common  # else every sample lists its own copy of a common patch
        lane, (patches, shown) = torch.arange(b, device=samples.device)[:, None, None], self.patches_of(samples)
        gram = self.gram[lane[..., None], patches[..., :, None], patches[..., None, :]].flatten(0, 1)
        f, zero = len(self.head), self.gram.new_zeros(())
        return replace(
            self,
            seeds=self.seeds.repeat_interleave(s),
            n_parameters=self.n_parameters.repeat_interleave(s),
            gram=gram,
            align0=zero.expand(b * s, f, patches.shape[-1]),
            init_gram=zero.expand(b * s, f, f),
            shown=shown.flatten(0, 1),
            slots=self.slots if once else tuple(replace(slot, common=False) for slot in self.slots),
            n_common=self.n_common if once else 0,
            labels=self.labels[lane, samples].flatten(0, 1),
            composition=None,
        )


def make_problem(
    draw: Draw,
    seeds: Tensor,
    data: PatchModel,
    network: TwoLayerCNN,
    frame: Frame,
    population: Sequence[Kind],
    numbers: dict[str, Tensor],
    *,
    dtype: torch.dtype,
) -> Problem:
    """Return the problem of a block, on the device of ``seeds``.

    data, network: those of any run, for their shape. frame, population: merged over the runs (see law.merged).
    numbers: flip_prob and n_parameters [b].
    """

    def tensor(values: Any) -> Any:
        return values if values is None else values.to(seeds.device, dtype).contiguous()

    geometry, training = draw.geometry, draw.training
    weighted = geometry.weighted and Weighted(**{name: tensor(x) for name, x in vars(geometry.weighted).items()})
    composition = Composition(
        frame=frame,
        population=tuple(population),
        flip_prob=tensor(numbers["flip_prob"]),
        vectors=training.vectors.to(seeds.device),
        strengths=tensor(training.strengths),
        signal_gram=tensor(geometry.signal_gram),
        signal_align0=tensor(geometry.signal_align0),
        squares=tensor(geometry.squares),
        biases=tensor(geometry.biases),
        weighted=weighted,
    )
    labels = tensor(training.labels)
    return Problem(
        seeds=seeds,
        n_parameters=tensor(numbers["n_parameters"]),
        gram=tensor(geometry.gram),
        align0=tensor(geometry.align0),
        init_gram=tensor(geometry.init_gram),
        shown=training.shown.to(seeds.device).contiguous(),
        labels=network.targets(labels, data),
        slots=data.slots,
        n_common=data.n_common,
        n_classes=data.n_classes,
        head=tensor(torch.as_tensor(network.head(data))),
        trained=network.trained,
        activation=activation(network.activation),
        loss=loss(network.loss),
        scale=network.scale(data.n_patches),
        composition=composition,
    )
