"""A weak signal in every sample, a strong one in some: what a large learning rate teaches a network.

Source: Lu et al. 2023 (arXiv 2310.17074; shape recalled): a sample of label y = +-1 holds y u in one patch, in a second
one y v with probability ``strong_share`` and noise otherwise, and noise in a third; u and v are orthogonal, |u| < |v|.
A small learning rate learns v and stops; where a large one oscillates, u grows too, and samples without v are
classified rightly: see theory/oscillation.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from featlearn.data.model import (
    Draws,
    Frame,
    FreshPatch,
    Kind,
    Noise,
    Signal,
    Slot,
    TrainingSet,
    column,
    fair_signs,
    flipped,
)
from featlearn.data.spectrum import Spectrum, blocks
from featlearn.types import Bound, NonNegative, Positive, Probability, SizeFromTwo


@dataclass(frozen=True, kw_only=True)
class Oscillation:
    """Weak and strong signal, and noise; three patches a sample.

    n_samples: training samples n.
    dim: dimension d of a patch.
    weak_norm: norm of the weak signal, in every sample.
    strong_norm: norm of the strong signal, orthogonal to it.
    strong_share: probability that a sample has the strong signal; noise stands in its place in the others.
    noise_std: standard deviation of a noise coordinate; noise is orthogonal to both signals.
    flip_prob: probability that an observed label is not the true one.
    noise_spectrum: null for isotropic noise, or a list of [eigenvalue, size]: the noise's covariance is noise_std^2
    times a diagonal matrix with these eigenvalues. A size of 1 or more is a multiplicity, one below 1 a share of dim,
    null what the others leave. The signals lie in the first block.
    """

    n_classes: ClassVar[int] = 2
    n_common: ClassVar[int] = 2
    n_patches: ClassVar[int] = 3

    n_samples: SizeFromTwo = 20
    dim: Annotated[int, Bound(ge=3, le=10**15)] = 1000
    weak_norm: NonNegative = 0.5
    strong_norm: NonNegative = 1.0
    strong_share: Probability = 0.8
    noise_std: Positive = 0.01
    flip_prob: Annotated[float, Bound(ge=0, lt=0.5)] = 0.0
    noise_spectrum: Spectrum | None = None

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The weak signal, the strong one or noise, and noise."""
        return Slot("signal", common=True), Slot("both"), Slot("noise")

    @property
    def frame(self) -> Frame:
        """Both signals, and two noises a sample, of which one stands where the strong signal is missing."""
        gram = ((self.weak_norm**2, 0.0), (0.0, self.strong_norm**2))
        noise = Noise(self.noise_std, tuple(range(self.n_samples)) * 2)
        return Frame((Signal("weak"), Signal("strong")), gram, (noise,), True, blocks(self.noise_spectrum, self.dim, 2))

    def draw(self, draws: Draws) -> TrainingSet:
        """Draw true labels with equal probability, which samples have the strong signal, and flips.

        Patches are +weak and -weak, then one a sample of strong signal or noise, and one a sample of noise.
        """
        import torch

        n = self.n_samples
        true_labels = fair_signs(draws, "true labels", n)
        strong = (draws.uniforms("strong", n) <= column(self.strong_share)).double()
        places, one = torch.arange(n, device=strong.device), torch.ones_like(strong)
        weak = (true_labels < 0).long()
        zeros, ones = torch.zeros_like(places), torch.ones_like(places)
        vectors = torch.stack(
            [torch.cat([zeros[:2], ones, 2 + n + places]), torch.cat([ones[:2], 2 + places, zeros])], 1
        )
        signs = one.new_tensor([1.0, -1.0]).expand(len(one), 2)
        strengths = [torch.cat([signs, strong * true_labels, one], 1), torch.cat([0 * signs, 1 - strong, 0 * one], 1)]
        own = (2 + places).expand_as(weak)
        return TrainingSet(
            true_labels=true_labels,
            labels=flipped(draws, true_labels, self.flip_prob),
            shown=torch.stack([weak, own, own + n], 2),
            vectors=vectors,
            strengths=torch.stack(strengths, 2),
        )

    def population(self) -> tuple[Kind, ...]:
        """Return samples with both signals and with the weak one alone, of either label."""
        noises = [FreshPatch(noise=number, std=self.noise_std) for number in (0, 1)]
        return tuple(
            Kind(name, share / 2, label, (FreshPatch(((0, label),)), *strong, *noise))
            for label in (1.0, -1.0)
            for name, share, strong, noise in (
                ("strong", self.strong_share, [FreshPatch(((1, label),))], noises[:1]),
                ("weak", 1 - self.strong_share, [], noises),
            )
        )
