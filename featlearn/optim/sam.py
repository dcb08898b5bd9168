"""Sharpness-aware minimization: any base rule, run on the gradient taken a distance rho uphill.

Source: Foret et al. 2021 (arXiv 2010.01412); the step window start, stop is the two-phase recipe of Chen et al. 2023
(2310.07269): SAM first, then its base.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from featlearn.types import Bound, Step, TheoryScale

if TYPE_CHECKING:
    from featlearn.engines.protocol import Objective, Rule, Vector


@dataclass(frozen=True, kw_only=True)
class SAM:
    """The base rule with gradient(w + rho g / |g|) in place of g = gradient(w), both on the same mini-batch.

    |g| is the norm over all parameters jointly. Where g = 0 there is no perturbation; rho = 0 is the base, bit for
    bit. Weight decay and momentum belong to the base: they act on the step, not on the perturbation.

    rho: radius of the perturbation; a number or {theory: c}.
    start: first step of the SAM phase; before it the base rule runs.
    stop: first step after the SAM phase, null for never; from then on the base rule runs, its memory kept.
    base: the rule that takes the step; its parameters stand beside rho in a config.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    reference: ClassVar[str] = "Foret et al. 2021, arXiv 2010.01412"

    rho: Annotated[float, Bound(ge=0), TheoryScale("sam_radius")]
    start: Step = 0
    stop: Step | None = None
    base: Rule

    def __post_init__(self) -> None:
        """Refuse a window that holds no step, and a base that perturbs on its own."""
        if hasattr(self.base, "base"):
            raise ValueError(f"the base of SAM is a rule without a base of its own, not {type(self.base).__name__}")
        if self.stop is not None and self.start >= self.stop:
            raise ValueError(f"start = {self.start} leaves no step before stop = {self.stop}")

    @property
    def edges(self) -> tuple[int, ...] | None:
        """First and last step of the window, and the edges of the base; None where the base has none to name."""
        own = (self.start,) if self.stop is None else (self.start, self.stop)
        base = getattr(self.base, "edges", None)
        return None if base is None else (*own, *base)

    def init(self, w: Vector) -> Any:
        """Return the base rule's memory."""
        return self.base.init(w)

    def step(self, loss: Objective, w: Vector, memory: Any, t: int) -> tuple[Vector, Any]:
        """Take step t of the base rule, on the perturbed loss within the window."""
        return self.base.step(Perturbed(loss, self, t), w, memory, t)

    def probe(self, loss: Objective, w: Vector, t: int) -> Vector:
        """Return w + rho g / |g| within the window, w outside."""
        if t < self.start or (self.stop is not None and t >= self.stop):
            return w
        return w + self.rho * loss.unit(loss.gradient(w))


@dataclass(frozen=True)
class Perturbed:
    """A loss whose gradient is taken where ``rule`` probes it."""

    loss: Objective
    rule: Rule
    t: int

    def gradient(self, w: Vector) -> Vector:
        """Return the gradient of the loss at the rule's probe of w."""
        return self.loss.gradient(self.rule.probe(self.loss, w, self.t))

    def inner(self, u: Vector, v: Vector) -> Any:
        """Return <u, v>."""
        return self.loss.inner(u, v)

    def unit(self, u: Vector) -> Vector:
        """Return u / |u|."""
        return self.loss.unit(u)
