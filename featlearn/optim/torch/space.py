"""The parameters of an optimizer as a Vector: where the rules' algebra meets tensors that are changed in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from featlearn.engines.protocol import Vector

if TYPE_CHECKING:
    from featlearn.optim.torch.optimizer import RuleOptimizer


class ParameterSpace:
    """Parameters as Vectors with one lane: parts [1, *shape], in the order of the groups.

    Half precision is widened to float32: products of small numbers vanish in it, and the norm with them. Parameters
    are read and written by copy; their storage, which others may share, stays where it is.
    """

    def __init__(self, optimizer: RuleOptimizer) -> None:
        """Span the parameters that the optimizer has at the time of each call."""
        self._optimizer = optimizer
        self._took_part: set[Tensor] = set()

    def read(self) -> Vector:
        """Return a copy of the parameters, and forget which of them had gradients."""
        self._took_part.clear()
        return Vector(tuple(_lane(p.detach()) for p in self._optimizer.parameters))

    def write(self, w: Vector) -> None:
        """Set the parameters; what autocast had cached of them goes."""
        for p, leaf in zip(self._optimizer.parameters, w.leaves, strict=True):
            p.copy_(leaf[0])
        torch.clear_autocast_cache()

    def clear_gradients(self) -> None:
        """Set every gradient to None."""
        for p in self._optimizer.parameters:
            p.grad = None

    def void_gradients(self, unless: Tensor) -> None:
        """Make every gradient NaN unless a flag [1] is true: one found at inf is none, though a unit may hide it."""
        factor = torch.where(unless[0], 1.0, torch.nan)
        for p in self._optimizer.parameters:
            if p.grad is not None:
                p.grad.mul_(factor)

    def gradients(self) -> Vector:
        """Return a copy of the gradients: dense, zero where there is none."""
        self._took_part.update(p for p in self._optimizer.parameters if p.grad is not None)
        found = [
            torch.zeros_like(p) if p.grad is None else p.grad.detach().to_dense() for p in self._optimizer.parameters
        ]
        return Vector(tuple(_lane(g) for g in found))

    def hand_over(self, g: Vector) -> None:
        """Make g the gradients; a parameter that had none since ``read`` gets none."""
        for p, leaf in zip(self._optimizer.parameters, g.leaves, strict=True):
            if p not in self._took_part:
                p.grad = None
            elif p.grad is None or p.grad.is_sparse:
                p.grad = leaf[0].to(p.dtype)
            else:
                p.grad.copy_(leaf[0])  # it may be a view into a bucket of DistributedDataParallel

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return the inner product over all parameters, [1]."""
        return torch.stack([(a * b).sum() for a, b in zip(u.leaves, v.leaves, strict=True)]).sum(0, keepdim=True)


def _lane(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32), copy=True).unsqueeze(0)


class Statistics:
    """The buffers of a model (running means of batch norm), saved and put back by copy."""

    def __init__(self, model: nn.Module | None) -> None:
        """Watch the buffers of the model; of none if there is no model."""
        self._model = model

    def save(self) -> list[Tensor]:
        """Return a copy of the buffers."""
        return [] if self._model is None else [buffer.clone() for buffer in self._model.buffers()]

    def put_back(self, saved: list[Tensor]) -> None:
        """Set the buffers to what was saved."""
        for buffer, old in zip([] if self._model is None else self._model.buffers(), saved, strict=True):
            buffer.copy_(old)
