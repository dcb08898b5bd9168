"""The geometry of a run: every inner product that its training can ever need.

With data vectors V [k, d] and initial filters W0 [f, d] these are G = V V', A0 = W0 V' and W0 W0', computed here from
explicit vectors, one run at a time. law.py draws them from their exact law, for whole blocks and in any dimension.
A bias is one more data vector, orthonormal to all others, that every patch contains; it comes last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featlearn.data import SignalNoise
from featlearn.models.two_layer_cnn import TwoLayerCNN


@dataclass(frozen=True)
class Gram:
    """Inner products of a run: data G = V V' [k, k], data_init A0 = W0 V' [f, k], init_init W0 W0' [f, f]."""

    data: np.ndarray
    data_init: np.ndarray
    init_init: np.ndarray

    def with_bias(self, biases: np.ndarray) -> Gram:
        """Append the bias direction as the last data vector, and the initial ``biases`` [f] along it."""
        k = len(self.data)
        data = np.eye(k + 1)
        data[:k, :k] = self.data
        data_init = np.column_stack([self.data_init, biases])
        return Gram(data, data_init, self.init_init + np.outer(biases, biases))


def gram_of_vectors(vectors: np.ndarray, weights: np.ndarray) -> Gram:
    """Compute the inner products of data vectors [k, d] and initial weights [f, d].

    torch's copies begin where a cache line does, so that the bits of a product do not depend on where the draws lie.
    """
    import torch

    v, w = torch.tensor(vectors), torch.tensor(weights)
    return Gram((v @ v.T).numpy(), (w @ v.T).numpy(), (w @ w.T).numpy())


def law_reason(data: SignalNoise, network: TwoLayerCNN) -> str | None:
    """Say why the Gram matrices of this run cannot be drawn from their law, or None if they can."""
    vectors = data.n_noises + 2 * network.n_filters
    if network.init != "gaussian":
        return "init: uniform is not Gaussian, so its Gram matrix has no simple law"
    if data.dim - 1 < vectors:
        return f"dim - 1 = {data.dim - 1} is less than the {vectors} noise vectors and filters it must hold"
    return None


@dataclass(frozen=True)
class Draw:
    """Everything random about a run before its first step.

    gram: with the bias direction if the network has one. vectors [1 + n_noises, d], weights [2m, d] and patches
    [n, P, d] are kept on request.
    """

    true_labels: np.ndarray
    labels: np.ndarray
    gram: Gram
    biases: np.ndarray | None
    vectors: np.ndarray | None = None
    weights: np.ndarray | None = None
    patches: np.ndarray | None = None


def draw_run(data: SignalNoise, network: TwoLayerCNN, seed: int, *, patches: bool = False) -> Draw:
    """Draw the run ``seed`` from explicit vectors.

    patches: also keep the vectors, and lay them out as [n, P, d]; otherwise they are dropped once their inner
    products are known, so that memory does not grow with the dimension times the number of runs.
    """
    labels = data.draw_labels(seed)
    biases = network.draw_biases(seed, data.dim) if network.bias else None
    vectors, weights = data.draw_vectors(seed), network.draw_weights(seed, data.dim)
    gram = gram_of_vectors(vectors, weights)
    if biases is not None:
        gram = gram.with_bias(biases)
    if not patches:
        return Draw(labels.true_labels, labels.labels, gram, biases)
    laid_out = data.patches(vectors, labels)
    return Draw(labels.true_labels, labels.labels, gram, biases, vectors, weights, laid_out)
