"""The base class of landscapes: an explicit loss of the parameters, for the weight engine.

A landscape is written for one run; the engine computes a block of runs at once. The only real numbers that ``losses``
uses are its arguments, so that runs which differ in real numbers only share a block.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from featlearn.streams import stream

if TYPE_CHECKING:
    from torch import Tensor

SMALL = 2**14  # samples times parameters up to which runs share a block: there calls cost more than arithmetic
ACTIVATIONS = "tanh", "relu", "sigmoid", "erf", "identity"  # all but the last are names of torch methods

Arrays = tuple[np.ndarray, ...]
Tensors = tuple["Tensor", ...]


class Landscape(ABC):
    """A differentiable loss of explicit parameters.

    sees: the data models that it supports. needs, provides: capabilities, as for a rule and an engine.
    """

    sees: ClassVar[tuple[str, ...]] = ("none",)
    needs: ClassVar[frozenset[str]] = frozenset({"coordinates"})
    provides: ClassVar[frozenset[str]] = frozenset({"coordinates"})

    @property
    def smooth(self) -> bool:
        """Whether the loss is three times continuously differentiable in the parameters."""
        return True

    @abstractmethod
    def shapes(self, data: Any) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of the parameters, tensor by tensor."""

    @abstractmethod
    def initial(self, seed: int, data: Any) -> Arrays:
        """Draw the initial parameters of the run ``seed``."""

    @abstractmethod
    def losses(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return the loss of every sample, [n]; a scalar if the loss depends on the parameters alone."""

    def given(self, seed: int, data: Any) -> Arrays:
        """Draw the other arguments of the loss; by default the data."""
        arrays: Arrays = data.draw(seed)
        return arrays

    def margins(self, leaves: Tensors, given: Tensors) -> Tensor:
        """Return the classification margin of every sample, [n]; [0] without classes."""
        return leaves[0].new_empty(0)

    def refusal(self, data: Any) -> str | None:
        """Return why this landscape does not support these data, of a model in ``sees``; None if it does."""
        return None

    def n_parameters(self, data: Any) -> int:
        """Return the number of parameters."""
        return sum(map(math.prod, self.shapes(data)))


def gaussian(seed: int, shapes: tuple[tuple[int, ...], ...], std: float) -> Arrays:
    """Draw initial parameters from N(0, std^2), tensor by tensor."""
    rng = stream(seed, "init_weights")
    return tuple(std * rng.standard_normal(shape) for shape in shapes)


def activated(preactivations: Tensor, name: str) -> Tensor:
    """Apply the activation ``name`` elementwise. Raises ValueError if it is not in ACTIVATIONS."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}; found {name}")
    if name == "identity":
        return preactivations
    value: Tensor = getattr(preactivations, name)()
    return value


def matmul(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right for matrices [m, s] and [s, n] of a run, differentiable to any order.

    Up to SMALL multiplications, as in any block of several runs, it is written out: torch's batched product may round a
    run by its place in the block (see linalg.py).
    """
    if left.numel() * right.shape[-1] > SMALL:
        return left @ right
    return (left[:, None] * right.mT).sum(-1)


def half_square(residuals: Tensor) -> Tensor:
    """Return |r_i|^2 / 2 for residuals [n, outputs]: summed over the outputs, halved."""
    return residuals.square().sum(-1) / 2
