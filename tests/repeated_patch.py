"""A model with one common patch, and one of the sample's own, in two slots of a sample each."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from featlearn.data.model import Frame, FreshPatch, Kind, Noise, Signal, Slot, TrainingSet, fair_signs


@dataclass(frozen=True, kw_only=True)
class RepeatedPatch:
    """The signal's patch is in slots 0 and 2, twice in the latter; the noise in slots 1 and 3."""

    n_classes: ClassVar[int] = 2
    n_common: ClassVar[int] = 2

    n_samples: int = 8
    dim: int = 40
    n_patches: int = 5
    signal_norm: float = 1.5
    flip_prob: float = 0.0

    @property
    def slots(self):
        return Slot("signal", common=True), Slot("noise"), Slot("signal", 2, common=True), Slot("noise")

    @property
    def frame(self):
        noises = Noise(1.0, tuple(range(self.n_samples)), times=2)
        return Frame((Signal(),), ((self.signal_norm**2,),), (noises,))

    def draw(self, draws):
        n, labels = self.n_samples, fair_signs(draws, "true labels", self.n_samples)
        signal, noise = (labels < 0).long(), (2 + torch.arange(n)).expand(len(labels), n)
        shown = torch.stack([signal, noise, signal, noise], 2)
        vectors = torch.tensor([0, 0, *range(1, n + 1)])[:, None]
        strengths = torch.tensor([1.0, -1.0] + [1.0] * n).double()[:, None]
        return TrainingSet(labels, labels, shown, vectors, strengths)

    def population(self):
        noise = FreshPatch(noise=0, times=2)
        return tuple(Kind("", 0.5, sign, (FreshPatch(((0, sign),), times=3), noise)) for sign in (1.0, -1.0))
