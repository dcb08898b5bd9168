"""User-defined classes in place of a word: found, and checked for what the section needs.

Annotations and docstring describe such a class as they do a built-in one, so that all other code treats them alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Any, Literal, get_origin

from featlearn.config.parameters import Parameter, Theory, leaves, parameters
from featlearn.config.sections import dotted, wraps
from featlearn.config.source import Node
from featlearn.custom import FAILURES, CustomError, find_class, is_own, source_of, told
from featlearn.types import Numbers

PLAIN = (int, float, bool, str, NoneType, Literal)
RESERVED = ("name", "base", "source", "model")


def own_class(
    node: Node, methods: tuple[str, ...], numbers: tuple[str, ...] = (), instead: tuple[str, ...] = ()
) -> type:
    """Return the class that a node names. Raises CustomError if there is none, or none with these attributes.

    instead: methods that may take the place of ``methods``.

    A file is relative to the config that names it, or for --set to the working directory, and lies beside it or in a
    folder below: a config from elsewhere runs no other code of this machine.
    """
    cls = find_class(node.value, node.folder)
    try:
        reason = _unfit(cls, instead if any(hasattr(cls, name) for name in instead) else methods, numbers)
        name = source_of(cls).name
    except FAILURES as error:  # a metaclass is user code too
        raise CustomError(f"{node.value} cannot be used here: {told(error)}") from None
    if reason:
        raise CustomError(f"{name} {reason}")
    return cls


@cache
def _unfit(cls: type, methods: tuple[str, ...], numbers: tuple[str, ...]) -> str | None:
    """Return why a class cannot be used, None if it can."""
    missing = [name for name in methods if not any(name in vars(ancestor) for ancestor in cls.__mro__)]
    missing += sorted(getattr(cls, "__abstractmethods__", ()))
    if missing:
        return f"cannot be used here: it lacks the method {', '.join(dict.fromkeys(missing))}"
    settings: Any = getattr(cls, "__dataclass_params__", None)
    bare = "__dataclass_params__" not in vars(cls) and inspect.get_annotations(cls)
    if settings is None or not settings.frozen or bare:
        return "needs @dataclass(frozen=True, kw_only=True) above it"
    given = {field.name for field in fields(cls)}
    absent = [name for name in numbers if name not in given and not hasattr(cls, name)]
    if absent:
        return f"cannot be used here: it lacks {', '.join(absent)}, a parameter or a class attribute"
    return _unreadable(cls)


def _unreadable(cls: type) -> str | None:
    """Return why a config cannot give the parameters of a class."""
    taken = [field.name for field in fields(cls) if field.name in RESERVED]
    if taken and not (taken == ["base"] and wraps(cls)):
        return f"has a parameter {taken[0]}, which is reserved in configs: rename it"
    try:
        found = parameters(cls)
    except (NameError, TypeError) as error:
        return f"has an annotation that cannot be read: {error}"
    bad = [name for name, parameter in found.items() if not _can_be_given(parameter)]
    return f"has a parameter {bad[0]} that no config can set: use a number, a word, true or false" if bad else None


def _can_be_given(parameter: Parameter) -> bool:
    """Whether a config and a column of a table can hold the values of a parameter."""
    if parameter.named is not None:
        return not parameter.many
    if parameter.type == Numbers:
        return True
    types = [get_origin(leaf) or leaf for leaf in leaves(parameter.type)]
    return all(kind in PLAIN or kind is Theory for kind in types)


def own_keys(tree: Node) -> dict[str, Any]:
    """Return the dotted keys of the user-defined rules and data models named in a config, each with its type."""
    known: dict[str, Any] = {}
    for node in _words([tree]):
        try:
            cls = own_class(node, ())
        except CustomError:
            continue  # reported by its section
        if is_dataclass(cls):
            known |= dotted(parameters(cls), "data." if node.key.endswith("model") else "optimizer.")
    return known


def _words(values: Any) -> Iterator[Node]:
    """Yield the nodes that name a user-defined class."""
    for node in values:
        if isinstance(node, Node) and is_own(node.value):
            yield node
        elif isinstance(node, Node) and isinstance(node.value, dict | list):
            yield from _words(node.value.values() if isinstance(node.value, dict) else node.value)
