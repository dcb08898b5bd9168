"""Muon: momentum, made nearly orthogonal before the step.

Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; torch.optim.Muon, which iterates in bfloat16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from featlearn.optim.answers import number
from featlearn.optim.schedules import UNCHANGED, LRSchedule
from featlearn.types import Count, Fraction, NonNegative, Positive

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Scalar, Vector

A, B, C = 3.4445, -4.7750, 2.0315  # of the published iteration X <- A X + B (X X') X + C (X X')^2 X


@dataclass(frozen=True, kw_only=True)
class Muon:
    """w <- (1 - lr weight_decay) w - lr O(u), v <- momentum v + (1 - momentum) g, u = v unless nesterov.

    O(u) is ns_steps of the published Newton-Schulz iteration from X = u / |u|: it brings the singular values of u
    to about 1 (.7 to 1.2 where they are not tiny) and keeps its singular vectors. u is one matrix whose rows are
    all filters, each with its bias and its second layer where that is trained. There is no factor for the shape
    (torch's is 1 with no more filters than inputs).

    lr: learning rate, nearly the spectral norm of a step.
    momentum: share of the buffer kept at each step.
    nesterov: step along momentum v + (1 - momentum) g.
    weight_decay: decoupled decay, at the rate lr weight_decay.
    ns_steps: iterations of Newton-Schulz.
    lr_schedule: schedule of the factor of lr.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"patches"})
    reference: ClassVar[str] = "Jordan et al. 2024, kellerjordan.github.io/posts/muon"

    lr: Positive
    momentum: Fraction = 0.95
    nesterov: bool = True
    weight_decay: NonNegative = 0.0
    ns_steps: Count = 5
    lr_schedule: LRSchedule = UNCHANGED

    def init(self, w: Vector) -> Vector:
        """Return the empty momentum buffer."""
        return 0.0 * w

    def rate(self, t: int) -> Scalar:
        """Return the learning rate of step t."""
        return number(self.lr_schedule.factor, t) * self.lr

    def step(self, loss: Objective, w: Vector, memory: Vector, t: int) -> tuple[Vector, Vector]:
        """Take step t."""
        return self.update(loss, w, loss.gradient(w), memory, t)

    def update(self, loss: Objective, w: Vector, g: Vector, memory: Vector, t: int) -> tuple[Vector, Vector]:
        """Take step t with the gradient g."""
        memory = self.momentum * memory + (1 - self.momentum) * g
        u = self.momentum * memory + (1 - self.momentum) * g if self.nesterov else memory
        step = orthogonal(loss, u, self.ns_steps)
        return (1 - self.rate(t) * self.weight_decay) * w - self.rate(t) * step, memory

    def probe(self, loss: Objective, w: Vector, memory: Vector, t: int) -> Vector:
        """Return w: the gradient is taken where the parameters are."""
        return w


def orthogonal(loss: Objective, u: Vector, ns_steps: int) -> Vector:
    """Return O(u), a direction; zero for u = 0. An iteration is X <- (A + B S + C S^2) X with S = X X'.

    S is computed from X at each iteration. An update S <- Q S Q would drift from X in the small singular values, which
    every iteration multiplies by A^2: an error of 1e-12 in O(u) instead of 1e-14.
    """
    x = loss.unit(u)
    for _ in range(ns_steps):
        s = loss.engine.rows_gram(x)
        once = loss.engine.mix_rows(x, s)
        x = A * x + B * once + C * loss.engine.mix_rows(once, s)
    return x
