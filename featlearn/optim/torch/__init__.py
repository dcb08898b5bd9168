"""The rules of featlearn as optimizers of torch, for any ``nn.Module`` and around any base of ``torch.optim``.

``SAM(model.parameters(), torch.optim.SGD, rho=0.05, lr=0.1, momentum=0.9)``: every rule of ``featlearn.optim`` that
wraps another is available under its name and computes the perturbation; ``optimizer_class`` makes an optimizer of your
own rule. Schedulers, parameter groups and ``state_dict`` work as for any optimizer, and apply to the base.

Closure style: the optimizer calls the closure wherever the rule needs a gradient::

    def closure():
        loss = criterion(model(inputs), targets)
        loss.backward()  # over micro-batches too: one perturbation, of the gradient they add up to
        return loss

    loss = optimizer.step(closure)

If earlier backward passes have left gradients, which the closure would replace, ``step`` raises. A trainer that
accumulates gradients over micro-batches uses the two-step style, or runs all of them within the closure.

Two-step style, for rules that need one further gradient at most (not SAMPa, mSAM and those with further closures); clip
between the second backward and the step::

    optimizer.zero_grad()
    criterion(model(inputs), targets).backward()
    optimizer.first_step()  # to the perturbed point, gradients cleared
    criterion(model(inputs), targets).backward()
    optimizer.second_step()  # back, and the step

(``first_step(zero_grad=True)`` and ``second_step(zero_grad=True)`` of davda54/sam do the same, and clear the gradients
after the step too.)

Further closures: ``step(closure, full=..., other=...)`` for n-SAM, DNSAM and ComponentSAM, which ask for the loss on
the whole training set or on another mini-batch. A list of closures is one for each micro-batch, all of the same weight:
the gradient is their mean, and mSAM perturbs each separately::

    optimizer = MSAM(model.parameters(), torch.optim.SGD, rho=0.05, lr=0.1, n_shards=4)
    optimizer.step([closure_on(part) for part in batch.chunk(4)])

SAMPa calls its closure at y+, and once more after the step, with the radius at that time, for the gradients that the
next step needs from this mini-batch. ASAM takes the rows of a parameter along its first axis as filters; a parameter
with a single axis has T = 1, as biases do in SamsungLabs' code (which selects by name, and so adapts the scales of
normalization layers). ElementwiseASAM adapts every number. Random perturbations are drawn from ``seed``, 0 unless
given, which is part of ``state_dict``. Label noise is refused: labels belong to the data loader.

Radii: a group's own ``rho``, times ``rho_schedule``: "lr", or a schedule such as StepDecay(every=10, gamma=0.5). With
"lr", the default of GSAM, the radius of a group is rho lr / rho_lr at every step, whatever scheduler
of torch sets its lr; rho_lr is an option of the group, its initial lr unless given.

Batch norm: with ``model=model`` the running statistics of a step are those of its unperturbed pass, over the
mini-batch if there is one. n-SAM, and ComponentSAM with full or other_batch, evaluate the unperturbed weights with the
other closure only, and the statistics are those of that pass. Momentum-SAM and random perturbations in closure style
have no unperturbed pass, nor has SAMPa: there the statistics are those of the perturbed weights, and of y+. Without
``model=`` every pass changes them: with SAM twice a step, once at the perturbed weights.

Mixed precision: with bfloat16 autocast nothing changes. GradScaler requires the two-step style. The first gradient is
unscaled for ``optimizer.base``, since a scaler unscales once for each optimizer; an inf in either pass skips the step
(to clip, ``scaler.unscale_(optimizer)`` after ``restore``)::

    optimizer.zero_grad()
    scaler.scale(criterion(model(inputs), targets)).backward()
    scaler.unscale_(optimizer.base)
    optimizer.first_step()
    scaler.scale(criterion(model(inputs), targets)).backward()
    optimizer.restore()  # back, even if the step is then skipped
    scaler.step(optimizer)
    scaler.update()

DistributedDataParallel: without changes, exactly SAM on the joined batch. With the first backward (and its forward) in
``with model.no_sync():`` every worker perturbs along its own gradient: m-SAM, m the samples of a worker, and one
all-reduce a step. This is only for rules whose first gradient is used for the perturbation alone: with GSAM, WSAM and
LookSAM it enters the step too, so that workers would drift apart. A rule's own memory (the average of F-SAM) is then
each worker's own.
Random perturbations are the same on all workers with one kind of device, unless their seeds differ.

fully_shard, and other DTensors: norms are over all processes, random perturbations those of the unsharded model, and
the rule's own memory is sharded as the parameters are. FullyShardedDataParallel, the older class, is refused: its
parameters do not record over which processes they are sharded.

Half precision parameters are perturbed in float32, and the perturbed point is rounded to their precision: a radius too
small to change any number has no effect. Complex parameters are treated as their real view (``torch.view_as_real``), as
torch.optim treats them; so for ASAM each entry of a complex vector is a filter. Parameters may be on several devices.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from featlearn.optim import OPTIMIZERS
from featlearn.optim.torch.optimizer import RuleOptimizer
from featlearn.optim.torch.refusals import Refused
from featlearn.optim.wrapper import Wrapper


@cache
def optimizer_class(rule: type[Wrapper]) -> type[RuleOptimizer]:
    """Return the optimizer of torch that follows a rule, a built-in one or your own: one class per rule."""
    parts = {"rule_class": rule, "__doc__": rule.__doc__, "__module__": __name__, "__reduce__": _reduce}
    return type(rule.__name__, (RuleOptimizer,), parts)


def _reduce(optimizer: RuleOptimizer) -> tuple[Any, ...]:
    """Return what pickle needs: a class made here is found by its rule, a subclass of it by its name."""
    cls = type(optimizer)
    made = cls is optimizer_class(cls.rule_class)
    return _blank, (cls.rule_class if made else cls,), optimizer.__getstate__()


def _blank(kind: type[Wrapper | RuleOptimizer]) -> RuleOptimizer:
    cls = kind if issubclass(kind, RuleOptimizer) else optimizer_class(kind)
    return cls.__new__(cls)


RULES = {rule.__name__: optimizer_class(rule) for rule in OPTIMIZERS.values() if issubclass(rule, Wrapper)}

__all__ = ["RULES", "Refused", "RuleOptimizer", "optimizer_class", *RULES]


def __getattr__(name: str) -> Any:
    if name not in RULES:
        raise AttributeError(f"{name!r} wraps no other rule; available are {', '.join(RULES)}")
    return RULES[name]


def __dir__() -> list[str]:
    return __all__
