"""A data model from its population alone: a training sample is a draw of it. The shortest way to a model of your own.

A subclass, a frozen dataclass, says in ``population`` which kinds of samples there are (see data/model.py); frame,
slots and draw follow. A patch without noise is shared by the samples of its kind; one with noise is the sample's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

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
    flipped,
)
from featlearn.types import Count, Fraction, Positive

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class FromPopulation(ABC):
    """Samples of several kinds.

    n_samples: training samples n.
    dim: dimension d of a patch.
    noise_std: standard deviation of a noise coordinate.
    flip_prob: probability that an observed label is not the true one, but another with equal probability.
    """

    orthogonal: ClassVar[bool] = False  # whether noises are projected off the signals

    n_samples: Count = 20
    dim: Count = 1000
    noise_std: Positive = 1.0
    flip_prob: Fraction = 0.0

    @abstractmethod
    def population(self) -> tuple[Kind, ...]:
        """Return the kinds of samples. They agree in which patches show which noise, and how often."""

    def gram(self) -> tuple[tuple[Scalar, ...], ...]:
        """Return the inner products of the signals: by default they are orthogonal, of norm 1."""
        size = 1 + max(
            (number for kind in self.population() for p in kind.patches for number, _ in p.signals), default=0
        )
        return tuple(tuple(float(i == j) for j in range(size)) for i in range(size))

    @property
    def n_classes(self) -> int:
        """2 for labels +-1, else the number of classes."""
        labels = {kind.label for kind in self.population()}
        return 2 if labels <= {-1.0, 1.0} and -1.0 in labels else max(2, 1 + int(max(labels, default=0)))

    @property
    def n_patches(self) -> int:
        """The number of patches of a sample."""
        return sum(slot.times for slot in self.slots)

    @property
    def n_common(self) -> int:
        """The number of patches without noise: one a kind and slot."""
        return len(self.population()) * sum(slot.common for slot in self.slots)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The patches of a sample. Raises ValueError if the kinds disagree in them."""
        kinds = self.population()
        of_kinds = [kind.patches for kind in kinds]
        if len({len(patches) for patches in of_kinds}) != 1:
            raise ValueError("population: the kinds have different numbers of patches")
        return tuple(_slot(number, places) for number, places in enumerate(zip(*of_kinds, strict=True)))

    @property
    def frame(self) -> Frame:
        """The signals, and the Gaussian vectors of all samples."""
        kinds, gram, owners = self.population(), self.gram(), tuple(range(self.n_samples))
        signals = tuple(_signal(number, len(gram), kinds) for number in range(len(gram)))
        noises = tuple(Noise(std, owners, times) for std, times in self._noises().values())
        return Frame(signals, gram, noises, self.orthogonal)

    def _noises(self) -> dict[int, tuple[Scalar, int]]:
        """Return the standard deviation of every Gaussian of a sample, by its number, and how many patches show it."""
        found: dict[int, tuple[Scalar, int]] = {}
        for patch in self.population()[0].patches:
            if patch.noise is not None:
                std, times = found.get(patch.noise, (patch.std, 0))
                found[patch.noise] = (std, times + patch.times)
        return dict(sorted(found.items()))

    def draw(self, draws: Draws) -> TrainingSet:
        """Draw the kind of every sample, and flips."""
        import torch

        kinds, slots, n = self.population(), self.slots, self.n_samples
        uniforms = draws.uniforms("kinds", n)
        ends = list(_ends([kind.probability for kind in kinds]))
        which = reduce(torch.add, [(uniforms > column(end)).long() for end in ends], torch.zeros_like(uniforms).long())
        labels = torch.tensor([kind.label for kind in kinds], dtype=torch.float64, device=which.device)[which]
        vectors, strengths = self._patches(which)
        return TrainingSet(
            labels, self._observed(draws, labels), _shown(which, slots, self.n_common), vectors, strengths
        )

    def _observed(self, draws: Draws, labels: Tensor) -> Tensor:
        """Return the labels [b, n] with flips."""
        if self.n_classes == 2:
            return flipped(draws, labels, self.flip_prob)
        flips, others = (draws.uniforms(name, labels.shape[1]) for name in ("flips", "other labels"))
        further = 1 + ((self.n_classes - 1) * others).floor().clamp(max=self.n_classes - 2)
        return ((labels + further) % self.n_classes).where(flips <= column(self.flip_prob), labels)

    def _patches(self, which: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors and strengths [b, N, T] of the distinct patches: those in common, then the samples' own.

        The last of the T vectors of a patch is its noise, of strength 0 where there is none.
        """
        import torch

        kinds, slots, (b, n) = self.population(), self.slots, which.shape
        places, n_signals = {g: i for i, g in enumerate(self._noises())}, len(self.gram())
        most = max(len(patch.signals) for kind in kinds for patch in kind.patches)
        rows = [[_combination(patch, most, which) for patch in kind.patches] for kind in kinds]
        numbers, strengths = (
            torch.stack([torch.stack([row[i] for row in kind], 1) for kind in rows], 1) for i in (0, 1)
        )
        shared = [j for j, slot in enumerate(slots) if slot.common]
        parts = [(numbers[:, :, shared].flatten(1, 2), strengths[:, :, shared].flatten(1, 2))]
        lane = torch.arange(b, device=which.device)[:, None]
        for j in [j for j, slot in enumerate(slots) if not slot.common]:
            own, strength = numbers[lane, which, j].clone(), strengths[lane, which, j].clone()
            noise = kinds[0].patches[j].noise
            own[..., -1] = n_signals + places[noise or 0] * n + torch.arange(n, device=which.device)
            strength[..., -1] = 1
            parts.append((own, strength))
        vectors, factors = zip(*parts, strict=True)
        return torch.cat(vectors, 1), torch.cat(factors, 1)


def _slot(number: int, patches: tuple[FreshPatch, ...]) -> Slot:
    """Return the slot of the patches that the kinds have there. Raises ValueError if they disagree."""
    first, *others = patches
    for patch in others:
        for what in ("noise", "times", "std"):
            if getattr(patch, what) is not getattr(first, what) and _differ(getattr(patch, what), getattr(first, what)):
                raise ValueError(f"population: patch {number} of some kinds differs from that of others in {what}")
    if first.noise is None:
        return Slot("signal", first.times, common=True)
    return Slot("both" if any(patch.signals for patch in patches) else "noise", first.times)


def _differ(a: Any, b: Any) -> bool:
    different = a != b
    return bool(different.any() if hasattr(different, "any") else different)


def _signal(number: int, size: int, kinds: tuple[Kind, ...]) -> Signal:
    """Return a signal, even if kinds of one label show it with both signs; one of several is named by its number."""
    seen = {
        (kind.label, strength > 0)
        for kind in kinds
        for p in kind.patches
        for i, strength in p.signals
        if i == number and strength
    }
    even = any((label, not positive) in seen for label, positive in seen)
    return Signal(str(number) if size > 1 else "", even)


def _ends(probabilities: list[Scalar]) -> Iterator[Scalar]:
    """Yield the sums of the first probabilities, all but the last."""
    total: Scalar = 0.0
    for probability in probabilities[:-1]:
        total = total + probability
        yield total


def _combination(patch: FreshPatch, most: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the signals of a patch and their strengths, [b, most + 1], padded with strength 0."""
    import torch

    b = len(like)
    numbers = [number for number, _ in patch.signals] + [0] * (most + 1 - len(patch.signals))
    given = [torch.as_tensor(x, dtype=torch.float64, device=like.device).expand(b) for _, x in patch.signals]
    zero = torch.zeros(b, dtype=torch.float64, device=like.device)
    padded = [*given, *[zero] * (most + 1 - len(given))]
    return torch.tensor(numbers, device=like.device).expand(b, -1), torch.stack(padded, 1)


def _shown(which: Tensor, slots: tuple[Slot, ...], n_common: int) -> Tensor:
    """Return the distinct patch in each slot of a sample, [b, n, s]."""
    import torch

    n, n_shared = which.shape[1], sum(slot.common for slot in slots)
    shared, own, found = 0, n_common, []
    for slot in slots:
        if slot.common:
            found.append(which * n_shared + shared)
            shared += 1
        else:
            found.append((own + torch.arange(n, device=which.device)).expand_as(which))
            own += n
    return torch.stack(found, 2)
