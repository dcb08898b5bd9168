"""The parameters of an optimizer as a Vector: the rules' algebra on tensors that change in place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from featlearn.engines.protocol import Vector
from featlearn.optim.torch.plain import aligned, local, over_processes, part_of, plain, shaped, total, wide
from featlearn.optim.torch.protocol import Owner, Splittable
from featlearn.optim.torch.refusals import Unserved
from featlearn.streams import stream


class ParameterSpace:
    """Parameters as Vectors with one lane: parts [1, *shape], in the order of the groups; a rule's engine.

    Parts are plain and real (see plain.py), each on the device of its parameter, and numbers of all parameters on that
    of the first. Half precision is widened to float32: products of small numbers vanish in it, and the norm with them.
    Parameters are read and written by copy; their storage, which may be shared, does not move.
    """

    def __init__(self, optimizer: Owner) -> None:
        """Use the parameters that the optimizer has at the time of each call."""
        self._optimizer = optimizer
        self._took_part: set[Tensor] = set()

    def __getattr__(self, name: str) -> Any:
        """Raise Unserved for anything else that a rule asks of its engine."""
        raise Unserved(f"the rule asks its engine for {name!r}, which the parameters of a module do not have")

    # in place

    def read(self) -> Vector:
        """Return a copy of the parameters."""
        return Vector(tuple(_lane(plain(p)) for p in self._optimizer.parameters))

    def begin(self) -> None:
        """Forget which parameters had gradients."""
        self._took_part.clear()

    def write(self, w: Vector) -> None:
        """Set the parameters, and clear autocast's cache of them."""
        for p, leaf in zip(self._optimizer.parameters, w.leaves, strict=True):
            if p.is_floating_point() or p.is_complex():  # integers have no gradient and stay unchanged
                p.copy_(shaped(leaf[0], p))
        torch.clear_autocast_cache()

    def clear_gradients(self) -> None:
        """Set every gradient to None."""
        for p in self._optimizer.parameters:
            p.grad = None

    def void_gradients(self, unless: Tensor) -> None:
        """Make every gradient NaN unless a flag [1] is true: a gradient taken at an infinite point may be finite."""
        factor = torch.where(unless[0], 1.0, torch.nan)
        for p in self._optimizer.parameters:
            if p.grad is not None:
                local(p.grad).mul_(factor.to(p.device))

    def gradients(self, source: str) -> Vector:
        """Return a copy of the gradients: dense, zero where there is none. Raises RuntimeError where all are None."""
        parameters = self._optimizer.parameters
        found = [p for p in parameters if p.grad is not None]
        if not found:
            raise RuntimeError(f"{source} left no gradient in any parameter: call backward() on the loss")
        self._took_part.update(found)
        return Vector(tuple(_lane(_gradient(p)) for p in parameters))

    def hand_over(self, g: Vector, to_all: bool = False) -> None:
        """Make g the gradients; a parameter without one since ``begin`` gets none, unless g is nonzero for it.

        to_all: give one to every parameter that can have one.
        """
        for p, leaf in zip(self._optimizer.parameters, g.leaves, strict=True):
            if p not in self._took_part and not (p.requires_grad and (to_all or _something(leaf, p))):
                p.grad = None
            elif p.grad is None or p.grad.is_sparse:
                p.grad = shaped(leaf[0], p)
            else:
                p.grad.copy_(shaped(leaf[0], p))  # it may be a view into a bucket of DistributedDataParallel

    def keep_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Mark the present gradients as used: the next step may discard them."""
        for p in parameters:
            if p.grad is not None:
                p.grad.left_at = _versions(p.grad)  # type: ignore[attr-defined]

    def has_new_gradients(self) -> bool:
        """Return whether a gradient that is not zero is new, or has changed, since they were marked."""
        found = (p.grad for p in self._optimizer.parameters if p.grad is not None)
        return any(getattr(g, "left_at", None) != _versions(g) and bool(plain(g).any()) for g in found)

    # methods of an engine

    def inner(self, u: Vector, v: Vector) -> Tensor:
        """Return the inner product over all parameters, [1]."""
        products = [(a * b).sum() for a, b in zip(u.leaves, v.leaves, strict=True)]
        return total(products, self._optimizer.parameters)

    def finite(self, u: Vector) -> Tensor:
        """Return [1], whether all numbers of u are finite, and small enough that their squares can be added."""
        return self.inner(u, u).isfinite()

    def rows_square(self, w: Vector) -> Tensor:
        """Return the squared norms of the filters of all parameters, one after the other, [1, f].

        The filters of a parameter are its rows along the first axis; one with a single axis, such as a bias, counts as
        a filter of norm 1.
        """
        pairs = zip(w.leaves, self._optimizer.parameters, strict=True)
        squares = [_squares(leaf, p) if _has_rows(leaf) else leaf.new_ones(1, 1) for leaf, p in pairs]
        return torch.cat([x.to(squares[0].device) for x in squares], 1)

    def scale_rows(self, u: Vector, x: Tensor) -> Vector:
        """Return u with its filters multiplied by x [1, f]."""
        counts = [leaf.shape[1] if _has_rows(leaf) else 1 for leaf in u.leaves]
        factors = iter(torch.split(x, counts, 1))
        return u.map(lambda leaf: _beside(leaf, next(factors)) * leaf)

    @property
    def seeds(self) -> Tensor:
        """The optimizer's seed, [1]."""
        return torch.tensor([self._optimizer.seed])

    @property
    def n_parameters(self) -> Tensor:
        """Number of trained parameters, [1]."""
        first, *_ = parameters = self._optimizer.parameters
        count = sum(p.numel() * (2 if p.is_complex() else 1) for p in parameters if p.requires_grad)
        return torch.tensor([count], dtype=wide(first), device=first.device)

    def isotropic(self, name: str, t: int) -> tuple[Vector, Tensor]:
        """Return independent standard normals, the draw ``name`` of step t, and their square sum [1]; 0 where frozen.

        Each device draws with its own generator, seeded by the seed, the name and t; of a parameter that is sharded
        over processes, each of them draws the whole.
        """
        key = int(stream(self._optimizer.seed, name, t).integers(2**63))
        devices = {p.device for p in self._optimizer.parameters}
        generators = {device: torch.Generator(device).manual_seed(key) for device in devices}
        u = Vector(tuple(_normal(p, generators[p.device]) for p in self._optimizer.parameters))
        return u, self.inner(u, u)

    def shards(self, loss: Splittable, size: int) -> Any:
        """Return the micro-batches of a step: its closures."""
        return loss.one_by_one()


