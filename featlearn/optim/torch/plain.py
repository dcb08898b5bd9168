"""The numbers of a parameter on this process, as a plain real tensor, and back.

Complex numbers are pairs of real ones, as in torch.optim. A parameter that is sharded over processes (a DTensor, as
of ``fully_shard``) gives its local part; sums over its numbers are taken over all processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def plain(tensor: Tensor) -> Tensor:
    """Return the numbers of a tensor, dense and real: the part of a sharded one, [..., 2] of a complex one."""
    part = local(tensor.detach()).to_dense()
    return torch.view_as_real(part.resolve_conj()) if part.is_complex() else part


def local(tensor: Tensor) -> Tensor:
    """Return the part of a tensor that this process has, which shares its memory."""
    part: Tensor = tensor.to_local() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return part


def wide(tensor: Tensor) -> torch.dtype:
    """Return the real precision to compute with: float32, or that of the tensor if it is higher."""
    real = tensor.dtype.to_real()
    return real if real.is_floating_point and real.itemsize > 4 else torch.float32


def shaped(numbers: Tensor, p: Tensor) -> Tensor:
    """Return the tensor of the kind of p with these plain numbers."""
    part = torch.view_as_complex(numbers.contiguous()) if p.is_complex() else numbers
    part = part.to(p.dtype)
    if not is_sharded(p):
        return part
    from torch.distributed.tensor import DTensor

    there: Any = p
    return DTensor.from_local(part, there.device_mesh, there.placements, shape=p.shape, stride=p.stride())


def aligned(g: Tensor, p: Tensor) -> Tensor:
    """Return the gradient g of p sharded over the processes as p is."""
    return g.redistribute(p.device_mesh, p.placements) if is_sharded(g) else g  # type: ignore[attr-defined]


def part_of(whole: Tensor, p: Tensor) -> Tensor:
    """Return this process's part of a tensor with the shape of p, or one axis more, that every process holds whole."""
    if not is_sharded(p):
        return whole
    from torch.distributed.tensor import distribute_tensor

    there: Any = p
    sharded = distribute_tensor(whole, there.device_mesh, there.placements, src_data_rank=None)
    return local(sharded).to(whole.device)


def total(sums: Sequence[Tensor], parameters: Sequence[Tensor]) -> Tensor:
    """Return the sum [1] of a number for each parameter, over all devices and processes, on the first's device."""
    places: dict[Any, list[tuple[Tensor, Tensor]]] = {}
    for x, p in zip(sums, parameters, strict=True):
        places.setdefault((x.device, *_sharding(p)), []).append((x, p))
    found = [_total_of(pairs) for pairs in places.values()]
    return sum((x.to(found[0].device) for x in found[1:]), found[0])


def _total_of(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the sum [1] of the numbers of parameters that are in the same place."""
    return over_processes(torch.stack([x for x, _ in pairs]).sum(0, keepdim=True), pairs[0][1])


def over_processes(x: Tensor, p: Tensor, *, within_rows: bool = False) -> Tensor:
    """Return the sum of x over the processes that p is sharded over; within_rows: only those that cut its rows."""
    if not is_sharded(p):
        return x
    from torch.distributed.tensor import DTensor, Partial, Replicate

    mesh, placements = _sharding(p)
    cut = [not where.is_replicate() and not (within_rows and where.dim == 0) for where in placements]
    return DTensor.from_local(x, mesh, [Partial() if is_cut else Replicate() for is_cut in cut]).full_tensor()


def is_sharded(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor; without importing it."""
    return hasattr(tensor, "device_mesh") and hasattr(tensor, "placements")


def _sharding(p: Any) -> tuple[Any, ...]:
    return (p.device_mesh, p.placements) if is_sharded(p) else ()
