"""The rules of featlearn as optimizers of torch, for any ``nn.Module`` and around any base of ``torch.optim``.

``SAM(model.parameters(), torch.optim.SGD, rho=0.05, lr=0.1, momentum=0.9)``: every rule of ``featlearn.optim`` that
wraps another is here under its name, the perturbation coming from that very class; ``optimizer_class`` makes one of
your own rule. Schedulers, parameter groups, ``state_dict`` are those of any optimizer, and reach the base.

Closure style: the optimizer calls the closure wherever the rule needs a gradient::

    def closure():
        loss = criterion(model(inputs), targets)
        loss.backward()  # over micro-batches too: one perturbation, of the gradient they add up to
        return loss

    loss = optimizer.step(closure)

Two-step style, for rules that need one further gradient at most; clip between the second backward and the step::

    optimizer.zero_grad()
    criterion(model(inputs), targets).backward()
    optimizer.first_step()  # to the perturbed point, gradients cleared
    criterion(model(inputs), targets).backward()
    optimizer.second_step()  # back, and the step

Batch norm: with ``model=model`` the running statistics follow the first pass of a step only.

Mixed precision: with bfloat16 autocast nothing changes. GradScaler takes the two-step style. The first gradient is
unscaled under the base's name, since a scaler unscales once for each optimizer; an inf in either pass skips the step
(to clip, ``scaler.unscale_(optimizer)`` after ``restore``)::

    optimizer.zero_grad()
    scaler.scale(criterion(model(inputs), targets)).backward()
    scaler.unscale_(optimizer.base)
    optimizer.first_step()
    scaler.scale(criterion(model(inputs), targets)).backward()
    optimizer.restore()  # back, even if the step is then skipped
    scaler.step(optimizer)
    scaler.update()

DistributedDataParallel: as it stands, SAM on the joined batch, exactly. With the first backward (and its forward) in
``with model.no_sync():`` every worker perturbs along its own gradient: m-SAM, m the samples of a worker, and one
all-reduce a step. Only for rules whose first gradient does nothing but perturb: with GSAM, WSAM and LookSAM it enters
the step too, so that workers would drift apart. A rule's own memory (the average of F-SAM) is then each worker's own.

Half precision parameters are perturbed in float32. Rules that need more than gradients of one mini-batch take further
closures (``step(closure, full=..., other=...)``) or are refused with the reason.
"""

from __future__ import annotations

from typing import Any

from featlearn.optim import OPTIMIZERS
from featlearn.optim.torch.objective import Refused
from featlearn.optim.torch.optimizer import RuleOptimizer
from featlearn.optim.wrapper import Wrapper


def optimizer_class(rule: type[Wrapper]) -> type[RuleOptimizer]:
    """Return the optimizer of torch that follows a rule, a built-in one or your own."""
    return type(rule.__name__, (RuleOptimizer,), {"rule_class": rule, "__doc__": rule.__doc__, "__module__": __name__})


RULES = {rule.__name__: optimizer_class(rule) for rule in OPTIMIZERS.values() if issubclass(rule, Wrapper)}

__all__ = ["RULES", "Refused", "RuleOptimizer", "optimizer_class", *RULES]


def __getattr__(name: str) -> Any:
    if name not in RULES:
        raise AttributeError(f"{name!r} wraps no other rule: there are {', '.join(RULES)}")
    return RULES[name]
