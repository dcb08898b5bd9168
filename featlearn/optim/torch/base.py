"""An optimizer of torch as the base of a rule."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from featlearn.engines.protocol import Objective, Scalar, Vector
from featlearn.optim.torch.options import per_part
from featlearn.optim.torch.plain import plain
from featlearn.optim.torch.protocol import Owner
from featlearn.optim.torch.space import ParameterSpace


@dataclass(frozen=True)
class Following:
    """The factor lr / rho_lr of every group: its present learning rate over the one at which its radius is rho."""

    optimizer: Owner

    def factor(self, t: int) -> Scalar:
        """Return the present factor, one for each part if the groups' differ."""
        found: Scalar = per_part(self.optimizer.param_groups, lambda group: float(group["lr"]) / group["rho_lr"])
        return found


class TorchBase:
    """The optimizer that takes the steps, as the base of a rule."""

    needs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, optimizer: Owner, space: ParameterSpace) -> None:
        self._optimizer, self._space = optimizer, space

    @property
    def momentum(self) -> float:
        """The largest momentum of a parameter group; 0 for a base without."""
        return max(float(group.get("momentum", 0.0)) for group in self._optimizer.param_groups)

    @property
    def lr_schedule(self) -> Following:
        """The factor of the groups' learning rates, also where a scheduler of torch sets them."""
        return Following(self._optimizer)

    def init(self, w: Vector) -> None:
        """Return no memory: the optimizer has its own."""

    def rate(self, t: int) -> Any:
        """Return the present learning rate, one for each part if the groups' differ."""
        return per_part(self._optimizer.param_groups, lambda group: group["lr"])

    def memory(self, w: Vector) -> Vector | None:
        """Return the momentum buffers, zero before the first step; None for a base without momentum."""
        if self.momentum == 0:
            return None
        state = self._optimizer.state
        buffers = [state[p].get("momentum_buffer") if p in state else None for p in self._optimizer.parameters]
        return Vector(tuple(_buffer(found, part) for found, part in zip(buffers, w.parts, strict=True)))

    def update(self, loss: Objective, w: Vector, g: Vector, memory: Any, t: int) -> tuple[Vector, Any]:
        """Return where the optimizer would go from w with the gradient g; its state and the parameters are restored."""
        space = self._space
        with _tried(self._optimizer.base, self._optimizer.parameters):
            try:
                space.write(w)
                space.hand_over(g, to_all=True)
                self._optimizer.base.step()
                return space.read(), memory
            finally:
                space.write(w)

    def step(self, loss: Objective, w: Vector, memory: Any, t: int) -> tuple[Vector, Any]:
        """Return where the optimizer would go from w with the gradient there."""
        return self.update(loss, w, loss.gradient(w), memory, t)

    def probe(self, loss: Objective, w: Vector, memory: Any, t: int) -> Vector:
        """Return w."""
        return w


@contextmanager
def _tried(base: torch.optim.Optimizer, parameters: list[Tensor]) -> Iterator[None]:
    """Let the optimizer step on copies of its state, and restore state and groups after it."""
    state = {p: base.state[p] for p in parameters if p in base.state}
    groups = [dict(group) for group in base.param_groups]
    base.state.update({p: deepcopy(kept) for p, kept in state.items()})
    try:
        yield
    finally:
        for p in parameters:
            base.state.pop(p, None)
        base.state.update(state)
        for group, numbers in zip(base.param_groups, groups, strict=True):
            group.clear()
            group.update(numbers)


def _buffer(found: Tensor | None, part: Tensor) -> Tensor:
    return torch.zeros_like(part) if found is None else plain(found).to(part.dtype)[None]
