"""An optimizer of torch as the base of a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from featlearn.engines.protocol import Objective, Vector
from featlearn.optim.torch.numbers import per_part
from featlearn.optim.torch.objective import Refused

if TYPE_CHECKING:
    from featlearn.optim.torch.optimizer import RuleOptimizer


class TorchBase:
    """What a rule sees of the optimizer that takes its steps.

    That one steps in place, so it cannot try a step out: ``update`` keeps the gradient until the rule is done.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, optimizer: RuleOptimizer) -> None:
        self._optimizer = optimizer
        self.gradient: Vector | None = None

    @property
    def momentum(self) -> float:
        """The momentum that a parameter group has by default; 0 for a base without."""
        return float(self._optimizer.base.defaults.get("momentum", 0.0))

    def init(self, w: Vector) -> None:
        """Return no memory: the optimizer has its own."""

    def rate(self, t: int) -> Any:
        """Return the present learning rate, one for each part if the groups' differ."""
        return per_part(self._optimizer.param_groups, "lr")

    def memory(self, w: Vector) -> Vector | None:
        """Return the momentum buffers, zero before the first step; None for a base without momentum."""
        if self.momentum == 0:
            return None
        state = self._optimizer.state
        buffers = [state[p].get("momentum_buffer") if p in state else None for p in self._optimizer.parameters]
        return Vector(tuple(_buffer(found, part) for found, part in zip(buffers, w.parts, strict=True)))

    def update(self, loss: Objective, w: Vector, g: Vector, memory: Any, t: int) -> tuple[Vector, Any]:
        """Keep the gradient to step with."""
        if self.gradient is not None:
            raise Refused("the rule tries out a step of its base, and an optimizer of torch steps in place")
        self.gradient = g
        return w, memory

    def step(self, loss: Objective, w: Vector, memory: Any, t: int) -> tuple[Vector, Any]:
        """Take step t with the gradient at w."""
        return self.update(loss, w, loss.gradient(w), memory, t)

    def probe(self, loss: Objective, w: Vector, memory: Any, t: int) -> Vector:
        """Return w."""
        return w


def _buffer(found: Tensor | None, part: Tensor) -> Tensor:
    return torch.zeros_like(part) if found is None else found.to(part.dtype)[None]
