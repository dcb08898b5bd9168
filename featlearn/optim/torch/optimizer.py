"""A rule of featlearn as a ``torch.optim.Optimizer``, around any optimizer of torch as its base."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from featlearn.engines.protocol import Vector
from featlearn.optim.perturbed import Perturbed
from featlearn.optim.torch.base import TorchBase
from featlearn.optim.torch.groups import RuleGroups
from featlearn.optim.torch.memory import pack, unpack
from featlearn.optim.torch.objective import Elsewhere, Evaluated, known
from featlearn.optim.torch.options import option
from featlearn.optim.torch.passes import Closure, Of, Passes, Statistics, mean_value
from featlearn.optim.torch.refusals import (
    GRADIENTS_BEFORE,
    Refused,
    refuse_base,
    refuse_count,
    refuse_places,
    refuse_rule,
    refuse_twice,
    refuse_two_steps,
    refuse_unknown,
)
from featlearn.optim.torch.space import ParameterSpace
from featlearn.optim.wrapper import Memory, Wrapper


class Halfway(NamedTuple):
    """The state of a two-call step after the first call: its start, the gradient there, the model's statistics.

    moved: whether the rule needs the gradient at another point, to which the parameters were moved. finite [1]: whether
    that gradient and that point are finite.
    """

    w: Vector
    gradient: Vector
    statistics: list[Tensor]
    moved: bool
    finite: Tensor


class RuleOptimizer(RuleGroups):
    """The rule ``rule_class`` for the parameters of any module; a subclass names the rule (see ``optimizer_class``).

    params: as for any optimizer of torch. base_class: the optimizer that takes the steps, such as torch.optim.SGD.
    model: a module whose buffers (running means of batch norm) only the unperturbed pass of a step may change; without
    it every pass changes them. seed: of the rule's own draws, the same on every worker.
    options: those of the rule and of the base; a name that both have is the rule's. A parameter group may have its own
    rho, and the options that the base allows; norms are over all groups jointly. Weight decay is the base's: it does
    not enter the rule. Where rho follows the learning rate, the radius of a group is rho lr / rho_lr; rho_lr is
    the initial lr of the group unless given.
    Raises Refused if no closure can serve the rule.

    base: the optimizer that takes the steps; it shares the parameter groups and the state.
    """

    def __init__(
        self,
        params: Any,
        base_class: type[torch.optim.Optimizer],
        *,
        model: nn.Module | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        refuse_rule(self.rule_class, options)
        own = {name: option(self.rule_class, name, options.pop(name)) for name in self._names() & options.keys()}
        refuse_base(base_class, options)
        refuse_unknown(self.rule_class, self._names(), base_class, options)
        if not 0 <= seed < 2**63:
            raise ValueError(f"seed: expected a number from 0 to 2^63 - 1, found {seed}")
        self.space, self.seed = ParameterSpace(self), seed
        self._statistics = Statistics(model)
        self._halfway: Halfway | None = None
        self._away = False
        super().__init__(params, base_class, options)
        if "rho" in own and "rho" in self.base.defaults:
            raise ValueError(f"rho of {base_class.__name__} is another number than rho of {self.rule_class.__name__}")
        self._base_of_rule = TorchBase(self, self.space)
        self._rule = self.rule_class(base=self._base_of_rule, **own)
        self.defaults = {**self.base.defaults, **({"rho": self._rule.rho} if isinstance(self._rule, Perturbed) else {})}
        self._begin()

    def _begin(self) -> None:
        """Set the radius of every group, and reset the rule."""
        for group in self.param_groups:
            self._complete(group)
        self._spanned = self.parameters
        refuse_twice(self._spanned)
        self._steps, self._own = 0, self._rule.remember(self.space.read())
        self.space.keep_gradients(self._spanned)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, with its own options where it gives them."""
        self._refuse_halfway("add_param_group()")
        super().add_param_group(param_group)

    def _ready(self, call: str) -> None:
        """Check that a step can begin."""
        self._refuse_halfway(call)
        self.space.keep_gradients(self._catch_up())
        for group in self.param_groups:
            self._check(group)
        refuse_twice(self._spanned)
        refuse_places(self._spanned)
        self.space.begin()

    @torch.no_grad()
    def step(
        self,
        closure: Closure | Sequence[Closure] | None = None,
        *,
        full: Closure | None = None,
        other: Closure | None = None,
    ) -> Any:
        """Take a step.

        closure: computes the loss, calls backward, returns the loss; it need not clear the gradients. It is called as
        often as the rule needs a gradient, each time with the parameters where the rule needs it. A list of closures is
        one for each micro-batch, all of the same weight. Without a closure this is ``second_step``.
        Raises RuntimeError if there are gradients already, which would be lost.
        full, other: the same for the whole training set and for another mini-batch, where the rule asks for these.
        Returns what the closure returned first: for nearly all rules the loss at the parameters before the step; of a
        list the mean, or the list of what was returned where that is not numbers.
        """
        if closure is None:
            return self._finish("step()")
        self._ready("step(closure)")
        if self.space.has_new_gradients():
            raise RuntimeError(GRADIENTS_BEFORE)
        closures = list(closure) if isinstance(closure, Sequence) else [closure]
        refuse_count(self._rule, len(closures))
        given = {name: call for name, call in {"full": full, "other": other}.items() if call is not None}
        try:
            with self._statistics.step():
                return self._closure_step(closures, given)
        finally:
            self.space.keep_gradients(self._spanned)

    @torch.no_grad()
    def first_step(self, zero_grad: bool = True) -> None:
        """Move the parameters from the point of the present gradients to that of the rule's next one.

        zero_grad: clear the gradients, so that the next backward pass does not add to them.
        """
        refuse_two_steps(self._rule)
        self._ready("first_step()")
        w, gradient = self.space.read(), self.space.gradients("what came before first_step()")
        statistics = self._statistics.save()
        moved, finite = False, self.space.finite(gradient)
        try:
            self._descent(self._evaluated(w, [known(w, gradient)]), w)
        except Elsewhere as asked:
            self.space.write(asked.point)
            moved, finite = True, finite & self.space.finite(asked.point)
        self._halfway, self._away = Halfway(w, gradient, statistics, moved, finite), True
        if zero_grad:
            self.space.clear_gradients()

    def second_step(self, zero_grad: bool = False) -> None:
        """Go back, and take the step with the gradients computed at the point of ``first_step``.

        zero_grad: clear the gradients after it.
        """
        if self._halfway is None:
            raise RuntimeError("second_step() comes after first_step(), and a backward pass between them")
        self.step()
        if zero_grad:
            self.space.clear_gradients()

    @torch.no_grad()
    def restore(self) -> None:
        """Go back to the parameters before ``first_step``; do nothing if that has been done.

        The gradients stay, but become NaN if the first ones or the perturbed point are not finite.
        """
        if self._halfway is not None and self._away:
            self.space.void_gradients(unless=self._halfway.finite)
            self.space.write(self._halfway.w)
            self._statistics.put_back(self._halfway.statistics)
            self._away = False

    @property
    def perturbed(self) -> bool:
        """Whether ``first_step`` has moved the parameters and they have not been restored."""
        return self._away and self._halfway is not None and self._halfway.moved

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the base as its own ``state_dict`` has it, and that of the rule under "rule"."""
        self._refuse_halfway("state_dict()")
        self._catch_up()
        rule = {"name": self.rule_class.__name__, "steps": self._steps, "seed": self.seed, "own": pack(self._own)}
        return {**super().state_dict(), "rule": rule}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state, with its seed; a state of the base alone resets the rule."""
        self._refuse_halfway("load_state_dict()")
        rule = state_dict.get("rule")
        if rule is not None and rule["name"] != self.rule_class.__name__:
            raise ValueError(f"the state is one of {rule['name']}, not of {self.rule_class.__name__}")
        super().load_state_dict(state_dict)
        self._halfway = None
        self._begin()
        if rule is not None:
            self._steps, self.seed = rule["steps"], rule.get("seed", self.seed)
            self._own = unpack(rule["own"], self.parameters)

    def __getstate__(self) -> dict[str, Any]:
        mine = ("base", "space", "seed", "_statistics", "_base_of_rule", "_rule", "_own", "_spanned", "_steps")
        return {**super().__getstate__(), **{name: getattr(self, name) for name in (*mine, "_halfway", "_away")}}

    def _refuse_halfway(self, call: str) -> None:
        if self._away:
            raise RuntimeError(f"{call} within a step: first_step() waits for second_step(), or for restore()")

    def _closure_step(self, closures: Sequence[Closure], given: dict[str, Closure]) -> Any:
        w = self.space.read()
        others = {name: self._evaluated(w, self._passes(w, [call], Of.OTHERS)) for name, call in given.items()}
        passes = self._passes(w, closures)
        self._conclude(*self._descent(self._evaluated(w, passes, others), w))
        if type(self._rule).after is not Wrapper.after:
            self._follow_up(closures)
        return mean_value(passes)

    def _passes(self, w: Vector, closures: Sequence[Closure], of: Of = Of.MINI_BATCH) -> list[Passes]:
        return [Passes(self.space, w, closure, self._statistics, of) for closure in closures]

    def _evaluated(self, w: Vector, sources: Sequence[Any], others: dict[str, Evaluated] | None = None) -> Evaluated:
        return Evaluated(self.space, w, sources, others, self._steps)

    def _descent(self, loss: Evaluated, w: Vector) -> tuple[Vector, Any]:
        """Return the gradient that the rule gives its base, and the rule's own memory."""
        return self._present().descent(loss, w, Memory(self._base_of_rule.memory(w), self._own), self._steps)

    def _finish(self, call: str) -> None:
        """Do the second half of a step in two calls."""
        if self._halfway is None:
            raise RuntimeError(f"{call} has no gradient to perturb with: call first_step() before, or step(closure)")
        w, first, moved = self._halfway.w, self._halfway.gradient, self._halfway.moved
        self.restore()
        second = self.space.gradients("what came after first_step()")
        gradient_at = known(w, first, second) if moved else known(w, second)
        try:
            g, own = self._descent(self._evaluated(w, [gradient_at]), w)
        except Elsewhere:
            raise Refused("the rule needs gradients at more than two points: give step a closure") from None
        self._conclude(g, own)
        self.space.keep_gradients(self._spanned)

    def _conclude(self, g: Vector, own: Any) -> None:
        """Take the step with the gradient g, and apply the part of the rule's step that bypasses the base."""
        self.space.hand_over(g)
        self.base.step()
        if type(self._rule).conclude is not Wrapper.conclude and self._rule.active(self._steps):
            w, own = self._present().conclude(self.space.read(), own, self._steps)
            self.space.write(w)
        self._own, self._halfway = own, None
        self._steps += 1

    def _follow_up(self, closures: Sequence[Closure]) -> None:
        """Let the rule compute, at the new parameters, what the next step needs from this mini-batch."""
        rule, t, w = self._present(), self._steps - 1, self.space.read()
        if rule.active(t):
            loss = self._evaluated(w, self._passes(w, closures, Of.AFTERWARDS))
            own, self._own = self._own, rule.remember(w)  # the rule continues with it if a closure fails
            self._own = rule.after(loss, w, own, t)
