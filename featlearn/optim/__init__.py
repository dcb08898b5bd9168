"""Update rules: one file per rule, each written once for both engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from featlearn.optim.adam import Adam, AdamW
from featlearn.optim.asam import ASAM, ElementwiseASAM
from featlearn.optim.component_sam import ComponentSAM
from featlearn.optim.dnsam import DNSAM
from featlearn.optim.ema_sam import EMASAM
from featlearn.optim.fsam import FSAM
from featlearn.optim.gsam import GSAM
from featlearn.optim.label_noise import LabelNoiseGD
from featlearn.optim.looksam import LookSAM
from featlearn.optim.momentum_sam import MomentumSAM
from featlearn.optim.msam import MSAM
from featlearn.optim.muon import Muon
from featlearn.optim.musam import MUSAM
from featlearn.optim.nsam import NSAM
from featlearn.optim.nusam import NUSAM
from featlearn.optim.perturbed import Perturbed
from featlearn.optim.random_perturbation import RandomPerturbation
from featlearn.optim.sam import SAM
from featlearn.optim.sampa import SAMPa
from featlearn.optim.sgd import SGD
from featlearn.optim.signsgd import SignSGD
from featlearn.optim.torch_optim import TorchOptim
from featlearn.optim.usam import USAM
from featlearn.optim.vasso import VaSSO
from featlearn.optim.wrapper import Memory, Wrapper
from featlearn.optim.wsam import WSAM

__all__ = [
    "ASAM",
    "DNSAM",
    "EMASAM",
    "FSAM",
    "GSAM",
    "MSAM",
    "MUSAM",
    "NSAM",
    "NUSAM",
    "OPTIMIZERS",
    "SAM",
    "SGD",
    "USAM",
    "WSAM",
    "Adam",
    "AdamW",
    "ComponentSAM",
    "ElementwiseASAM",
    "LabelNoiseGD",
    "LookSAM",
    "Memory",
    "MomentumSAM",
    "Muon",
    "Perturbed",
    "RandomPerturbation",
    "SAMPa",
    "SignSGD",
    "TorchOptim",
    "VaSSO",
    "Wrapper",
    "shape",
    "stack",
]

OPTIMIZERS: dict[str, type] = {
    "sgd": SGD,
    "sam": SAM,
    "usam": USAM,
    "dnsam": DNSAM,
    "n_sam": NSAM,
    "n_usam": NUSAM,
    "f_sam": FSAM,
    "vasso": VaSSO,
    "ema_sam": EMASAM,
    "component_sam": ComponentSAM,
    "sampa": SAMPa,
    "gsam": GSAM,
    "looksam": LookSAM,
    "wsam": WSAM,
    "momentum_sam": MomentumSAM,
    "label_noise": LabelNoiseGD,
    "msam": MSAM,
    "m_usam": MUSAM,
    "asam": ASAM,
    "asam_elementwise": ElementwiseASAM,
    "random_perturbation": RandomPerturbation,
    "muon": Muon,
    "adam": Adam,
    "adamw": AdamW,
    "signsgd": SignSGD,
    "torch_optim": TorchOptim,
}

R = TypeVar("R")


def stack(rules: Sequence[R], tensor: Any) -> R:
    """Merge the rules of a block into one whose numbers are tensors [b], made by ``tensor`` from a list.

    A number that is 0 in all runs stays a float, so that a rule can omit the term. Raises ValueError where
    the rules differ in anything but floats: such runs do not fit in one block (see ``shape``).
    """
    first = rules[0]
    if any(shape(rule) != shape(first) for rule in rules):
        raise ValueError("rules of one block may differ in their real numbers only")
    merged: dict[str, Any] = {}
    for field in fields(first):  # type: ignore[arg-type]
        values = [getattr(rule, field.name) for rule in rules]
        if is_dataclass(values[0]):
            merged[field.name] = stack(values, tensor)
        elif isinstance(values[0], float) and any(values):
            merged[field.name] = tensor(values)
    return replace(first, **merged)  # type: ignore[type-var]


def shape(rule: Any) -> tuple[Any, ...]:
    """Return what the rules of one block must share: their classes and every parameter that is not a real number."""
    parts: list[Any] = [type(rule)]
    for field in fields(rule):
        value = getattr(rule, field.name)
        parts.append(shape(value) if is_dataclass(value) else _form(value))
    return tuple(parts)


def _form(value: Any) -> Any:
    """Return the part of a parameter that a block shares: the number of its real numbers, or the parameter itself."""
    if isinstance(value, tuple):
        return tuple(map(_form, value))
    return float if isinstance(value, float) else value
