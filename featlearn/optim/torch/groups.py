"""The parameter groups of a rule and its base: both share them, also when groups are added or replaced."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from featlearn.optim.perturbed import Perturbed
from featlearn.optim.schedules import FollowLR
from featlearn.optim.torch.memory import carried
from featlearn.optim.torch.options import option, per_part
from featlearn.optim.torch.refusals import refuse_group
from featlearn.optim.wrapper import Wrapper


class Sharing(torch.optim.Optimizer):
    """An optimizer around another, its base, whose parameter groups and state are its own."""

    base: torch.optim.Optimizer

    def __init__(self, params: Any, base_class: type[torch.optim.Optimizer], options: dict[str, Any]) -> None:
        self.base = object.__new__(torch.optim.Optimizer)  # holds the groups until the base is made
        super().__init__(params, {})
        self.base = base_class(self.param_groups, **options)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The parameter groups."""
        return self.base.param_groups

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        self.base.param_groups = groups

    @property
    def state(self) -> defaultdict[Tensor, Any]:
        """What the base keeps of every parameter."""
        return self.base.state

    @state.setter
    def state(self, state: defaultdict[Tensor, Any]) -> None:
        self.base.state = state

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters of all groups, in their order."""
        return [p for group in self.param_groups for p in group["params"]]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a state; groups and the state of parameters go to the base, as if it had loaded them itself."""
        shared = {name: state[name] for name in ("state", "param_groups")}
        super().__setstate__({name: value for name, value in state.items() if name not in shared})
        self.base.__setstate__(shared)


class RuleGroups(Sharing):
    """The groups of a rule: each has its radius, and the rule's own memory is of the parameters of all."""

    rule_class: ClassVar[type[Wrapper]]
    _rule: Wrapper
    _own: Any  # the rule's memory, of the parameters in _spanned
    _spanned: list[Tensor]

    @classmethod
    def _names(cls) -> set[str]:
        return {field.name for field in fields(cls.rule_class)} - {"base"}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, with its own options where it gives them."""
        if common := sorted(self._names() & param_group.keys() - {"rho"}):
            raise ValueError(f"{', '.join(common)}: of {self.rule_class.__name__} only rho may differ between groups")
        self._check(param_group)
        super().add_param_group(param_group)
        if hasattr(self, "_rule"):
            self._complete(self.param_groups[-1])

    def _check(self, group: dict[str, Any]) -> None:
        """Raise ValueError for options of a group that cannot be served."""
        refuse_group(group)
        if "rho" in self._names() & group.keys():
            option(self.rule_class, "rho", group["rho"])

    def _complete(self, group: dict[str, Any]) -> None:
        """Give a group the options that it lacks, also its radius and the learning rate at which that applies."""
        for name, value in self.defaults.items():
            group.setdefault(name, value)
        if isinstance(getattr(self._rule, "rho_schedule", None), FollowLR):
            group.setdefault("rho_lr", float(group.get("initial_lr", group["lr"])))
            if not group["rho_lr"] > 0:
                raise ValueError(f"the radius follows lr, which must be > 0 at first: found {group['rho_lr']}")

    def _catch_up(self) -> list[Tensor]:
        """Follow changes of the groups since the last step, and return the parameters that are new."""
        for group in self.param_groups:
            self._complete(group)
        before, now = self._spanned, self.parameters
        known = {id(p) for p in before}
        if [*map(id, before)] != [*map(id, now)]:
            self._own, self._spanned = carried(self._own, before, now), now
        return [p for p in now if id(p) not in known]

    def _present(self) -> Wrapper:
        """Return the rule with the radii that the groups have now."""
        if not isinstance(self._rule, Perturbed):
            return self._rule
        return replace(self._rule, rho=per_part(self.param_groups, lambda group: group["rho"]))
