"""The parameters of a class, read from its annotations and docstring: name, type, bounds and meaning.

The class that uses a parameter describes it once: the annotation gives type and bounds, the docstring has a line
``name: meaning``. Validation, messages, ``featlearn list`` and the JSON schema follow from these.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields
from difflib import get_close_matches
from functools import cache, cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict, is_typeddict  # pydantic requires these below Python 3.12

from featlearn.config.problems import Problem, show
from featlearn.config.source import BROKEN, Node
from featlearn.custom import FAILURES, CustomError, is_own, told
from featlearn.functions.own import own_word
from featlearn.types import Bound, Function, Named, NonNegative, TheoryScale

STRICT = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")
LARGEST = 2**63  # integers must fit a column of a table


@with_config(STRICT)
class Theory(TypedDict):
    """c times the scale that theory gives for the number (featlearn/theory/scales.py)."""

    theory: NonNegative


@dataclass(frozen=True, eq=False)
class Parameter:
    """A key of a section.

    type: its annotation, as a config may use it. default: MISSING if a value is required. scale: its theory scale, if
    any.
    named: the table of classes for its value, or for each of its items; None for a plain value.
    function: activation or loss where the word of one is expected, and a user's may be named; else None.
    """

    name: str
    type: Any
    default: Any
    doc: str
    scale: str | None = None
    named: Named | None = None
    function: str | None = None

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """Pydantic's validator of the type."""
        return TypeAdapter(self.type, config=STRICT)

    @property
    def expected(self) -> str:
        """What the value must be, in words."""
        if self.named is None:
            return expected(self.type) + ", or your own: file.py:Class" * bool(self.function)
        words = ", ".join(self.named.table)
        return f"a list of some of {words}" if self.many else f"one of {words}"

    @property
    def many(self) -> bool:
        """Whether it is a list of objects."""
        return self.named is not None and self.type is not Any

    @property
    def shown_default(self) -> Any:
        """The default as a config would write it; MISSING if a value is required."""
        if self.named is None or self.default is MISSING:
            return self.default
        words = {cls: word for word, cls in self.named.table.items()}
        return [words[type(item)] for item in self.default] if self.many else words.get(type(self.default), "its own")

    @cached_property
    def subkeys(self) -> dict[str, Any]:
        """The keys and their types when the value is a mapping, such as ``theory``."""
        mappings = [leaf for leaf in leaves(self.type) if is_typeddict(leaf)]
        return {key: hint for leaf in mappings for key, hint in get_type_hints(leaf, include_extras=True).items()}

    def read(self, node: Node, problems: list[Problem]) -> Any:
        """Return the value of a node; if it is invalid, report the problem and return BROKEN."""
        if node.broken:
            return BROKEN
        value = node.plain
        if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST and integral(self.type):
            value = int(value)  # 1e6 means 1000000
        if self.function and is_own(value):
            return self._own_function(node, problems)
        try:
            valid = self.adapter.validate_python(value)
        except ValidationError:
            several = "; several values belong under sweep" if isinstance(value, list) and single(self.type) else ""
            found = f"{show(value)}{several or self._meant(value)}"
            problems.append(node.problem(f"expected {self.expected}, found {found}"))
            return BROKEN
        if isinstance(valid, float):
            return valid + 0.0  # -0.0 and 0.0 are the same value
        if isinstance(valid, int) and abs(valid) >= LARGEST:
            problems.append(node.problem(f"expected an integer below 2**63, found {show(value)}"))
            return BROKEN
        return valid

    def _own_function(self, node: Node, problems: list[Problem]) -> Any:
        """Return the word within a run of a user's activation or loss."""
        try:
            return own_word(str(self.function), node.value, node.folder)
        except CustomError as error:
            problems.append(node.problem(str(error)))
        except FAILURES as error:  # user code that is no class of formulas, such as a metaclass
            problems.append(node.problem(f"{node.value} cannot be used here: {told(error)}"))
        return BROKEN

    def _meant(self, value: Any) -> str:
        words = [word for leaf in leaves(self.type) if get_origin(leaf) is Literal for word in get_args(leaf)]
        near = get_close_matches(value, words, 1) if isinstance(value, str) else []
        return f"; did you mean '{near[0]}'?" if near else ""

    def accepts(self, value: float) -> bool:
        """Whether a number computed for the parameter is within its bounds."""
        try:
            self.adapter.validate_python(value)
        except ValidationError:
            return False
        return True


