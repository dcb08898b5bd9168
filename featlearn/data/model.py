"""The declaration of a patch data model: the vectors of its patches, a training set, and the population.

Every published model has one form. There are S signals, given by their Gram matrix, and Gaussian vectors, the noises.
A patch is a sparse combination of these, and a sample shows one patch in each of its slots. Training needs the inner
products of the distinct patches, and which sample shows which of them, nothing else (engines/problem.py).

A model is a frozen dataclass of parameters with the methods of ``PatchModel``. ``frame`` and ``population`` describe
one run. ``draw`` draws for all runs of a block at once: there the model's real numbers are tensors [b]; its other
parameters are the same for all runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Scalar = Any  # a number, or in a block a tensor [b]
Role = Literal["signal", "noise", "both"]


@dataclass(frozen=True)
class Signal:
    """A signal's name, the suffix of its columns ("" for none).

    even: both signs of the signal carry one label, as in XOR; else the label is the signal's sign.
    """

    name: str = ""
    even: bool = False


@dataclass(frozen=True)
class Noise:
    """Gaussian vectors with the same standard deviation of a coordinate.

    owners: the sample that each of them belongs to. times: number of its patches that show one.
    """

    std: Scalar
    owners: tuple[int, ...]
    times: int = 1


@dataclass(frozen=True)
class Frame:
    """The vectors that patches combine: the signals, then the noises, numbered from 0.

    gram: inner products of the signals, S rows of S numbers. orthogonal: noises are projected off the signals.
    spectrum: eigenvalues of the noise's covariance, in units of std^2, and their multiplicities, which add up to the
    dimension; the signals lie in the first eigenspace. Empty for isotropic noise.
    """

    signals: tuple[Signal, ...]
    gram: tuple[tuple[Scalar, ...], ...]
    noises: tuple[Noise, ...]
    orthogonal: bool = False
    spectrum: tuple[tuple[Scalar, Scalar], ...] = ()

    @cached_property
    def coordinates(self) -> tuple[tuple[float, ...], ...]:
        """The signals in S orthonormal directions: lower triangular L, L L' = gram, by Cholesky's method.

        A pivot that is zero up to rounding gives a column of zeros: gram may be singular.
        """
        size = len(self.gram)
        lower = [[0.0] * size for _ in range(size)]
        for j in range(size):
            pivot = self.gram[j][j] - math.fsum(x * x for x in lower[j][:j])
            if pivot <= 1e-14 * self.gram[j][j]:
                continue
            lower[j][j] = math.sqrt(pivot)
            for i in range(j + 1, size):
                inner = math.fsum(x * y for x, y in zip(lower[i][:j], lower[j][:j], strict=True))
                lower[i][j] = (self.gram[i][j] - inner) / lower[j][j]
        return tuple(map(tuple, lower))

    @property
    def n_noises(self) -> int:
        """The number of Gaussian vectors R."""
        return sum(len(noise.owners) for noise in self.noises)

    @property
    def owners(self) -> list[int]:
        """The sample that each Gaussian vector belongs to, [R]."""
        return [owner for noise in self.noises for owner in noise.owners]

    @property
    def times(self) -> list[int]:
        """How many patches of its sample show each Gaussian vector, [R]."""
        return [noise.times for noise in self.noises for _ in noise.owners]


@dataclass(frozen=True)
class Slot:
    """One or more patches of a sample that are equal: how many, and which patch they show.

    common: the patch is one of the first ``PatchModel.n_common``, which other samples show too; else it is the
    sample's own.
    """

    role: Role
    times: int = 1
    common: bool = False


@dataclass(frozen=True)
class TrainingSet:
    """A training set of every run of a block.

    true_labels, labels [b, n]: +-1, or classes 0, ..., C - 1; observed labels are true ones with flips.
    shown [b, n, s]: the distinct patch in each slot of a sample.
    vectors, strengths [N, T] or [b, N, T]: distinct patch a is the sum over t of strengths_at times vector_at.
    """

    true_labels: Tensor
    labels: Tensor
    shown: Tensor
    vectors: Tensor
    strengths: Tensor


@dataclass(frozen=True)
class FreshPatch:
    """A patch of a fresh sample: the sum of strength times signal, and a fresh Gaussian vector.

    signals: pairs of a signal's number and a strength. noise: the number of the fresh Gaussian, None for none; patches
    with one number have the same vector. std: its standard deviation per coordinate. times: number of equal patches.
    """

    signals: tuple[tuple[int, Scalar], ...] = ()
    noise: int | None = None
    std: Scalar = 1.0
    times: int = 1


@dataclass(frozen=True)
class Kind:
    """A kind of fresh samples: its name ("" for none), probability, true label and patches."""

    name: str
    probability: Scalar
    label: float
    patches: tuple[FreshPatch, ...]


class Draws(Protocol):
    """The random numbers of a training set, by name, each run's from its own seed."""

    def uniforms(self, name: str, count: int) -> Tensor:
        """Return uniform numbers in (0, 1], [b, count]."""

    def normals(self, name: str, count: int) -> Tensor:
        """Return standard normal numbers, [b, count]."""


class PatchModel(Protocol):
    """A model of patch data.

    n_classes: of the labels; 2 for +-1. n_common: the number of patches that several samples may show; they come first.
    flip_prob: probability that an observed label is not the true one.
    """

    n_classes: ClassVar[int]
    n_common: ClassVar[int]
    n_samples: int
    dim: int
    n_patches: int
    flip_prob: Scalar

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots of a sample, s of them."""

    @property
    def frame(self) -> Frame:
        """The vectors that patches combine."""

    def draw(self, draws: Draws) -> TrainingSet:
        """Draw the training set."""

    def population(self) -> tuple[Kind, ...]:
        """Return the kinds of fresh samples; their probabilities add up to 1."""


def fair_signs(draws: Draws, name: str, count: int) -> Tensor:
    """Return +1 and -1 with equal probability, [b, count], in float64."""
    return 2 * (draws.uniforms(name, count) > 0.5).double() - 1


def flipped(draws: Draws, labels: Tensor, probability: Scalar, n_classes: int = 2) -> Tensor:
    """Return labels [b, n], each made wrong with a probability, a number or [b].

    Labels of two classes are +-1; a wrong one of more is any other, with equal probability.
    """
    flips = draws.uniforms("flips", labels.shape[1]) <= column(probability)
    if n_classes == 2:
        return labels.where(~flips, -labels)
    others = (n_classes - 1) * (1 - draws.uniforms("other labels", labels.shape[1]))
    return labels.where(~flips, (labels + 1 + others.floor()) % n_classes)


def column(x: Scalar) -> Scalar:
    """Return a number unchanged, and numbers [b] as [b, 1]."""
    return x[:, None] if getattr(x, "ndim", 0) else x
