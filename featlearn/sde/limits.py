"""Which rules have a limit: one class each (see limit.py)."""

from __future__ import annotations

from typing import Any

from featlearn.optim import DNSAM, MSAM, MUSAM, NSAM, NUSAM, OPTIMIZERS, SAM, SGD, USAM, SignSGD
from featlearn.sde.dnsam import DNSAMLimit
from featlearn.sde.limit import Expansion, Limit
from featlearn.sde.micro_batches import MSAMLimit, MUSAMLimit
from featlearn.sde.n_sam import NSAMLimit, NUSAMLimit
from featlearn.sde.sam import SAMLimit
from featlearn.sde.sgd import SGDLimit
from featlearn.sde.signsgd import SignLimit
from featlearn.sde.usam import USAMLimit

LIMITS: dict[type, type[Limit]] = {
    SGD: SGDLimit,
    SignSGD: SignLimit,
    SAM: SAMLimit,
    USAM: USAMLimit,
    DNSAM: DNSAMLimit,
    NSAM: NSAMLimit,
    NUSAM: NUSAMLimit,
    MSAM: MSAMLimit,
    MUSAM: MUSAMLimit,
}
WITHOUT = ("momentum", "weight_decay")  # of a base: its limit would have more state, or another drift


def has_own_limit(rule: Any) -> bool:
    """Return whether a user's class defines its own drift and diffusion."""
    return hasattr(rule, "drift") and hasattr(rule, "diffusion")


def refusal(rule: Any) -> str | None:
    """Return why a rule has no flow and no SDE here, None if it has."""
    if has_own_limit(rule):
        timed = hasattr(rule, "rate") or hasattr(rule, "lr")
        return (
            None if timed else f"{type(rule).__name__} needs a parameter lr for its dynamics: a step takes the time lr"
        )
    base, name = getattr(rule, "base", rule), type(rule).__name__
    for part in (rule, base):
        if type(part) not in LIMITS:
            words = ", ".join(word for word, cls in OPTIMIZERS.items() if cls in LIMITS)
            return f"{type(part).__name__} has no dynamics but rule here; there is a limit of {words}"
    if used := [key for key in WITHOUT if key_is_used(getattr(base, key))]:
        return f"a base with {' and '.join(used)} has no dynamics but rule here"
    if isinstance(base, SignSGD) and issubclass(LIMITS[type(rule)], MSAMLimit | MUSAMLimit):
        return f"{name} on the base signsgd has no dynamics but rule here: its sign is that of a mean"
    return None


def key_is_used(value: Any) -> bool:
    """Return whether a number is not 0 in all runs of a block."""
    return not isinstance(value, float) or value != 0.0


def limit_of(rule: Any, expansion: Expansion, t: int | None = None) -> Limit:
    """Return the limit of a rule at step t, outside its window that of its base; that within it where t is None."""
    base = getattr(rule, "base", rule)
    if base is rule or not (t is None or rule.active(t)):
        return LIMITS[type(base)](rule=base, expansion=expansion)
    found = LIMITS[type(rule)](rule=rule, expansion=expansion)
    return SignLimit(rule=rule, expansion=expansion, inner=found) if isinstance(base, SignSGD) else found
