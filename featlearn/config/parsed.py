"""Parsing one section: from a node to an object, or to all its problems."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from difflib import get_close_matches
from functools import cache, cached_property
from typing import Any

from featlearn.config.own import own_class
from featlearn.config.parameters import Parameter, parameters
from featlearn.config.problems import MOST_SHOWN, Problem, choices, show, suggest
from featlearn.config.sections import SECTIONS, Kind, Section, known_keys, nested, wraps
from featlearn.config.source import BROKEN, Node
from featlearn.custom import FAILURES, CustomError, is_own, raised_at, told
from featlearn.theory import scales


@dataclass(frozen=True, eq=False)
class ParsedSection:
    """A section parsed alone: its theory scales are unresolved.

    object: built with every {theory: c} taken as c; None if it cannot be built. invalid: keys with an invalid value.
    """

    node: Node
    kind: Kind | None = None
    values: dict[str, Any] = field(default_factory=dict)
    invalid: frozenset[str] = frozenset()
    object: Any = None
    problems: tuple[Problem, ...] = ()

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters of the kind; empty if the kind is unknown."""
        return self.kind.parameters if self.kind else {}

    @cached_property
    def scale_factors(self) -> dict[str, float]:
        """The c of every number that is given as {theory: c}."""
        return _scale_factors(self.kind, self.values) if self.kind else {}

    def resolved(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Return the value of every {theory: c}: c times its theory scale at the ``numbers`` of the run."""
        return {name: theory_value(self.parameters[name], c, numbers) for name, c in self.scale_factors.items()}

    def built(self, numbers: Mapping[str, float]) -> Any:
        """Return the object with its theory scales resolved."""
        if self.kind is None or not self.scale_factors:
            return self.object
        return self.kind.build({**self.values, **self.resolved(numbers)})


def theory_value(parameter: Parameter, c: float, numbers: Mapping[str, float]) -> float:
    """Return c times the theory scale of a parameter; NaN where a number is missing."""
    scale = getattr(scales, str(parameter.scale))
    return float(scale(c, **{name: numbers.get(name, math.nan) for name in symbols(parameter)}))


@cache
def symbols(parameter: Parameter) -> tuple[str, ...]:
    """Return the names of the numbers that the theory scale of a parameter depends on."""
    scale = getattr(scales, str(parameter.scale))
    return tuple(symbol for symbol in inspect.signature(scale).parameters if symbol != "c")


def read_section(section: Section, node: Node) -> ParsedSection:
    """Parse a section: its kind, its parameters, and the object built from them."""
    problems: list[Problem] = []
    mapping = as_mapping(section, node)
    if not isinstance(mapping.value, dict):
        if not node.broken:
            problems.append(node.problem(f"expected a mapping of keys, found {show(node.plain)}"))
        return ParsedSection(node, problems=tuple(problems))
    kind = kind_of(section, mapping, problems)
    if kind is None:
        return ParsedSection(node, problems=tuple(problems))
    _refuse_unknown(section, kind, mapping, problems)
    read = {name: _value(parameter, mapping, problems) for name, parameter in kind.parameters.items()}
    invalid = frozenset(name for name, value in read.items() if value is BROKEN)
    values = {name: value for name, value in read.items() if value is not BROKEN and value is not MISSING}
    obj = _build(kind, values, invalid, mapping, problems)
    return ParsedSection(mapping, kind, values, invalid, obj, tuple(problems))


def _scale_factors(kind: Kind, values: Mapping[str, Any]) -> dict[str, float]:
    given = {name: values.get(name) for name in kind.scaled}
    return {name: value["theory"] for name, value in given.items() if isinstance(value, dict)}


def as_mapping(section: Section, node: Node) -> Node:
    """Return the node as a mapping: a missing section is empty, and a single word names a kind."""
    if node.value is None:
        return Node({}, node.place, node.key)
    if isinstance(node.value, str) and section.word:
        return Node({section.word: node}, node.place, node.key)
    return node


def kind_of(section: Section, node: Node, problems: list[Problem]) -> Kind | None:
    """Return the kind that a mapping names, None if it names none; ``problems`` then has the reason."""
    if not section.word:
        return section.kind(section.table[""])
    try:
        cls = _class(section, section.word, section.table, section.default, node)
        _refuse_shared(cls, section.settings)
        if not wraps(cls):
            return section.kind(cls)
        base = _class(section, "base", section.bases, next(iter(section.bases)), node)
        if wraps(base):
            raise _NoClass("base", f"{base.__name__} wraps a rule itself: it cannot be a base")
        _refuse_shared(cls, base)
        return section.kind(cls, base)
    except _NoClass as reason:
        if reason.key not in node.value or not node.value[reason.key].broken:
            problems.append(node.problem(str(reason), reason.key))
    return None


class _NoClass(Exception):
    """``key`` names no class; the message gives the reason."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def _class(section: Section, key: str, table: Mapping[str, type], default: str | None, node: Node) -> type:
    """Return the class that a mapping names under ``key``: one of the table, or a user-defined one."""
    listed = choices(table, section.listing)
    if key not in node.value:
        if default is None:
            raise _NoClass(key, f"missing: expected {listed}")
        return table[default]
    word = node.value[key].plain
    if isinstance(word, str) and word in table:
        return table[word]
    if not (section.methods and is_own(word)):
        near = get_close_matches(word, table, 1) if isinstance(word, str) else []
        meant = f"; did you mean '{near[0]}'?" if near else ""
        raise _NoClass(key, f"expected {listed}, found {show(word)}{meant}")
    try:
        methods = (*section.methods, "update") if key == "base" else section.methods
        return own_class(node.value[key], methods, section.numbers, section.instead)
    except CustomError as error:
        raise _NoClass(key, str(error)) from None


def _refuse_shared(cls: type, other: type | None) -> None:
    """Refuse a class that shares a parameter name with its base, or with the keys of the whole section."""
    if shared := [name for name in parameters(cls) if other and name in parameters(other)]:
        names = f"{cls.__name__} and {'its base ' * wraps(cls)}{other.__name__ if other else ''}"
        raise _NoClass("name", f"{names} both have a parameter {', '.join(shared)}: rename it in yours")


def _refuse_unknown(section: Section, kind: Kind, node: Node, problems: list[Problem]) -> None:
    beside = () if node.key else (*filter(None, SECTIONS), "sweep", "extends")  # other keys at the top level
    for i, key in enumerate([key for key in node.value if key not in kind.keys]):
        if key in section.keys:
            message = f"not a key of {kind.cls.__name__}, which has {', '.join(kind.keys)}"
        else:  # the first ones are shown, and a suggestion takes a millisecond
            message = f"unknown key; {suggest(key, (*kind.keys, *beside), known_keys()) if i < MOST_SHOWN else ''}"
        problems.append(node.problem(message, key))


def _value(parameter: Parameter, node: Node, problems: list[Problem]) -> Any:
    """Return the value of a parameter: MISSING if it takes its default, BROKEN if it is invalid."""
    child = node.value.get(parameter.name)
    if child is not None and not _left_out(parameter, child):
        return _read_value(parameter, child, problems)
    if parameter.default is not MISSING:
        return MISSING
    problems.append(node.problem(f"missing: expected {parameter.expected}", parameter.name))
    return BROKEN


def _left_out(parameter: Parameter, node: Node) -> bool:
    """Whether null means the default: only if an object is expected."""
    return parameter.named is not None and not parameter.many and node.value is None


def _read_value(parameter: Parameter, node: Node, problems: list[Problem]) -> Any:
    if parameter.named is None or (parameter.many and not isinstance(node.value, list)):
        return parameter.read(node, problems)
    section = nested(parameter.named)
    if parameter.many:
        return _items(section, node, problems)
    parsed = read_section(section, node)
    problems += parsed.problems
    return BROKEN if parsed.object is None else parsed.object


def _items(section: Section, node: Node, problems: list[Problem]) -> Any:
    """Return the objects of a list of sections, without duplicates."""
    items = [read_section(section, item) for item in node.value]
    problems += [problem for item in items for problem in item.problems]
    kinds = [item.kind for item in items]
    for i, item in enumerate(items):
        if item.kind is not None and item.kind in kinds[:i]:
            problems.append(node.value[i].problem("given twice"))
    return BROKEN if any(item.object is None for item in items) else [item.object for item in items]


def _build(kind: Kind, values: Mapping[str, Any], invalid: frozenset[str], node: Node, problems: list[Problem]) -> Any:
    """Return the object, None if values are missing; report a ValueError of the class at the first key it names."""
    if any(kind.parameters[name].default is MISSING for name in invalid):
        return None
    try:
        return kind.build({**values, **_scale_factors(kind, values)})
    except ValueError as error:
        named = [key for key in node.value if re.search(rf"\b{key}\b", str(error))]
        if not invalid:
            problems.append(node.problem(str(error), named[0] if named else ""))
    except FAILURES as error:
        if not (place := raised_at(error)):
            raise
        problems.append(node.problem(f"{place}: {told(error)}"))
    return None
