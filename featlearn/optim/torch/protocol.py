"""The interfaces between a rule's optimizer and its parts, so that no part imports the whole."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Protocol

import torch
from torch import Tensor


class Owner(Protocol):
    """The optimizer that the parts belong to. base: the optimizer that takes the steps. seed: of the rule's draws."""

    base: torch.optim.Optimizer
    seed: int

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The parameter groups, shared with the base."""

    @property
    def state(self) -> defaultdict[Tensor, Any]:
        """The base's state of every parameter."""

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters of all groups, in their order."""


class Splittable(Protocol):
    """An objective that is the mean over micro-batches."""

    def one_by_one(self) -> Any:
        """Return the micro-batches, to be averaged over (see engines.shards.Shards)."""
