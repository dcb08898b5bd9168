"""A rule's own memory as plain containers, which ``torch.load`` reads without trusting the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from featlearn.engines.protocol import Vector
from featlearn.optim.torch.plain import plain, wide


def pack(memory: Any) -> Any:
    """Return the memory with every Vector as a dict of its parts and factor, to the bit."""
    return _mapped(memory, lambda u: {"parts": list(u.parts), "factor": u.factor})


def unpack(packed: Any, parameters: Sequence[Tensor]) -> Any:
    """Return what ``pack`` was given, the parts where their parameters are."""

    def vector(found: dict[str, Any]) -> Vector:
        pairs = zip(found["parts"], parameters, strict=True)
        return Vector(tuple(part.detach().to(p.device, copy=True) for part, p in pairs), found["factor"])

    return _mapped(packed, vector, lambda x: isinstance(x, dict) and x.keys() == {"parts", "factor"})


def carried(memory: Any, before: Sequence[Tensor], now: Sequence[Tensor]) -> Any:
    """Return the memory of the parameters ``before`` for the present ones: zeros for new ones."""
    places = {id(p): i for i, p in enumerate(before)}

    def vector(u: Vector) -> Vector:
        return Vector(tuple(u.parts[places[id(p)]] if id(p) in places else _empty(p) for p in now), u.factor)

    return _mapped(memory, vector)


def _empty(p: Tensor) -> Tensor:
    return torch.zeros_like(plain(p), dtype=wide(p))[None]


def _is_vector(x: Any) -> bool:
    return isinstance(x, Vector)


def _mapped(tree: Any, change: Callable[[Any], Any], concerns: Callable[[Any], bool] = _is_vector) -> Any:
    """Return the tree of tuples, lists and dicts with ``change`` made to the nodes it concerns."""
    if concerns(tree):
        return change(tree)
    if isinstance(tree, dict):
        return {key: _mapped(value, change, concerns) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        items = [_mapped(item, change, concerns) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree
