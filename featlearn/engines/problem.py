"""A block of runs of equal shape as tensors: the training sets, their geometry, and the network that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from featlearn.data import SignalNoise
from featlearn.functions.activations import Activation, activation
from featlearn.geometry import Draw
from featlearn.law import Drawn, Numbers
from featlearn.models.two_layer_cnn import TwoLayerCNN


@dataclass(frozen=True)
class Problem:
    """What a block of b runs trains on; the same for both engines.

    seeds [b], int64: what the runs' random streams are found from.
    gram [b, k, k], align0 [b, f, k], init_gram [b, f, f]: the geometry (see geometry.Gram).
    labels, true_labels [b, n] of +-1. noise_std, flip_prob, signal_norm [b].
    n_parameters [b]: trained numbers D of the network, biases included.
    signs [f, 1]: second layer. scale: what an activation is multiplied with (see TwoLayerCNN.scale).
    noises_per_sample q, noise_count: distinct noises of a sample, and how many patches show each.
    """

    seeds: Tensor
    gram: Tensor
    align0: Tensor
    init_gram: Tensor
    labels: Tensor
    true_labels: Tensor
    noise_std: Tensor
    flip_prob: Tensor
    signal_norm: Tensor
    n_parameters: Tensor
    signs: Tensor
    activation: Activation
    scale: float
    noises_per_sample: int
    noise_count: int
    bias: bool
    orthogonal_noise: bool

    @property
    def n_samples(self) -> int:
        """Number of training samples n."""
        return self.labels.shape[1]

    @property
    def n_noises(self) -> int:
        """Distinct noise vectors of a training set, q n."""
        return self.noises_per_sample * self.n_samples

    def vectors_of(self, samples: Tensor) -> Tensor:
        """Return the data vectors [..., k'] that samples [..., n'] show: the signal, their noises, the bias."""
        signal = torch.zeros_like(samples[..., :1])
        noises = [1 + q * self.n_samples + samples for q in range(self.noises_per_sample)]
        bias = [signal + self.gram.shape[1] - 1] if self.bias else []
        return torch.cat([signal, *noises, *bias], -1)

    def part(self, samples: Tensor) -> Problem:
        """Return the problems of the micro-batches ``samples`` [b, s, n'] as b s lanes.

        They begin nowhere: W0 is left out (its inner products are 0), as a micro-batch only passes points on.
        """
        b, s, _ = samples.shape
        lane, vectors = torch.arange(b, device=samples.device)[:, None, None], self.vectors_of(samples)
        gram = self.gram[lane[..., None], vectors[..., :, None], vectors[..., None, :]].flatten(0, 1)
        each = ("seeds", "noise_std", "flip_prob", "signal_norm", "n_parameters")
        f, zero = len(self.signs), self.gram.new_zeros(())
        return replace(
            self,
            gram=gram,
            align0=zero.expand(b * s, f, vectors.shape[-1]),
            init_gram=zero.expand(b * s, f, f),
            labels=self.labels[lane, samples].flatten(0, 1),
            true_labels=self.true_labels[lane, samples].flatten(0, 1),
            **{name: getattr(self, name).repeat_interleave(s) for name in each},
        )

    def signal_preactivations(self, align: Tensor) -> Tensor:
        """Return [b, f, 2]: filters on the patches +signal and -signal, from their alignments [b, f, k]."""
        signal = align[..., :1]
        pair = torch.cat([signal, -signal], -1)
        return pair + align[..., -1:] if self.bias else pair

    def noise_preactivations(self, align: Tensor) -> Tensor:
        """Return [b, f, q, n]: filters on the noise patches, from their alignments [b, f, k]."""
        b, f, _ = align.shape
        noise = align[..., 1 : 1 + self.n_noises].reshape(b, f, self.noises_per_sample, self.n_samples)
        return noise + align[..., -1:, None] if self.bias else noise

    def by_true_label(self, pair: Tensor) -> Tensor:
        """Give every sample the value of its own signal patch: [..., 2] -> [..., n]."""
        shape = (*pair.shape[:-1], self.n_samples)
        positive = (self.true_labels > 0).reshape(len(pair), *[1] * (pair.ndim - 2), -1).expand(shape)
        return torch.where(positive, pair[..., :1], pair[..., 1:])

    def outputs(self, signal: Tensor, noise: Tensor) -> Tensor:
        """Return f_i = scale sum_jr j [act(signal patch) + noise_count sum_q act(noise patch)], [b, n]."""
        act = self.activation.value
        signal_part = (self.signs * act(signal)).sum(1)
        noise_part = (self.signs * act(noise).sum(2)).sum(1)
        return self.scale * (self.by_true_label(signal_part) + self.noise_count * noise_part)


def stack_draws(draws: Sequence[Draw]) -> Drawn:
    """Stack the explicit draws of runs of equal shape."""

    def tensor(arrays: Sequence[np.ndarray]) -> Tensor:
        return torch.as_tensor(np.stack(arrays), dtype=torch.float64)

    return Drawn(
        true_labels=tensor([draw.true_labels for draw in draws]),
        labels=tensor([draw.labels for draw in draws]),
        gram=tensor([draw.gram.data for draw in draws]),
        align0=tensor([draw.gram.data_init for draw in draws]),
        init_gram=tensor([draw.gram.init_init for draw in draws]),
    )


def make_problem(
    drawn: Drawn, numbers: Numbers, data: SignalNoise, network: TwoLayerCNN, *, dtype: torch.dtype
) -> Problem:
    """Return the problem of a block, on the device of ``numbers``; data and network are any run's, for their shape."""

    def tensor(values: Tensor) -> Tensor:
        return values.to(numbers.seeds.device, dtype).contiguous()

    return Problem(
        seeds=numbers.seeds,
        **{name: tensor(values) for name, values in vars(drawn).items()},
        noise_std=tensor(numbers.noise_std),
        flip_prob=tensor(numbers.flip_prob),
        signal_norm=tensor(numbers.signal_norm),
        n_parameters=tensor(2 * network.n_filters * (numbers.dim + network.bias)),
        signs=tensor(torch.as_tensor(network.signs))[:, None],
        activation=activation(network.activation),
        scale=network.scale(data.n_patches),
        noises_per_sample=data.noises_per_sample,
        noise_count=data.noise_count,
        bias=network.bias,
        orthogonal_noise=data.orthogonal_noise,
    )
