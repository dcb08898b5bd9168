"""Checks once per process that a run's numbers depend on its own seed only on this machine.

Products and eigenvalues do so by construction (linalg.py). Torch's functions and sums round all entries of whole vector
registers equally, and every block fills whole registers; the check reports a library or processor for which this fails.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache

import torch
from torch import Tensor

from featlearn.linalg import eigh, product

LEAST = 32  # runs of a block, if more than one: a tensor [b, ...] then fills two registers of any kind
SHAPES = (3, 5), (9, 7)  # of a run's numbers: odd, so that runs start at addresses of every alignment


class IndependenceWarning(RuntimeWarning):
    """On this machine the bits of a run may depend on the other runs of its block."""


def _softplus(x: Tensor) -> Tensor:
    return torch.nn.functional.softplus(x, threshold=40.0)


def _eigenvectors(x: Tensor) -> Tensor:
    return torch.cat([part.flatten(1) for part in eigh(product(x, x.mT))], 1)


# [b, m, n] -> [b, ...]: equal inputs of all runs must give equal bits
ELEMENTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    name: getattr(torch, name)
    for name in ("exp", "log", "log1p", "sqrt", "rsqrt", "sigmoid", "tanh", "erf", "sin", "cos", "reciprocal")
}
OPERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    **ELEMENTWISE,
    "softplus": _softplus,
    "pow": lambda x: x.pow(1 / x),
    "logsumexp": lambda x: x.logsumexp(-1),
    "sum over columns": lambda x: x.sum(2),
    "sum over rows": lambda x: x.sum(1),
    "sum over both": lambda x: x.sum((1, 2)),
    "sum of a stack": lambda x: torch.stack([*x.flatten(1).T]).sum(0),
    "norm": lambda x: x.norm(dim=(1, 2)),
    "product": lambda x: product(x, x.mT),
    "eigenvectors": _eigenvectors,
}


@cache
def check_independence(device: str) -> None:
    """Issue an IndependenceWarning if an operation rounds a run differently at different places of its block."""
    if broken := list(_broken(device)):
        warnings.warn(
            f"on this machine the last bits of a run may depend on the other runs of its block: {', '.join(broken)} on "
            f"{torch.device(device).type} round equal numbers differently at different places of a block",
            IndependenceWarning,
            stacklevel=2,
        )


def _broken(device: str) -> Iterator[str]:
    """Yield the operations, with their precision, that give equal runs of a block different bits."""
    for dtype in (torch.float64, torch.float32):
        blocks = [_same(shape, dtype, device) for shape in SHAPES]
        for name, operation in OPERATIONS.items():
            if not all(_alike(operation(block)) for block in blocks):
                yield f"{name} ({str(dtype).removeprefix('torch.')})"


def _same(shape: tuple[int, int], dtype: torch.dtype, device: str) -> Tensor:
    """Return a block [b, *shape] of b equal runs: positive numbers with full mantissas."""
    numbers = torch.arange(1, shape[0] * shape[1] + 1, dtype=torch.float64).sqrt().div(2).reshape(shape)
    return numbers.to(device, dtype).expand(LEAST, *shape).contiguous()


def _alike(found: Tensor) -> bool:
    return bool((found == found[:1]).all())
