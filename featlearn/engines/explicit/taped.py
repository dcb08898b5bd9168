"""A gradient and a Hessian as the list of torch's elementary operations in them, recorded once and repeated.

For many small runs torch.func.vmap and autograd take most of the time of a gradient, and arithmetic little of it. Both
choose the same operations for all tensors of one layout. So these are recorded, as torch's dispatch mode shows them
below autograd and vmap, and repeated on other numbers: the same bits in a third of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Tensors = Sequence[Tensor]
Place = int | tuple[int, ...]
Linearize = Callable[[], tuple[Tensors, Callable[[Tensors], Tensors]]]


@dataclass(frozen=True)
class Operation:
    """An operation, with the places of the tensors among its arguments, of its results, and of what ends with it.

    tensors: pairs of an argument's position and its place, or places if it is a list of tensors. results: a place, or
    the places of a list of tensors.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    tensors: tuple[tuple[int, Place], ...]
    results: Place
    ends: tuple[int, ...] = ()

    @property
    def places(self) -> set[int]:
        """The places of its tensors."""
        return {one for place in (self.results, *(place for _, place in self.tensors)) for one in _each(place)}

    def take(self, values: list[Any]) -> None:
        """Write the results into ``values``, and forget what is not used again."""
        arguments = list(self.arguments)
        for position, place in self.tensors:
            arguments[position] = values[place] if isinstance(place, int) else [values[one] for one in place]
        found = self.function(*arguments, **self.keywords)
        if isinstance(self.results, int):
            values[self.results] = found
        else:
            for place, x in zip(self.results, found, strict=True):
                values[place] = x
        for place in self.ends:
            values[place] = None


@dataclass(frozen=True)
class Tape:
    """The operations of a gradient, and the further ones of a product with the Hessian.

    values: the constants in their places; first come the inputs, then those of the product.
    """

    values: list[Any]
    n_inputs: int
    gradient: tuple[list[Operation], list[int]]
    product: tuple[list[Operation], list[int]]

    def __call__(self, inputs: Tensors) -> tuple[Tensors, Callable[[Tensors], Tensors]]:
        """Return the gradient, and the function v -> H v."""
        values = [*inputs, *self.values[len(inputs) :]]
        return _repeat(*self.gradient, values), lambda v: self._product(values.copy(), v)

    def _product(self, values: list[Any], v: Tensors) -> Tensors:
        for place, x in enumerate(v, self.n_inputs):
            like = self.values[place]
            values[place] = x if x.stride() == like.stride() else torch.empty_like(like).copy_(x)
        return _repeat(*self.product, values)


def record(linearize: Linearize, inputs: Tensors, along: Tensors) -> Tape | None:
    """Return the tape of ``linearize``; None where an operation cannot be repeated.

    It is called once, and its function v -> H v with ``along``. ``inputs``: all tensors on which it depends that may
    change.
    """
    with _Recorder([*inputs, *along]) as made:
        gradient, product = linearize()
        found = [made.place(x) for x in gradient], [made.place(x) for x in product(along)]
    if not made.complete:
        return None
    first = _needed(made.operations, found[0])
    rest = _needed([op for op in made.operations if op not in first], found[1])
    later = {place for op in rest for place in op.places}
    pairs = [(_ended(first, {*later, *found[0], *found[1]}), found[0]), (_ended(rest, found[1]), found[1])]
    results = {place for op in made.operations for place in _each(op.results)}
    constants = [None if place in results else x for place, x in enumerate(made.values)]
    return Tape([None if i < len(inputs) else x for i, x in enumerate(constants)], len(inputs), *pairs)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records operations; not ``complete`` if one draws numbers, changes its arguments or returns no tensors."""

    def __init__(self, inputs: Tensors) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.values, self.operations, self.complete = list(inputs), list[Operation](), True
        self._aliases: list[Tensor] = []  # kept, so that no other tensor gets their ids
        self._places = {id(x): place for place, x in enumerate(inputs)}

    def place(self, x: Tensor) -> int:
        """Return the place of a tensor; one that is neither an input nor a result is a constant."""
        if id(x) not in self._places:
            self._places[id(x)] = len(self.values)
            self.values.append(x)
        return self._places[id(x)]

    def places(self, x: Any) -> Place:
        """Return the place of a tensor, or the places of a list of tensors."""
        return self.place(x) if isinstance(x, Tensor) else tuple(map(self.place, x))

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        keywords = kwargs or {}
        result, tensors = function(*args, **keywords), [i for i, x in enumerate(args) if _of_tensors(x)]
        if function is torch.ops.aten.detach.default:
            self._places[id(result)] = self.place(args[0])
            self._aliases.append(result)
        elif not _repeatable(function, args, keywords) or not _of_tensors(result):
            self.complete = False
        elif tensors:
            arguments = tuple(None if i in tensors else x for i, x in enumerate(args))
            places = tuple((i, self.places(args[i])) for i in tensors)
            self.operations.append(Operation(function, arguments, keywords, places, self.places(result)))
        return result


def _each(place: Place) -> tuple[int, ...]:
    return (place,) if isinstance(place, int) else place


def _of_tensors(x: Any) -> bool:
    """Return whether x is a tensor or a list of tensors."""
    return isinstance(x, Tensor) or (
        isinstance(x, list | tuple) and len(x) > 0 and all(isinstance(y, Tensor) for y in x)
    )


def _repeatable(function: Any, args: Iterable[Any], keywords: dict[str, Any]) -> bool:
    """Return whether an operation depends on its arguments alone, and where its tensors are is known."""
    lists = [part for part in (*args, *keywords.values()) if isinstance(part, list | tuple) and not _of_tensors(part)]
    hidden = any(isinstance(x, Tensor) for part in (*lists, keywords.values()) for x in part)
    drawn = torch.Tag.nondeterministic_seeded in function.tags
    return not (hidden or drawn or function._schema.is_mutable or any(map(_of_tensors, keywords.values())))


def _needed(operations: Sequence[Operation], results: Iterable[int]) -> list[Operation]:
    """Return the operations on which the results depend."""
    wanted, kept = set(results), list[Operation]()
    for op in reversed(operations):
        if wanted.intersection(_each(op.results)):
            wanted |= op.places
            kept.append(op)
    return kept[::-1]


def _ended(operations: Sequence[Operation], kept: Collection[int]) -> list[Operation]:
    """Return the operations, each with the places that are not used after it."""
    used, out = set(kept), list[Operation]()
    for op in reversed(operations):
        out.append(replace(op, ends=tuple(op.places - used)))
        used |= op.places
    return out[::-1]


def _repeat(operations: Iterable[Operation], results: Iterable[int], values: list[Any]) -> Tensors:
    with torch.no_grad():
        for op in operations:
            op.take(values)
    return [values[place] for place in results]
