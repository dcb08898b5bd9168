"""Signal plus noise patches: one patch carries the label, the others only noise.

Source: the data model of Cao et al. 2022 (arXiv 2202.06526), Kou et al. 2023 (2303.04145) and Chen et al. 2023
(2310.07269): a sample of P patches holds ``true_label * signal`` at a random position and noise
``xi ~ N(0, noise_std^2 I_d)`` at the P - 1 others; the observed label is the true one,
flipped with probability flip_prob.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from featlearn.streams import stream
from featlearn.types import Bound, NonNegative, Positive


@dataclass(frozen=True)
class Labels:
    """What is drawn of a training set besides its vectors.

    true_labels, labels: [n] of +-1 (labels are observed: true ones with flips); positions: [n], the signal's patch.
    """

    true_labels: np.ndarray
    labels: np.ndarray
    positions: np.ndarray


@dataclass(frozen=True, kw_only=True)
class SignalNoise:
    """Signal plus noise patches.

    n_samples: training samples n.
    dim: dimension d of a patch.
    n_patches: patches P a sample: one signal, P - 1 noise.
    signal_norm: norm of the signal; give this or snr, not both.
    snr: signal_norm / (noise_std sqrt(dim)).
    noise_std: standard deviation of a noise coordinate.
    flip_prob: probability that an observed label is not the true one.
    noise: shared (the same vector in all P - 1 noise patches of a sample) or independent (one vector a patch).
    orthogonal_noise: project the noise orthogonally to the signal (where there is one).
    """

    n_samples: Annotated[int, Bound(ge=2)] = 20
    dim: Annotated[int, Bound(ge=2, le=10**15)] = 1000
    n_patches: Annotated[int, Bound(ge=2)] = 2
    signal_norm: NonNegative | None = None
    snr: NonNegative | None = None
    noise_std: Positive = 1.0
    flip_prob: Annotated[float, Bound(ge=0, lt=0.5)] = 0.0
    noise: Literal["shared", "independent"] = "shared"
    orthogonal_noise: bool = False

    @property
    def strength(self) -> float:
        """Norm of the signal, also where the config gave the snr.

        Raises ValueError unless exactly one of signal_norm and snr was given.
        """
        if (self.signal_norm is None) == (self.snr is None):
            raise ValueError(
                "give exactly one of signal_norm and snr; where one is inherited or swept, set the other to null"
            )
        if self.signal_norm is not None:
            return self.signal_norm
        assert self.snr is not None
        return self.snr * self.noise_std * math.sqrt(self.dim)

    @property
    def noises_per_sample(self) -> int:
        """Distinct noise vectors a sample has: 1 if shared, P - 1 if independent."""
        return {"shared": 1, "independent": self.n_patches - 1}[self.noise]

    @property
    def noise_count(self) -> int:
        """How many patches show one noise vector: P - 1 if shared, 1 if independent."""
        return (self.n_patches - 1) // self.noises_per_sample

    @property
    def n_noises(self) -> int:
        """Distinct noise vectors of the training set; vector q n + i is the q-th of sample i."""
        return self.n_samples * self.noises_per_sample

    def draw_labels(self, seed: int) -> Labels:
        """Draw true labels with equal probability, flips and the signal's positions of the run ``seed``."""
        n = self.n_samples
        true_labels = 2 * stream(seed, "true_labels").integers(0, 2, n) - 1
        flipped = stream(seed, "flips").random(n) < self.flip_prob
        positions = stream(seed, "positions").integers(0, self.n_patches, n)
        return Labels(true_labels, np.where(flipped, -true_labels, true_labels), positions)

    def draw_vectors(self, seed: int) -> np.ndarray:
        """Draw the data vectors [1 + n_noises, d]: the signal ``strength * e_1``, then the noises.

        The signal's direction is e_1: the law of everything else is invariant under rotations.
        """
        vectors = np.empty((1 + self.n_noises, self.dim))
        vectors[0] = 0
        vectors[0, 0] = self.strength
        stream(seed, "noise").standard_normal(out=vectors[1:])
        vectors[1:] *= self.noise_std
        if self.orthogonal_noise and self.strength > 0:
            vectors[1:, 0] = 0
        return vectors

    def patches(self, vectors: np.ndarray, labels: Labels) -> np.ndarray:
        """Lay the data vectors out as a network would see them: patches [n, P, d]."""
        n, p = self.n_samples, self.n_patches
        noises = vectors[1:].reshape(self.noises_per_sample, n, self.dim).swapaxes(0, 1)
        patches = np.empty((n, p, self.dim))
        for i, position in enumerate(labels.positions):
            patches[i, position] = labels.true_labels[i] * vectors[0]
            patches[i, np.arange(p) != position] = noises[i]
        return patches
