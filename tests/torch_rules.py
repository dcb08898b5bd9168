"""The rules of helpers.RULES as optimizers of featlearn.optim.torch."""

from dataclasses import fields

from helpers import RULES

from featlearn.optim import SGD
from featlearn.optim.schedules import UNCHANGED
from featlearn.optim.torch import RULES as OPTIMIZERS
from featlearn.optim.wrapper import Wrapper

REFUSED = {
    "SAMPa": "tries out a step of its base",
    "LabelNoiseGD": "flip them in the data loader",
    "MSAM": "asks its loss for",
    "ASAM": "asks its loss for",
    "RandomPerturbation": "asks its loss for 'isotropic'",
}
NEED_MORE = {"DNSAM", "NSAM", "ComponentSAM"}  # than gradients of the mini-batch: the closures full or other

WRAPPERS = {  # schedules of the learning rate, and bases, are torch's own there
    name: rule
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
