"""A model with the signal and the noise in one patch: x = y mu + xi, the mixture of two Gaussians."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from featlearn.data.model import Frame, FreshPatch, Kind, Noise, Signal, Slot, TrainingSet, fair_signs, flipped


@dataclass(frozen=True, kw_only=True)
class Leaky:
    """One patch a sample, of strength ``strength`` along the signal of norm signal_norm."""

    n_classes: ClassVar[int] = 2
    n_common: ClassVar[int] = 0
    n_patches: ClassVar[int] = 1

    n_samples: int = 20
    dim: int = 1000
    signal_norm: float = 2.0
    strength: float = 1.0
    noise_std: float = 1.0
    flip_prob: float = 0.0

    @property
    def slots(self):
        return (Slot("both"),)

    @property
    def frame(self):
        return Frame((Signal(),), ((self.signal_norm**2,),), (Noise(self.noise_std, tuple(range(self.n_samples))),))

    def draw(self, draws):
        labels, n = fair_signs(draws, "true labels", self.n_samples), self.n_samples
        strength = torch.as_tensor(self.strength, dtype=torch.float64, device=labels.device).expand(len(labels))
        numbers = torch.arange(n, device=labels.device)
        return TrainingSet(
            true_labels=labels,
            labels=flipped(draws, labels, self.flip_prob),
            shown=numbers[None, :, None].expand(len(labels), -1, -1),
            vectors=torch.stack([torch.zeros_like(numbers), 1 + numbers], 1),
            strengths=torch.stack([strength[:, None] * labels, torch.ones_like(labels)], 2),
        )

    def population(self):
        patches = (FreshPatch(((0, sign * self.strength),), noise=0, std=self.noise_std) for sign in (1.0, -1.0))
        return tuple(Kind("", 0.5, sign, (patch,)) for sign, patch in zip((1.0, -1.0), patches, strict=True))
