"""A random direction of parameter space, with the same law in every engine."""

from __future__ import annotations

from typing import Literal, Protocol, assert_never

from torch import Tensor

from featlearn.engines.vector import Vector
from featlearn.streams.lanes import uniforms

Distribution = Literal["sphere", "ball", "gaussian"]


class Draws(Protocol):
    """The part of an engine that random directions use."""

    @property
    def seeds(self) -> Tensor:
        """Seeds of the runs' random streams, [b]."""

    @property
    def n_parameters(self) -> Tensor:
        """Number of trained parameters, [b]."""

    def isotropic(self, name: str, t: int) -> tuple[Vector, Tensor]:
        """Return a direction of independent standard normals, and its norm's square [b] (see Engine)."""


def isotropic(engine: Draws, law: Distribution, step: int) -> Vector:
    """Return the random direction of a step: uniform on the unit sphere, or in its ball, or Gaussian."""
    u, square = engine.isotropic("perturbation", step)
    size = engine.n_parameters
    if law == "gaussian":
        return size.rsqrt() * u
    if law == "sphere":
        return square.rsqrt() * u
    if law == "ball":
        uniform = uniforms(engine.seeds, "perturbation, length", 1, step)[:, 0].to(square.device)
        return ((uniform ** (1 / size)).to(square.dtype) * square.rsqrt()) * u
    assert_never(law)
