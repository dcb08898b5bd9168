"""Signal plus noise patches: one patch carries the label, the others only noise.

Source: the data model of Cao et al. 2022 (arXiv 2202.06526), Kou et al. 2023 (2303.04145) and Chen et al. 2023
(2310.07269): a sample of P patches holds ``true_label * signal`` in one of them and noise
``xi ~ N(0, noise_std^2 I_d)`` in the P - 1 others; the observed label is the true one,
flipped with probability flip_prob.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from featlearn.data.model import Draws, Frame, Kind, Signal, TrainingSet, fair_signs
from featlearn.data.one_signal import OneSignal
from featlearn.data.spectrum import Spectrum
from featlearn.types import Bound, NonNegative, Positive, SizeFromTwo


@dataclass(frozen=True, kw_only=True)
class SignalNoise(OneSignal):
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
    noise_spectrum: null for isotropic noise, or a list of [eigenvalue, size]: the noise's covariance is noise_std^2
    times a diagonal matrix with these eigenvalues. A size of 1 or more is a multiplicity, one below 1 a share of dim,
    null what the others leave. The signal lies in the first block.
    """

    n_classes: ClassVar[int] = 2
    n_common: ClassVar[int] = 2

    n_samples: SizeFromTwo = 20
    dim: Annotated[int, Bound(ge=2, le=10**15)] = 1000
    n_patches: SizeFromTwo = 2
    signal_norm: NonNegative | None = None
    snr: NonNegative | None = None
    noise_std: Positive = 1.0
    flip_prob: Annotated[float, Bound(ge=0, lt=0.5)] = 0.0
    noise: Literal["shared", "independent"] = "shared"
    orthogonal_noise: bool = False
    noise_spectrum: Spectrum | None = None

    @property
    def frame(self) -> Frame:
        """One signal, and the noises."""
        return Frame((Signal(),), ((self.strength**2,),), self.noises, self.orthogonal_noise, self.spectrum(1))

    def draw(self, draws: Draws) -> TrainingSet:
        """Draw true labels with equal probability, and flips; the patches are +signal, -signal and the noises."""
        true_labels = fair_signs(draws, "true labels", self.n_samples)
        return self.training_set(draws, true_labels, (true_labels < 0).long(), [(0, 1), (0, -1)])

    def population(self) -> tuple[Kind, ...]:
        """Return samples of either label."""
        return self.kinds(("", sign, 0, sign) for sign in (1.0, -1.0))
