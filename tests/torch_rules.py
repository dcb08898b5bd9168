"""The rules of helpers.RULES as optimizers of featlearn.optim.torch."""

from dataclasses import fields, replace

from helpers import RULES

from featlearn.optim import MSAM, SGD
from featlearn.optim.schedules import UNCHANGED
from featlearn.optim.torch import RULES as OPTIMIZERS
from featlearn.optim.wrapper import Wrapper

REFUSED = {"LabelNoiseGD": "labels, and these are the data loader's: flip them there"}
NEED_MORE = {  # than two gradients of the mini-batch
    "DNSAM": r"give it in step\(closure, full=closure\)",
    "NSAM": r"give it in step\(closure, full=closure\)",
    "NUSAM": r"give it in step\(closure, full=closure\)",
    "ComponentSAM": r"give it in step\(closure, other=closure\)",
    "SAMPa": "once more after the step: give step a closure",
    "MSAM": "of every micro-batch: give step a closure",
    "MUSAM": "of every micro-batch: give step a closure",
}

WRAPPERS = {  # schedules of the learning rate, and bases, are torch's own there; so is the size of a micro-batch
    name: replace(rule, micro_batch_size=None, n_shards=2) if isinstance(rule, MSAM) else rule
    for name, rule in RULES.items()
    if isinstance(rule, Wrapper) and type(rule.base) is SGD and rule.base.lr_schedule == UNCHANGED
}
ALLOWED = {name: rule for name, rule in WRAPPERS.items() if type(rule).__name__ not in REFUSED}
ONE_OF_EACH = {name: ALLOWED[name] for name in {type(rule).__name__: name for name, rule in ALLOWED.items()}.values()}
TWO_STEP = {name: rule for name, rule in ONE_OF_EACH.items() if type(rule).__name__ not in NEED_MORE}


def own_numbers(rule):
    """What a rule, or its base, is called with in torch."""
    return {
        field.name: getattr(rule, field.name) for field in fields(rule) if field.name not in ("base", "lr_schedule")
    }


def like(rule, params, base_class, **options):
    """The optimizer with the numbers of a rule of the engines."""
    return OPTIMIZERS[type(rule).__name__](params, base_class, **own_numbers(rule), **options)
