"""Signal and noise in one patch: the mixture of two Gaussians, in a dimension of the order of the number of samples.

Source: Frei et al. 2022 (arXiv 2202.05928) and Karhadkar et al. 2024 (arXiv 2403.06903): a sample is one patch

    x = sqrt(gamma) y v + sqrt(1 - gamma) xi,    |v| = 1,    xi ~ N(0, (I - v v') / d),

so that |x| is about 1; gamma is the share of the signal in |x|^2. Training labels are flipped; the papers' test labels
are true ones, so that their test error is ``test_error_true``. With d of the order of n, samples are not nearly
orthogonal, as they are in the other models' theorems.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from featlearn.data.model import (
    Draws,
    Frame,
    FreshPatch,
    Kind,
    Noise,
    Scalar,
    Signal,
    Slot,
    TrainingSet,
    column,
    fair_signs,
    flipped,
)
from featlearn.types import Bound, SizeFromTwo


@dataclass(frozen=True, kw_only=True)
class LeakyMixture:
    """Mixture of two Gaussians, one patch a sample.

    n_samples: training samples n.
    dim: dimension d of the patch.
    gamma: share of the signal in the expected squared norm of a patch, which is 1 up to the signal's own direction.
    flip_prob: probability that an observed label is not the true one.
    """

    n_classes: ClassVar[int] = 2
    n_common: ClassVar[int] = 0
    n_patches: ClassVar[int] = 1

    n_samples: SizeFromTwo = 100
    dim: Annotated[int, Bound(ge=2, le=10**15)] = 200
    gamma: Annotated[float, Bound(ge=0, le=1)] = 0.05
    flip_prob: Annotated[float, Bound(ge=0, lt=0.5)] = 0.0

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The one patch."""
        return (Slot("both"),)

    @property
    def frame(self) -> Frame:
        """The unit vector v, and a noise of each sample, orthogonal to it."""
        return Frame((Signal(),), ((1.0,),), (Noise(1 / math.sqrt(self.dim), tuple(range(self.n_samples))),), True)

    def draw(self, draws: Draws) -> TrainingSet:
        """Draw true labels with equal probability, and flips; every sample shows its own patch."""
        import torch

        labels, n = fair_signs(draws, "true labels", self.n_samples), self.n_samples
        numbers = torch.arange(n, device=labels.device)
        of_signal, of_noise = (column(strength) * torch.ones_like(labels) for strength in self.strengths)
        return TrainingSet(
            true_labels=labels,
            labels=flipped(draws, labels, self.flip_prob),
            shown=numbers[None, :, None].expand(len(labels), -1, -1),
            vectors=torch.stack([torch.zeros_like(numbers), 1 + numbers], 1),
            strengths=torch.stack([of_signal * labels, of_noise], 2),
        )

    def population(self) -> tuple[Kind, ...]:
        """Return samples of either label."""
        signal, noise = self.strengths
        std = noise / math.sqrt(self.dim)
        patches = ((sign, FreshPatch(((0, sign * signal),), noise=0, std=std)) for sign in (1.0, -1.0))
        return tuple(Kind("", 0.5, sign, (patch,)) for sign, patch in patches)

    @property
    def strengths(self) -> tuple[Scalar, Scalar]:
        """sqrt(gamma) and sqrt(1 - gamma)."""
        return self.gamma**0.5, (1 - self.gamma) ** 0.5
