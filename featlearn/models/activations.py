"""Activations of the hidden layer with their derivative, as the Gram engine's hand-derived gradient needs it.

At the kink of the ReLU the derivative is 0, as in torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Activation:
    """A function of the pre-activation and its derivative; ``degree`` q where act(r z) = r^q act(z) for r > 0."""

    name: str
    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    degree: int | None


ACTIVATIONS = {
    "relu": Activation("relu", torch.relu, lambda z: (z > 0).to(z.dtype), 1),
    "relu2": Activation("relu2", lambda z: torch.relu(z).square(), lambda z: 2 * torch.relu(z), 2),
    "relu3": Activation("relu3", lambda z: torch.relu(z).pow(3), lambda z: 3 * torch.relu(z).square(), 3),
    "softplus": Activation("softplus", lambda z: F.softplus(z, threshold=40.0), torch.sigmoid, None),
}
