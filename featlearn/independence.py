"""A run's numbers depend on its own seed only: what that rests on, checked once a process on the machine at hand.

Products and eigenvalues keep it by construction (linalg.py). Of torch's own functions and sums it is known that they
treat whole vector registers alike, which every block fills; a library or a processor that does otherwise is named here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache

import torch
from torch import Tensor

from featlearn.linalg import eigh, product

LEAST = 32  # runs of a block, if more than one: any tensor [b, ...] then fills registers of any kind, two at a time
SHAPES = (3, 5), (9, 7)  # of a run's numbers: odd, so that runs begin at addresses of every kind


class IndependenceWarning(RuntimeWarning):
    """The bits of a run may depend on the runs beside it, on this machine."""


def _softplus(x: Tensor) -> Tensor:
    return torch.nn.functional.softplus(x, threshold=40.0)


def _eigenvectors(x: Tensor) -> Tensor:
    return torch.cat([part.flatten(1) for part in eigh(product(x, x.mT))], 1)


# [b, m, n] -> [b, ...]: of the same numbers in every run, the same bits must come
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
    """Warn with an IndependenceWarning where an operation rounds a run otherwise at another place of its block."""
    if broken := list(_broken(device)):
        warnings.warn(
            f"on this machine the last bits of a run may depend on the runs beside it: {', '.join(broken)} on "
            f"{torch.device(device).type} round the same numbers otherwise at another place of a block",
            IndependenceWarning,
            stacklevel=2,
        )


def _broken(device: str) -> Iterator[str]:
    """Yield the operations that do not treat all runs of a block alike, with their precision."""
    for dtype in (torch.float64, torch.float32):
        blocks = [_same(shape, dtype, device) for shape in SHAPES]
        for name, operation in OPERATIONS.items():
            if not all(_alike(operation(block)) for block in blocks):
                yield f"{name} ({str(dtype).removeprefix('torch.')})"


def _same(shape: tuple[int, int], dtype: torch.dtype, device: str) -> Tensor:
    """Return a block [b, *shape] of one run with b different places: positive numbers with all their digits."""
    numbers = torch.arange(1, shape[0] * shape[1] + 1, dtype=torch.float64).sqrt().div(2).reshape(shape)
    return numbers.to(device, dtype).expand(LEAST, *shape).contiguous()


def _alike(found: Tensor) -> bool:
    return bool((found == found[:1]).all())
