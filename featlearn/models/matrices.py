"""The matrix product of landscapes, for autograd and torch.func: see ``landscape.matmul``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from featlearn.linalg import product


def matmul(left: Tensor, right: Tensor) -> Tensor:
    """Return left @ right, [..., m, s] @ [..., s, n], with the same leading axes."""
    found: Tensor = Product.apply(left, right)  # type: ignore[no-untyped-call]
    return found


class Product(torch.autograd.Function):
    """left @ right, [..., m, s] @ [..., s, n] with the same leading axes; its derivatives are products of this kind."""

    @staticmethod
    def forward(left: Tensor, right: Tensor) -> Tensor:
        """Return the product."""
        return product(left, right)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        """Keep both factors."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients of both factors, where they are wanted."""
        (left, right), (gradient,) = ctx.saved_tensors, gradients
        wanted = ctx.needs_input_grad
        return (
            matmul(gradient, right.mT) if wanted[0] else None,
            matmul(left.mT, gradient) if wanted[1] else None,
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, int | None], left: Tensor, right: Tensor) -> tuple[Tensor, int]:
        """Put the axis that is vectorized over first, in both."""
        factors = [
            x.expand(info.batch_size, *x.shape) if axis is None else x.movedim(axis, 0)
            for x, axis in zip((left, right), in_dims, strict=True)
        ]
        return matmul(*factors), 0
