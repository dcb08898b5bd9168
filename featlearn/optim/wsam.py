"""Weighted SAM: sharpness as a regularizer of its own weight.

Source: Yue et al. 2023 (arXiv 2305.15817): the loss L + gamma / (1 - gamma) (L_SAM - L). The paper, and its code in
dlrover by default, keep the gradient of the second term out of the base (decoupled), as AdamW does with weight decay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from featlearn.optim.answers import number
from featlearn.optim.sam import SAM
from featlearn.optim.wrapper import Memory
from featlearn.types import Fraction

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Scalar, Vector


@dataclass(frozen=True, kw_only=True)
class WSAM(SAM):
    """The base rule with g = gradient(w), then w <- w - lr gamma / (1 - gamma) (s - g), s = gradient(w + rho g / |g|).

    Decoupled, as published: the sharpness s - g enters neither the momentum of the base nor anything else that it
    computes from a gradient. Coupled, the base steps with g + gamma / (1 - gamma) (s - g). With plain SGD both are the
    same step. gamma = 0 is the base rule; coupled, gamma = 1/2 is SAM, and larger values extrapolate.

    gamma: weight of the sharpness.
    decoupled: keep the sharpness out of the base's step; false for the coupled form.
    """

    reference: ClassVar[str] = "Yue et al. 2023, arXiv 2305.15817"

    gamma: Fraction
    decoupled: bool = True

    def __post_init__(self) -> None:
        """Raise ValueError for a base without a learning rate, which multiplies the decoupled sharpness."""
        super().__post_init__()
        if self.decoupled and not hasattr(self.base, "rate"):
            raise ValueError(f"decoupled: {type(self.base).__name__} has no rate(t), the lr to step with; give false")

    @property
    def weight(self) -> Scalar:
        """gamma / (1 - gamma)."""
        return self.gamma / (1 - self.gamma)

    def gradient(self, loss: Objective, w: Vector, memory: Memory, t: int) -> tuple[Vector, Any]:
        """Return the gradient for the base, and s - g if that is applied separately."""
        g, s = self.pair(loss, w, t)
        return (g, s - g) if self.decoupled else (g + self.weight * (s - g), None)

    def conclude(self, w: Vector, own: Any, t: int) -> tuple[Vector, Any]:
        """Return w - lr gamma / (1 - gamma) (s - g) if decoupled; the wrapper has no memory."""
        return (w - self._rate(t) * self.weight * own if self.decoupled else w), None

    def _rate(self, t: int) -> Scalar:
        return number(self.base.rate, t)  # type: ignore[attr-defined]  # __post_init__ checks that it is there
