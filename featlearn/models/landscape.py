"""What all landscapes share: a loss written out in the parameters, for the weight engine.

A landscape is written for one run; the engine computes a block of them at once. ``losses`` reads the parameters and
what was drawn, and nothing else that is a real number: so runs that differ in real numbers only fit in one block.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from featlearn.streams import stream

if TYPE_CHECKING:
    from torch import Tensor

SMALL = 2**14  # samples times parameters up to which runs share a block, as it costs its calls, not its arithmetic
ACTIVATIONS = "tanh", "relu", "sigmoid", "erf"  # by their names in torch

Arrays = tuple[np.ndarray, ...]
Tensors = tuple["Tensor", ...]


class Landscape(ABC):
    """A differentiable loss of explicit parameters.

    sees: the data models that it goes with. needs, provides: as of a rule and of an engine.
    """

    sees: ClassVar[tuple[str, ...]] = ("none",)
    needs: ClassVar[frozenset[str]] = frozenset({"coordinates"})
    provides: ClassVar[frozenset[str]] = frozenset({"coordinates"})

    @abstractmethod
    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of the parameters, tensor by tensor."""

    @abstractmethod
    def initial(self, seed: int, data: Any) -> Arrays:
        """Draw the initial parameters of the run ``seed``."""

    @abstractmethod
    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return the loss of every sample, [n]; of a function of the parameters alone, one number."""

    def given(self, seed: int, data: Any) -> Arrays:
        """Draw what the loss reads besides the parameters: the data, unless there is more."""
        arrays: Arrays = data.draw(seed)
        return arrays

    def margins(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return by how much the right class of every sample is ahead, [n]; [0] where there are no classes."""
        return leaves[0].new_empty(0)

    def refusal(self, data: Any) -> str | None:
        """Say why this landscape does not go with these data, of a model that it ``sees``; None if it does."""
        return None

    def n_parameters(self, data: Any) -> int:
        """Return the number of parameters."""
        return sum(map(math.prod, self.shapes(data)))


def gaussian(seed: int, shapes: tuple[tuple[int, ...], ...], std: float) -> Arrays:
    """Draw initial parameters from N(0, std^2), tensor by tensor."""
    rng = stream(seed, "init_weights")
    return tuple(std * rng.standard_normal(shape) for shape in shapes)


def activated(preactivations: Tensor, name: str) -> Tensor:
    """Return the activation of a name, elementwise. Raises ValueError for one that is not in ACTIVATIONS."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}; found {name}")
    value: Tensor = getattr(preactivations, name)()
    return value


def matmul(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right for matrices [m, s] and [s, n] of a run, differentiable as often as wanted.

    Written out up to SMALL multiplications, as in any block of several runs: there a batched product of torch's may
    round a run by its place among the others (see linalg.py).
    """
    if left.numel() * right.shape[-1] > SMALL:
        return left @ right
    return (left[:, None] * right.mT).sum(-1)


def half_square(residuals: Tensor) -> Tensor:
    """Return |r_i|^2 / 2 for residuals [n, outputs]: summed over the outputs, halved."""
    return residuals.square().sum(-1) / 2
