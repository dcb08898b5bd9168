"""A core signal and a spurious one, whose sign agrees with the label for most samples only.

Source: Deng et al. 2023 (arXiv 2306.04949): with the label y = +-1 and an attribute a that is y with probability
``alignment``, a sample holds y v_c in one patch, a v_s in another, and noise in the rest, with v_c and v_s orthogonal.
A network that has learned v_s alone fits the majority (a = y) and errs on the minority (a = -y): see
theory/escape.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from featlearn.data.model import Draws, Frame, Kind, Signal, TrainingSet, column, fair_signs
from featlearn.data.signal_patches import SignalPatches
from featlearn.data.spectrum import Spectrum
from featlearn.types import Bound, NonNegative, Positive, Probability, SizeFromTwo


@dataclass(frozen=True, kw_only=True)
class Spurious(SignalPatches):
    """Core and spurious signal, with noise patches.

    n_samples: training samples n.
    dim: dimension d of a patch.
    n_patches: patches P a sample: two signals, P - 2 noise.
    core_norm: norm of the core signal, whose sign is the true label.
    spurious_norm: norm of the spurious signal, orthogonal to it.
    alignment: probability that the spurious signal's sign is the true label.
    noise_std: standard deviation of a noise coordinate; noise is not projected off the signals.
    flip_prob: probability that an observed label is not the true one.
    noise: shared (the same vector in all P - 2 noise patches of a sample) or independent (one vector a patch).
    noise_spectrum: null for isotropic noise, or a list of [eigenvalue, size]: the noise's covariance is noise_std^2
    times a diagonal matrix with these eigenvalues. A size of 1 or more is a multiplicity, one below 1 a share of dim,
    null what the others leave. The signals lie in the first block.
    """

    n_classes: ClassVar[int] = 2
    n_common: ClassVar[int] = 4
    n_signal_patches: ClassVar[int] = 2

    n_samples: SizeFromTwo = 20
    dim: Annotated[int, Bound(ge=3, le=10**15)] = 1000
    n_patches: Annotated[int, Bound(ge=3, le=10**6)] = 3
    core_norm: NonNegative = 1.0
    spurious_norm: NonNegative = 1.0
    alignment: Probability = 0.98
    noise_std: Positive = 1.0
    flip_prob: Annotated[float, Bound(ge=0, lt=0.5)] = 0.0
    noise: Literal["shared", "independent"] = "shared"
    noise_spectrum: Spectrum | None = None

    @property
    def frame(self) -> Frame:
        """The core signal and the spurious one, orthogonal, and the noises."""
        gram = ((self.core_norm**2, 0.0), (0.0, self.spurious_norm**2))
        return Frame((Signal("core"), Signal("spurious")), gram, self.noises, spectrum=self.spectrum(2))

    def draw(self, draws: Draws) -> TrainingSet:
        """Draw true labels with equal probability, attributes and flips; patches are +-core, +-spurious, the noises."""
        import torch

        true_labels = fair_signs(draws, "true labels", self.n_samples)
        agrees = draws.uniforms("attributes", self.n_samples) <= column(self.alignment)
        core = (true_labels < 0).long()
        spurious = 2 + (core ^ (~agrees).long())
        patches = [(0, 1.0), (0, -1.0), (1, 1.0), (1, -1.0)]
        return self.training_set(draws, true_labels, torch.stack([core, spurious], 2), patches)

    def population(self) -> tuple[Kind, ...]:
        """Return the majority, whose spurious sign is the label, and the minority, of either label."""
        groups = ("majority", self.alignment, 1.0), ("minority", 1 - self.alignment, -1.0)
        return tuple(
            self.kind(name, share / 2, label, [(0, label), (1, sign * label)])
            for name, share, sign in groups
            for label in (1.0, -1.0)
        )
