"""A rule's flow or SDE in place of the rule: one step of the loop integrates over one step of time.

So everything else stays: records, trackers, sweeps, stores. Time is the number of steps, t = 0, 1, ..., which in the
papers' time is lr t; a step is divided into ``substeps``, within which learning rate and radius are those of the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from featlearn.optim.answers import number
from featlearn.sde.integrators import INTEGRATORS
from featlearn.sde.limit import Expansion
from featlearn.sde.limits import has_own_limit, refusal
from featlearn.types import Bound, Count

if TYPE_CHECKING:
    from torch import Tensor

    from featlearn.engines.loss import Loss
    from featlearn.engines.protocol import Scalar, Vector


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a rule's dynamics are computed.

    dynamics: rule, the algorithm; flow, the ODE of its mean; or sde, with its noise.
    substeps: steps of the integrator in one step of the rule.
    integrator: of flow and sde.
    expansion: of the perturbation, in rho: first order, second (adds rho^2/2 times the third derivative), or exact.
    covariance: complete, that of the direction's linear response to the noise (positive semi-definite by itself), or
        truncated at first order in rho and projected.
    sets: independent sets of mini-batches per substep, where means over mini-batches have no closed form.
    """

    dynamics: Literal["rule", "flow", "sde"] = "rule"
    substeps: Count = 8
    integrator: Literal[*INTEGRATORS] = "euler_maruyama"  # type: ignore[valid-type]
    expansion: Expansion = "first"
    covariance: Literal["complete", "truncated"] = "complete"
    sets: Annotated[int, Bound(ge=2)] = 2

    def applied(self, rule: Any) -> Any:
        """Return the rule itself, or its flow or SDE. Raises ValueError for a rule without one."""
        if self.dynamics != "rule":
            return Dynamics(rule=rule, settings=self)
        if has_own_limit(rule) and not hasattr(rule, "step"):
            raise ValueError(f"{type(rule).__name__} has a drift and no step: set dynamics to sde or flow")
        return rule


@dataclass(frozen=True, kw_only=True)
class Dynamics:
    """The flow or the SDE of a rule without memory.

    rule: the algorithm. settings: see Settings.
    """

    revision: ClassVar[int] = 1

    rule: Any
    settings: Settings

    def __post_init__(self) -> None:
        """Raise ValueError for a rule without a limit."""
        if reason := refusal(self.rule):
            raise ValueError(reason)

    @property
    def noisy(self) -> bool:
        """Whether it is an SDE."""
        return self.settings.dynamics == "sde"

    @property
    def needs(self) -> frozenset[str]:
        """What the rule needs; third derivatives and a user's noise have coordinates."""
        parts = (self.rule, getattr(self.rule, "base", None))
        needed = frozenset().union(*(getattr(part, "needs", ()) for part in parts))
        more = self.settings.expansion == "second" or has_own_limit(self.rule)
        return needed | {"coordinates"} if more else needed

    @property
    def edge(self) -> str | None:
        """The edge of stability of the rule: the limit itself has none."""
        return getattr(self.rule, "edge", None)

    def rate(self, t: int) -> Scalar:
        """Return the learning rate of step t."""
        mover = getattr(self.rule, "base", self.rule)
        rate: Scalar = number(mover.rate, t) if hasattr(mover, "rate") else mover.lr
        return rate

    def active(self, t: int) -> bool:
        """Whether the rule perturbs at step t."""
        return bool(self.rule.active(t)) if hasattr(self.rule, "active") else False

    def radius(self, t: int) -> Scalar:
        """Return the radius of the rule at step t."""
        radius: Scalar = self.rule.radius(t)
        return radius

    def init(self, w: Vector) -> Tensor | None:
        """Return the number of substeps with a projected covariance so far, [b], where truncated; else no memory."""
        return w.parts[0].new_zeros(len(w.parts[0])) if self.settings.covariance == "truncated" else None

    def step(self, loss: Loss, w: Vector, memory: Tensor | None, t: int) -> tuple[Vector, Tensor | None]:
        """Integrate from t to t + 1."""
        from featlearn.sde.draws import draw

        integrator, h = INTEGRATORS[self.settings.integrator](), 1 / self.settings.substeps
        for system, dw, uniforms in draw(self, loss, t, integrator):
            w = integrator.step(system, w, h, dw, uniforms)
            if memory is not None:
                memory = memory + system.n_projected
        return w, memory

    def columns(self, memory: Tensor | None) -> dict[str, Tensor]:
        """Return the columns that the dynamics add to every record: the substeps with a projected covariance."""
        return {} if memory is None else {"projected_covariances": memory}

    def probe(self, loss: Loss, w: Vector, memory: Tensor | None, t: int) -> Vector:
        """Return the point at which the rule would take its gradient."""
        rule = self.rule
        if not hasattr(rule, "probe"):
            return w
        probe: Vector = rule.probe(loss, w, rule.init(w), t)
        return probe
