"""Shared by models whose samples have a signal in one patch and noise in the P - 1 others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from featlearn.data.model import Draws, FreshPatch, Kind, Noise, Slot, TrainingSet, flipped
from featlearn.data.spectrum import Spectrum, blocks
from featlearn.types import MOST

if TYPE_CHECKING:
    from torch import Tensor


class OneSignal:
    """A sample has one of the ``n_common`` signal patches, and noise patches, shared or independent.

    signal_norm is the norm of a signal, given or from snr = signal_norm / (noise_std sqrt(dim)). Distinct patches
    are the signal patches, then the noises: number q n + i of them is the q-th of sample i.
    """

    n_common: ClassVar[int]
    n_samples: int
    dim: int
    n_patches: int
    signal_norm: float | None
    snr: float | None
    noise_std: float
    flip_prob: float
    noise: Literal["shared", "independent"]
    noise_spectrum: Spectrum | None

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

    def derived(self) -> dict[str, Any]:
        """Return both signal_norm and snr, whichever was given; both identify a run."""
        return {"signal_norm": self.strength, "snr": float(self.strength / (self.noise_std * math.sqrt(self.dim)))}

    @property
    def noises_per_sample(self) -> int:
        """Distinct noise vectors of a sample: 1 if shared, P - 1 if independent.

        Raises ValueError if all samples together would have more than MOST.
        """
        each = {"shared": 1, "independent": self.n_patches - 1}[self.noise]
        if each * self.n_samples > MOST:
            raise ValueError(f"n_patches and n_samples make {each * self.n_samples} noise vectors, above {MOST}")
        return each

    @property
    def noise_count(self) -> int:
        """Number of patches that show one noise vector: P - 1 if shared, 1 if independent."""
        return (self.n_patches - 1) // self.noises_per_sample

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The signal's patch, and each noise."""
        return Slot("signal", common=True), *[Slot("noise", self.noise_count)] * self.noises_per_sample

    @property
    def noises(self) -> tuple[Noise, ...]:
        """The Gaussian vectors of all samples."""
        owners = tuple(range(self.n_samples)) * self.noises_per_sample
        return (Noise(self.noise_std, owners, self.noise_count),)

    def spectrum(self, n_signals: int) -> tuple[tuple[float, float], ...]:
        """Return the eigenvalues of the noise's covariance, in units of noise_std^2, and their multiplicities."""
        return blocks(self.noise_spectrum, self.dim, n_signals)

    def training_set(
        self, draws: Draws, true_labels: Tensor, signal: Tensor, patches: Sequence[tuple[int, float]]
    ) -> TrainingSet:
        """Flip labels [b, n] of +-1, and show every sample the patch ``signal`` [b, n] and its noises.

        patches: the signal patches, each as a signal's number and strength.
        """
        import torch

        n, q = self.n_samples, self.noises_per_sample
        n_signals = 1 + max(number for number, _ in patches)
        noises = torch.arange(q * n, device=signal.device)
        own = (self.n_common + noises).reshape(q, n, 1).expand(-1, -1, len(signal))
        numbers, strengths = (torch.tensor(list(x), device=signal.device) for x in zip(*patches, strict=True))
        return TrainingSet(
            true_labels=true_labels,
            labels=flipped(draws, true_labels, self.flip_prob),
            shown=torch.cat([signal[..., None], own.permute(2, 1, 0)], 2),
            vectors=torch.cat([numbers, n_signals + noises])[:, None],
            strengths=torch.cat([strengths.double(), torch.ones_like(noises)])[:, None],
        )

    def kinds(self, signals: Iterable[tuple[str, float, int, float]]) -> tuple[Kind, ...]:
        """Return equally probable kinds of fresh samples, from name, label, signal number and strength."""
        signals, count = list(signals), self.noise_count
        noises = [FreshPatch(noise=i, std=self.noise_std, times=count) for i in range(self.noises_per_sample)]
        return tuple(
            Kind(name, 1 / len(signals), label, (FreshPatch(((number, strength),)), *noises))
            for name, label, number, strength in signals
        )