@cache
def parameters(cls: type) -> dict[str, Parameter]:
    """Return the parameters of a dataclass by name, its own before those it inherits.

    ``base``, the rule that a rule wraps, is not one of them.
    """
    hints = get_type_hints(cls, localns={"Base": object}, include_extras=True)  # Base's module needs torch
    doc = "\n\n".join(ancestor.__doc__ or "" for ancestor in cls.__mro__)
    by_name = {f.name: f for f in fields(cls)}
    order = [name for ancestor in cls.__mro__ for name in inspect.get_annotations(ancestor) if name in by_name]
    return {name: _parameter(by_name[name], hints[name], doc) for name in dict.fromkeys(order) if name != "base"}


def _parameter(field: Field[Any], hint: Any, doc: str) -> Parameter:
    marks = list(_marks(hint))
    scale = next((mark.name for mark in marks if isinstance(mark, TheoryScale)), None)
    named = next((mark for mark in marks if isinstance(mark, Named)), None)
    function = next((mark.kind for mark in marks if isinstance(mark, Function)), None)
    if named is not None and not any(get_origin(leaf) is list for leaf in leaves(hint)):
        hint = Any  # read key by key, as a section is
    default = field.default if field.default_factory is MISSING else field.default_factory()
    hint = hint | Theory if scale else hint
    return Parameter(field.name, hint, default, meaning(field.name, doc), scale, named, function)


def meaning(name: str, doc: str) -> str:
    """Return the text after "name: " in a docstring, up to the next name or the end of the paragraph."""
    found = re.search(rf"^ *{name}: (.*(\n(?! *\w+: )[ \t]*\S.*)*)", doc, re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def single(hint: Any) -> bool:
    """Whether an annotation is one number, word or switch, or a mapping in place of one, such as {theory: c}."""
    plain = (int, float, bool, str, NoneType)
    return all(leaf in plain or is_typeddict(leaf) or get_origin(leaf) is Literal for leaf in leaves(hint))


def integral(hint: Any) -> bool:
    """Whether the numbers of an annotation are integers."""
    return int in leaves(hint) and float not in leaves(hint)


def expected(hint: Any) -> str:
    """Describe an annotation: "an integer >= 2", "a number > 0 or null", ..."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [str(mark) for mark in args[1:] if isinstance(mark, Bound)]
        return " ".join([expected(args[0]), *limits])
    if origin in (Union, UnionType):
        return " or ".join(expected(part) for part in args)
    if origin is Literal:
        return f"one of {', '.join(args)}" if len(args) > 1 else str(args[0])
    if origin in (list, tuple):
        return f"a list (each {expected(args[0])})"
    if is_typeddict(hint):
        inside = get_type_hints(hint, include_extras=True).items()
        return f"{{{', '.join(f'{key}: {expected(part)}' for key, part in inside)}}}"
    return "a mapping" if origin is dict else _NAMES.get(hint, "a value")


_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "text", NoneType: "null"}


def _marks(hint: Any) -> Iterator[Any]:
    """Yield the metadata of an annotation, from inside unions too."""
    yield from getattr(hint, "__metadata__", ())
    for part in get_args(hint) if get_origin(hint) in (Union, UnionType) else ():
        yield from _marks(part)


def leaves(hint: Any) -> list[Any]:
    """Return the types that a value may have, without metadata."""
    if get_origin(hint) in (Union, UnionType):
        return [leaf for part in get_args(hint) for leaf in leaves(part)]
    return leaves(get_args(hint)[0]) if get_origin(hint) is Annotated else [hint]
