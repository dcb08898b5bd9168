"""What an integrator acts on, and what it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.vector import Vector


class System(Protocol):
    """An Ito SDE dw = a(w) dt + sum_j b_j(w) dW_j with m independent Wiener processes; a flow for m = 0."""

    @property
    def n_noises(self) -> int:
        """The number m of Wiener processes."""

    def increment(self, w: Vector, h: float, dw: Tensor | None) -> Vector:
        """Return a(w) h + sum_j b_j(w) dw_j for dw [b, m], or a(w) h where dw is None.

        It is linear in (h, dw): h = 0 gives the noise alone, and dw need not be an increment of a Wiener process.
        """


@dataclass(frozen=True, kw_only=True)
class Integrator(ABC):
    """One step of a numerical scheme; without parameters, and without memory of earlier steps.

    The orders are those of the error at a fixed time in powers of the step h: ``weak_order`` of expectations,
    ``strong_order`` of paths (root mean square), ``additive_...`` where no b_j depends on w, ``deterministic_order``
    of a flow. All are measured in tests/sde/integrators/test_contract.py. by_noise: whether it evaluates the diffusion
    of every noise by itself, so that it needs few noises, and exact coefficients.
    """

    reference: ClassVar[str]
    weak_order: ClassVar[float]
    strong_order: ClassVar[float]
    additive_weak_order: ClassVar[float]
    additive_strong_order: ClassVar[float]
    deterministic_order: ClassVar[float]
    by_noise: ClassVar[bool] = False

    def n_uniforms(self, m: int) -> int:
        """Return how many uniform numbers a step needs besides its m normal ones."""
        return 0

    @abstractmethod
    def step(self, system: System, w: Vector, h: float, dw: Tensor | None, uniforms: Tensor | None) -> Vector:
        """Return the state a time h after w.

        dw: [b, m] ~ N(0, h), the increments of the Wiener processes, or None for the flow alone.
        uniforms: [b, n_uniforms(m)] in (0, 1], or None where there are none. Raises ValueError where they are missing.
        """


def signs(uniforms: Tensor | None, dw: Tensor, n: int) -> Tensor:
    """Return [b, n] of -1 and 1, each with probability 1/2, from uniform numbers in (0, 1].

    Raises ValueError unless there are n of them; for n = 0 they may be None.
    """
    uniforms = dw.new_empty(len(dw), 0) if uniforms is None else uniforms
    if uniforms.shape != (len(dw), n):
        raise ValueError(f"the step needs uniform numbers of shape {(len(dw), n)}, not {tuple(uniforms.shape)}")
    return 2.0 * (uniforms > 0.5).to(dw.dtype) - 1.0