def _lane(tensor: Tensor) -> Tensor:
    return tensor.to(wide(tensor), copy=True).unsqueeze(0)


def _gradient(p: Tensor) -> Tensor:
    return torch.zeros_like(plain(p)) if p.grad is None else plain(aligned(p.grad, p))


def _something(leaf: Tensor, p: Tensor) -> bool:
    """Return whether a leaf has a number other than 0, on any process."""
    return bool(over_processes(leaf.any().to(leaf.dtype), p))


def _versions(g: Tensor) -> tuple[int, int]:
    return g._version, local(g)._version


def _has_rows(leaf: Tensor) -> bool:
    return leaf.ndim > 2


def _squares(leaf: Tensor, p: Tensor) -> Tensor:
    return over_processes(leaf.square().flatten(2).sum(2), p, within_rows=True)


def _beside(leaf: Tensor, x: Tensor) -> Tensor:
    """Return x, one for each row of the leaf or one for all, in a shape that broadcasts."""
    return x.to(leaf).reshape([1, -1, *[1] * leaf.ndim][: leaf.ndim])


def _normal(p: Tensor, generator: torch.Generator) -> Tensor:
    u = torch.empty((*p.shape, *[2] * p.is_complex()), dtype=wide(p), device=p.device)
    return part_of(u.normal_(generator=generator) if p.requires_grad else u.zero_(), p).unsqueeze(0)
