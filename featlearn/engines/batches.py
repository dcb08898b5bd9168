"""The samples of a step, for each ``train.batch_sampling``, and the law of their weights."""

from __future__ import annotations

import torch
from torch import Tensor

from featlearn.streams.lanes import permutations, uniforms
from featlearn.types import BatchSampling


def shuffled(seeds: Tensor, n: int, epoch: int) -> Tensor:
    """Return the order [b, n] of the n samples in an epoch, for the runs with these seeds [b]."""
    return permutations(seeds, "batches", n, epoch)


def subset(seeds: Tensor, name: str, n: int, size: int, step: int) -> Tensor:
    """Return a random subset of the n samples in random order, [b, size], the draw ``name`` of a step."""
    return permutations(seeds, name, n, step)[:, :size]


def resampled(seeds: Tensor, name: str, n: int, size: int, step: int) -> Tensor:
    """Return independent samples [b, size], each of the n equally likely, the draw ``name`` of a step."""
    return (uniforms(seeds, name, size, step) * n).ceil().long() - 1


def batch_weights(samples: Tensor, like: Tensor) -> Tensor:
    """Return sample weights shaped like ``like`` [b, n]: k/B on a sample that is k of the samples [b, B]."""
    share = like.new_full((), 1 / samples.shape[1])
    return torch.zeros_like(like).scatter_add_(1, samples, share.expand(samples.shape))


def batch_variance(n: int, size: int, sampling: BatchSampling) -> float:
    """Return c of the covariance (c/n) (I - 11'/n) of the sample weights of a step, whose mean is 1/n.

    With B = ``size``, c = (n - B) / (B (n - 1)) without replacement and 1/B with it. So the mini-batch gradient has
    covariance c V, V that of the gradients of single samples (divided by n). A batch of ``epochs`` has the law of a
    fresh subset, except the last one where B does not divide n, but the batches of an epoch are not independent. By
    the covariance of a simple random sample (Cochran, Sampling Techniques, 1977, section 2.5).

    Raises ValueError unless 1 <= B <= n.
    """
    if not 1 <= size <= n:
        raise ValueError(f"a batch has 1 to n = {n} samples; found {size}")
    if sampling == "with_replacement":
        return 1 / size
    return (n - size) / (size * max(n - 1, 1))
