"""XOR of two signals: the label is the axis along which the signal lies, not its sign.

Source: Meng, Zou & Cao 2023 (arXiv 2310.01975). With the axes u = a + b and v = a - b, |a|^2 + |b|^2 = signal_norm^2
and <a, b> = 0, a sample of true label +1 holds +u or -u with equal probability, one of label -1 holds +v or -v; its
other patches hold noise, projected off both axes. No linear classifier is better than chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from featlearn.data.model import Draws, Frame, Kind, Signal, TrainingSet, fair_signs
from featlearn.data.one_signal import OneSignal
from featlearn.data.spectrum import Spectrum
from featlearn.types import Bound, NonNegative, Positive, SizeFromTwo


@dataclass(frozen=True, kw_only=True)
class XOR(OneSignal):
    """XOR of two signals, with noise patches.

    n_samples: training samples n.
    dim: dimension d of a patch.
    n_patches: patches P a sample: one signal, P - 1 noise.
    signal_norm: norm of each of the four centres +-u, +-v; give this or snr, not both.
    snr: signal_norm / (noise_std sqrt(dim)).
    angle: between the axes u and v, in degrees; cos(angle) = (|a|^2 - |b|^2) / signal_norm^2.
    noise_std: standard deviation of a noise coordinate.
    flip_prob: probability that an observed label is not the true one.
    noise: shared (the same vector in all P - 1 noise patches of a sample) or independent (one vector a patch).
    noise_spectrum: null for isotropic noise, or a list of [eigenvalue, size]: the noise's covariance is noise_std^2
    times a diagonal matrix with these eigenvalues. A size of 1 or more is a multiplicity, one below 1 a share of dim,
    null what the others leave. The signals lie in the first block.
    """

    n_classes: ClassVar[int] = 2
    n_common: ClassVar[int] = 4

    n_samples: SizeFromTwo = 20
    dim: Annotated[int, Bound(ge=3, le=10**15)] = 1000
    n_patches: SizeFromTwo = 2
    signal_norm: NonNegative | None = None
    snr: NonNegative | None = None
    angle: Annotated[float, Bound(gt=0, lt=180)] = 90.0
    noise_std: Positive = 1.0
    flip_prob: Annotated[float, Bound(ge=0, lt=0.5)] = 0.0
    noise: Literal["shared", "independent"] = "shared"
    noise_spectrum: Spectrum | None = None

    @property
    def frame(self) -> Frame:
        """The axes u and v, and the noises, orthogonal to both."""
        square = self.strength**2
        product = square * math.sin(math.radians(90 - self.angle))  # exactly 0 at 90 degrees
        gram = ((square, product), (product, square))
        axes = Signal("u", even=True), Signal("v", even=True)
        return Frame(axes, gram, self.noises, orthogonal=True, spectrum=self.spectrum(2))

    def draw(self, draws: Draws) -> TrainingSet:
        """Draw true labels and the signs of axes with equal probability, and flips."""
        true_labels, signs = (fair_signs(draws, name, self.n_samples) for name in ("true labels", "signs"))
        signal = 2 * (true_labels < 0).long() + (signs < 0).long()
        return self.training_set(draws, true_labels, signal, [(0, 1), (0, -1), (1, 1), (1, -1)])

    def population(self) -> tuple[Kind, ...]:
        """Return samples of the four centres, named by their axis."""
        axes = ("u", 1.0, 0), ("v", -1.0, 1)
        return self.kinds((*axis, sign) for axis in axes for sign in (1.0, -1.0))
