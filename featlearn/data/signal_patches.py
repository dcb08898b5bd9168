"""Shared by models whose samples show signals in the first patches and Gaussian noise in the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from featlearn.data.model import Draws, FreshPatch, Kind, Noise, Scalar, Slot, TrainingSet, flipped
from featlearn.data.spectrum import Spectrum, blocks
from featlearn.types import MOST

if TYPE_CHECKING:
    from torch import Tensor


class SignalPatches:
    """A sample has ``n_signal_patches`` of the ``n_common`` signal patches, and noise patches, shared or independent.

    Distinct patches are the signal patches, then the noises: number q n + i of them is the q-th of sample i.
    """

    n_classes: ClassVar[int]
    n_common: ClassVar[int]
    n_signal_patches: ClassVar[int] = 1
    n_samples: int
    dim: int
    n_patches: int
    noise_std: float
    flip_prob: float
    noise: Literal["shared", "independent"]
    noise_spectrum: Spectrum | None

    @property
    def noises_per_sample(self) -> int:
        """Distinct noise vectors of a sample: 1 if shared, one a noise patch if independent.

        Raises ValueError if all samples together would have more than MOST.
        """
        each = {"shared": 1, "independent": self.n_patches - self.n_signal_patches}[self.noise]
        if each * self.n_samples > MOST:
            raise ValueError(f"n_patches and n_samples make {each * self.n_samples} noise vectors, above {MOST}")
        return each

    @property
    def noise_count(self) -> int:
        """Number of patches that show one noise vector: all noise patches of a sample if shared, 1 if independent."""
        return (self.n_patches - self.n_signal_patches) // self.noises_per_sample

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The patches of signals, and each noise."""
        signals = [Slot("signal", common=True)] * self.n_signal_patches
        return *signals, *[Slot("noise", self.noise_count)] * self.noises_per_sample

    @property
    def noises(self) -> tuple[Noise, ...]:
        """The Gaussian vectors of all samples."""
        owners = tuple(range(self.n_samples)) * self.noises_per_sample
        return (Noise(self.noise_std, owners, self.noise_count),)

    def spectrum(self, n_signals: int) -> tuple[tuple[float, float], ...]:
        """Return the eigenvalues of the noise's covariance, in units of noise_std^2, and their multiplicities."""
        return blocks(self.noise_spectrum, self.dim, n_signals)

    def training_set(
        self, draws: Draws, true_labels: Tensor, signal: Tensor, patches: Sequence[tuple[int, Scalar]]
    ) -> TrainingSet:
        """Flip labels [b, n], and show every sample its patches ``signal``, [b, n] or [b, n, count], and its noises.

        patches: the signal patches, each as a signal's number and strength, a number or [b].
        """
        import torch

        n, q = self.n_samples, self.noises_per_sample
        n_signals = 1 + max(number for number, _ in patches)
        noises = torch.arange(q * n, device=signal.device)
        own = (self.n_common + noises).reshape(q, n, 1).expand(-1, -1, len(signal))
        numbers = torch.tensor([number for number, _ in patches], device=signal.device)
        given = [torch.as_tensor(x, dtype=torch.float64, device=signal.device) for _, x in patches]
        widest = max(given, key=lambda x: x.ndim)
        strengths = torch.stack([x.expand_as(widest) for x in given], -1)  # [N] or [b, N]
        ones = strengths.new_ones(()).expand(*strengths.shape[:-1], q * n)
        return TrainingSet(
            true_labels=true_labels,
            labels=flipped(draws, true_labels, self.flip_prob, self.n_classes),
            shown=torch.cat([signal.reshape(len(signal), n, -1), own.permute(2, 1, 0)], 2),
            vectors=torch.cat([numbers, n_signals + noises])[:, None],
            strengths=torch.cat([strengths, ones], -1)[..., None],
        )

    def kind(self, name: str, probability: float, label: float, signals: Sequence[tuple[int, float]]) -> Kind:
        """Return a kind of fresh samples, with one signal patch for each number and strength in ``signals``."""
        shown = [FreshPatch((signal,)) for signal in signals]
        count = self.noise_count
        noises = [FreshPatch(noise=i, std=self.noise_std, times=count) for i in range(self.noises_per_sample)]
        return Kind(name, probability, label, (*shown, *noises))
