"""A rule's own memory as plain containers, which ``torch.load`` reads without trusting the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from featlearn.engines.protocol import Vector


def pack(memory: Any) -> Any:
    """Return the memory with every Vector as a dict of its parts and factor, to the bit."""
    return _mapped(memory, lambda u: {"parts": list(u.parts), "factor": u.factor})


def unpack(packed: Any, parameters: Sequence[Tensor]) -> Any:
    """Return what ``pack`` was given, the parts where their parameters are."""

    def vector(found: dict[str, Any]) -> Vector:
        pairs = zip(found["parts"], parameters, strict=True)
        return Vector(tuple(part.detach().to(p.device, copy=True) for part, p in pairs), found["factor"])

    return _mapped(packed, vector, lambda x: isinstance(x, dict) and x.keys() == {"parts", "factor"})


def extended(memory: Any, added: Sequence[Tensor]) -> Any:
    """Return the memory with zeros for parameters that came later."""
    zeros = tuple(torch.zeros_like(p, dtype=torch.promote_types(p.dtype, torch.float32))[None] for p in added)
    return _mapped(memory, lambda u: Vector((*u.parts, *zeros), u.factor))


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
