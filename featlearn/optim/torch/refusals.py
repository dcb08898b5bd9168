"""Errors for rules that a training loop cannot serve, raised as early as possible."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from featlearn.optim.torch_rule import evaluates_loss
from featlearn.optim.wrapper import Wrapper

PROVIDES = frozenset({"coordinates", "patches"})  # patches: only their filters and micro-batches
_REASONS = {"labels": "it changes the labels, and these are the data loader's: flip them there"}

GRADIENTS_BEFORE = (
    "step(closure) finds gradients that it would throw away: closures compute all that a step needs. To step with what "
    "several backward passes add up to, make them all within the closure, or call first_step() and second_step(); "
    "gradients that are not needed any more are cleared by zero_grad()"
)


class Refused(ValueError):
    """A rule needs something that the training loop does not provide."""


class Unserved(Refused, AttributeError):
    """A rule calls a method that its loss or engine does not have in a training loop."""


def refuse_rule(rule: type[Wrapper], options: dict[str, Any]) -> None:
    """Raise Refused where no closures can serve a rule or one of its options."""
    name = rule.__name__
    if rule.step is not Wrapper.step:
        raise Refused(f"{name} takes the step itself, which its base does here: define ``gradient`` instead")
    for need in sorted(rule.needs - PROVIDES):
        raise Refused(f"{name}: {_REASONS.get(need, f'it needs {need}, which a training loop does not give')}")
    if options.get("micro_batch_size") is not None:
        raise Refused(f"{name}: the closures determine the size of a micro-batch: give n_shards, and as many closures")


def refuse_count(rule: Wrapper, count: int) -> None:
    """Raise Refused where the number of closures is not that of a rule's micro-batches."""
    wanted = getattr(rule, "n_shards", count or "one or more")
    if wanted != count:
        found = f"one for each micro-batch; found {count}"
        raise Refused(f"{type(rule).__name__}: give step a list of {wanted} closures, {found}")


def refuse_two_steps(rule: Wrapper) -> None:
    """Raise Refused where a rule needs more passes than the two calls allow."""
    gradients_after = type(rule).after is not Wrapper.after
    if gradients_after or hasattr(rule, "n_shards"):
        why = "once more after the step" if gradients_after else "of every micro-batch"
        raise Refused(f"{type(rule).__name__} needs gradients {why}: give step a closure")


def refuse_base(base_class: Any, options: dict[str, Any]) -> None:
    """Raise TypeError or ValueError for a base that is not an optimizer of torch, or evaluates the loss itself."""
    if not (isinstance(base_class, type) and issubclass(base_class, torch.optim.Optimizer)):
        how = "a class, such as torch.optim.SGD, with its options next to those of the rule"
        raise TypeError(f"the base is {how}; found {base_class!r}")
    if hasattr(base_class, "rule_class"):
        raise TypeError(f"the base is an optimizer without a base of its own, not {base_class.__name__}")
    if evaluates_loss(base_class):
        raise TypeError(f"{base_class.__name__} calls the closure itself, so it cannot be the base of a rule")
    refuse_group(options)


def refuse_group(group: dict[str, Any]) -> None:
    """Raise ValueError where the options of a parameter group, or those of all, contradict the rule."""
    if group.get("maximize"):
        raise ValueError("maximize: a rule perturbs towards a higher loss, so negate the loss instead")


def refuse_twice(parameters: Sequence[Tensor]) -> None:
    """Raise ValueError where a parameter is given twice."""
    if len({id(p) for p in parameters}) < len(parameters):
        raise ValueError("a parameter is given twice: it would count twice in norms, and move twice")


def refuse_places(parameters: Sequence[Tensor]) -> None:
    """Raise Refused where a parameter has no data yet, or is a shard of unknown processes."""
    if any(p.is_meta for p in parameters):
        raise Refused("a parameter is on the meta device, which holds no numbers: give it some before a step")
    flat = any(getattr(p, "_fsdp_flattened", False) for p in parameters)
    if flat and torch.distributed.get_world_size() > 1:
        raise Refused(
            "the parameters of FullyShardedDataParallel do not record over which processes they are sharded, so that "
            "norms over all of them cannot be computed: use torch.distributed.fsdp.fully_shard"
        )


def refuse_unknown(rule: type[Wrapper], own: set[str], base_class: type, options: dict[str, Any]) -> None:
    """Raise TypeError for an option that is neither the rule's nor the base's, with the available ones."""
    known = [p for p in signature(base_class).parameters.values() if p.name != "params"]
    if any(p.kind is p.VAR_KEYWORD for p in known):
        return
    there = {f"{rule.__name__} has": sorted(own), f"{base_class.__name__} has": [p.name for p in known]}
    for name in options.keys() - {p.name for p in known}:
        near = get_close_matches(name, [*own, *(p.name for p in known)], n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        listed = "; ".join(f"{who} {', '.join(names)}" for who, names in there.items())
        raise TypeError(f"no option {name!r}{meant} ({listed})")
