"""Activations of the hidden layer with their derivatives, as the Gram engine's hand-derived formulas need them.

At the kink of the ReLU the derivative is 0, as in torch, and so is the second derivative of relu2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Activation:
    """A function of the pre-activation, its derivative ``slope`` and its second derivative ``bend``.

    bend: None where it is 0 almost everywhere. degree: q where act(r z) = r^q act(z) for r > 0.
    """

    name: str
    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    bend: Callable[[Tensor], Tensor] | None
    degree: int | None


def _step(z: Tensor) -> Tensor:
    return (z > 0).to(z.dtype)


ACTIVATIONS = {
    "relu": Activation("relu", torch.relu, _step, None, 1),
    "relu2": Activation(
        "relu2", lambda z: torch.relu(z).square(), lambda z: 2 * torch.relu(z), lambda z: 2 * _step(z), 2
    ),
    "relu3": Activation(
        "relu3", lambda z: torch.relu(z).pow(3), lambda z: 3 * torch.relu(z).square(), lambda z: 6 * torch.relu(z), 3
    ),
    "softplus": Activation(
        "softplus",
        lambda z: F.softplus(z, threshold=40.0),
        torch.sigmoid,
        lambda z: torch.sigmoid(z) * torch.sigmoid(-z),
        None,
    ),
}


def activation(name: str) -> Activation:
    """Return the activation of a name. Raises ValueError for one that is not here."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}; found {name}")
    return ACTIVATIONS[name]
