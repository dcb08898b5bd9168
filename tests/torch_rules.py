"""The rules of helpers.RULES as optimizers of featlearn.optim.torch."""

from dataclasses import fields

from helpers import RULES

from featlearn.optim.torch import RULES as OPTIMIZERS
from featlearn.optim.wrapper import Wrapper

WRAPPERS = {name: rule for name, rule in RULES.items() if isinstance(rule, Wrapper)}
ONE_OF_EACH = {type(rule).__name__: name for name, rule in reversed(WRAPPERS.items())}.values()
REFUSED = {"SAMPa": "tries out a step of its base", "LabelNoiseGD": "flip them in the data loader"}


def own_numbers(rule):
    """What a rule is called with, its base aside."""
    return {field.name: getattr(rule, field.name) for field in fields(rule) if field.name != "base"}


def like(rule, params, base_class, **options):
    """The optimizer with the numbers of a rule of the engines."""
    return OPTIMIZERS[type(rule).__name__](params, base_class, **own_numbers(rule), **options)
