"""Samples that share a signal and differ in its strength: large margins, and a share of small ones.

Source: Jelassi & Li 2022 (arXiv 2207.05931): a sample of label y holds theta y w* in one patch, with theta = alpha for
large margins and beta << alpha for small ones, and noise off w* in the others. Gradient descent memorizes the small
margins, momentum learns them (the claim): see theory/escape.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from featlearn.data.model import Draws, Frame, Kind, Signal, TrainingSet, column, fair_signs
from featlearn.data.one_signal import OneSignal
from featlearn.data.spectrum import Spectrum
from featlearn.types import Bound, NonNegative, Positive, Probability, SizeFromTwo


@dataclass(frozen=True, kw_only=True)
class Margins(OneSignal):
    """One signal of two strengths, with noise patches.

    n_samples: training samples n.
    dim: dimension d of a patch.
    n_patches: patches P a sample: one signal, P - 1 noise.
    signal_norm: norm of the signal in samples of large margin; give this or snr, not both.
    snr: signal_norm / (noise_std sqrt(dim)).
    small_share: probability of a small margin.
    small_strength: factor of the signal in samples of small margin.
    noise_std: standard deviation of a noise coordinate; noise is orthogonal to the signal.
    flip_prob: probability that an observed label is not the true one.
    noise: shared (the same vector in all P - 1 noise patches of a sample) or independent (one vector a patch).
    noise_spectrum: null for isotropic noise, or a list of [eigenvalue, size]: the noise's covariance is noise_std^2
    times a diagonal matrix with these eigenvalues. A size of 1 or more is a multiplicity, one below 1 a share of dim,
    null what the others leave. The signals lie in the first block.
    """

    n_classes: ClassVar[int] = 2
    n_common: ClassVar[int] = 4

    n_samples: SizeFromTwo = 20
    dim: Annotated[int, Bound(ge=2, le=10**15)] = 1000
    n_patches: SizeFromTwo = 2
    signal_norm: NonNegative | None = None
    snr: NonNegative | None = None
    small_share: Probability = 0.1
    small_strength: NonNegative = 0.1
    noise_std: Positive = 1.0
    flip_prob: Annotated[float, Bound(ge=0, lt=0.5)] = 0.0
    noise: Literal["shared", "independent"] = "shared"
    noise_spectrum: Spectrum | None = None

    @property
    def frame(self) -> Frame:
        """One signal, and the noises, orthogonal to it."""
        return Frame((Signal(),), ((self.strength**2,),), self.noises, True, self.spectrum(1))

    def draw(self, draws: Draws) -> TrainingSet:
        """Draw true labels with equal probability, margins and flips; patches are +-large, +-small, and the noises."""
        true_labels = fair_signs(draws, "true labels", self.n_samples)
        small = draws.uniforms("margins", self.n_samples) <= column(self.small_share)
        patches = [(0, 1.0), (0, -1.0), (0, self.small_strength), (0, -self.small_strength)]
        return self.training_set(draws, true_labels, 2 * small.long() + (true_labels < 0).long(), patches)

    def population(self) -> tuple[Kind, ...]:
        """Return samples of large and small margin, of either label."""
        margins = ("large", 1 - self.small_share, 1.0), ("small", self.small_share, self.small_strength)
        return tuple(
            self.kind(name, share / 2, label, [(0, label * strength)])
            for name, share, strength in margins
            for label in (1.0, -1.0)
        )
