"""Reading one section: from a node to an object, and to everything that is wrong with it."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field
from functools import cache, cached_property
from typing import Any

from featlearn.config.parameters import Parameter
from featlearn.config.problems import Problem, show, suggest
from featlearn.config.sections import SECTIONS, Kind, Section, known_keys, wraps
from featlearn.config.source import BROKEN, Node
from featlearn.theory import scales


@dataclass(frozen=True, eq=False)
class Draft:
    """A section as far as it can be read alone: theory scales are still open.

    object: built as if every open scale were 1; None if it cannot be built. bad: the keys whose value is not known.
    """

    node: Node
    kind: Kind | None = None
    values: dict[str, Any] = field(default_factory=dict)
    bad: frozenset[str] = frozenset()
    object: Any = None
    problems: tuple[Problem, ...] = ()

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters of the kind, none if it is not known."""
        return self.kind.parameters if self.kind else {}

    @cached_property
    def open(self) -> dict[str, float]:
        """The c of every number that is given as {theory: c}."""
        return _open(self.kind, self.values) if self.kind else {}

    def resolved(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Return the value of every open number: c times its theory scale at the ``numbers`` of the run."""
        return {name: _theory_value(self.parameters[name], c, numbers) for name, c in self.open.items()}

    def finished(self, numbers: Mapping[str, float]) -> Any:
        """Return the object with its open numbers resolved."""
        if self.kind is None or not self.open:
            return self.object
        return self.kind.build({**self.values, **self.resolved(numbers)})


def _theory_value(parameter: Parameter, c: float, numbers: Mapping[str, float]) -> float:
    scale, symbols = _scale(str(parameter.scale))
    return float(scale(c, **{name: numbers.get(name, math.nan) for name in symbols}))


@cache
def _scale(name: str) -> tuple[Callable[..., float], tuple[str, ...]]:
    """Return a theory scale, and the numbers of a run that it asks for."""
    scale = getattr(scales, name)
    return scale, tuple(symbol for symbol in inspect.signature(scale).parameters if symbol != "c")


def read_section(section: Section, node: Node) -> Draft:
    """Read a section: its kind, its parameters, and the object that they make."""
    problems: list[Problem] = []
    mapping = spelled_out(section, node)
    if not isinstance(mapping.value, dict):
        if not node.broken:
            problems.append(node.problem(f"expected a mapping of keys, found {show(node.plain)}"))
        return Draft(node, problems=tuple(problems))
    kind = _kind(section, mapping, problems)
    if kind is None:
        return Draft(node, problems=tuple(problems))
    _refuse_unknown(section, kind, mapping, problems)
    read = {name: _value(parameter, mapping, problems) for name, parameter in kind.parameters.items()}
    bad = frozenset(name for name, value in read.items() if value is BROKEN)
    values = {name: value for name, value in read.items() if value is not BROKEN and value is not MISSING}
    built = _build(kind, values, bad, mapping, problems)
    return Draft(mapping, kind, values, bad, built, tuple(problems))


def _open(kind: Kind, values: Mapping[str, Any]) -> dict[str, float]:
    given = {name: values.get(name) for name in kind.scaled}
    return {name: value["theory"] for name, value in given.items() if isinstance(value, dict)}


def spelled_out(section: Section, node: Node) -> Node:
    """Return the node as a mapping: a section that is not given is empty, and a word alone names a kind."""
    if node.value is None:
        return Node({}, node.place, node.key)
    if isinstance(node.value, str) and section.word:
        return Node({section.word: node}, node.place, node.key)
    return node


def _kind(section: Section, node: Node, problems: list[Problem]) -> Kind | None:
    """Return the kind that a mapping names."""
    word = _word(section.word, section.table, section.default, node, problems) if section.word else ""
    if word is None or not wraps(section.table[word]):
        return None if word is None else section.kinds[word, None]
    base = _word("base", section.bases, next(iter(section.bases)), node, problems)
    return None if base is None else section.kinds[word, base]


def _word(key: str, table: Mapping[str, type], default: str | None, node: Node, problems: list[Problem]) -> str | None:
    """Return the word that a mapping has under ``key``; None, with a problem, if the table does not have it."""
    choices = f"one of {', '.join(table)}" if len(table) > 1 else next(iter(table))
    if key not in node.value:
        if default is None:
            problems.append(node.problem(f"missing: expected {choices}", key))
        return default
    word = node.value[key].plain
    if isinstance(word, str) and word in table:
        return word
    if not node.value[key].broken:
        problems.append(node.problem(f"expected {choices}, found {show(word)}", key))
    return None


def _refuse_unknown(section: Section, kind: Kind, node: Node, problems: list[Problem]) -> None:
    beside = () if node.key else (*filter(None, SECTIONS), "sweep", "extends")  # the head's neighbours
    for key in [key for key in node.value if key not in kind.keys]:
        if key in section.keys:
            message = f"not a key of {kind.cls.__name__}, which has {', '.join(kind.keys)}"
        else:
            message = f"unknown key; {suggest(key, (*kind.keys, *beside), known_keys())}"
        problems.append(node.problem(message, key))


def _value(parameter: Parameter, node: Node, problems: list[Problem]) -> Any:
    """Return the value of a parameter: MISSING if it is left to its default, BROKEN if there is a problem with it."""
    child = node.value.get(parameter.name)
    if child is not None:
        items = parameter.items is not None and isinstance(child.value, list)
        return _items(parameter.items, child, problems) if items else parameter.read(child, problems)
    if parameter.default is not MISSING:
        return MISSING
    problems.append(node.problem(f"missing: expected {parameter.expected}", parameter.name))
    return BROKEN


def _items(section: Section, node: Node, problems: list[Problem]) -> Any:
    """Return the objects of a list of sections, none twice."""
    drafts = [read_section(section, item) for item in node.value]
    problems += [problem for draft in drafts for problem in draft.problems]
    kinds = [draft.kind for draft in drafts]
    for i, draft in enumerate(drafts):
        if draft.kind is not None and draft.kind in kinds[:i]:
            problems.append(node.value[i].problem("given twice"))
    return BROKEN if any(draft.object is None for draft in drafts) else [draft.object for draft in drafts]


def _build(kind: Kind, values: Mapping[str, Any], bad: frozenset[str], node: Node, problems: list[Problem]) -> Any:
    """Return the object, None if values are missing; a refusal of the class is a problem of the first key it names."""
    if any(kind.parameters[name].default is MISSING for name in bad):
        return None
    try:
        return kind.build({**values, **_open(kind, values)})
    except ValueError as error:
        named = [key for key in node.value if re.search(rf"\b{key}\b", str(error))]
        if not bad:
            problems.append(node.problem(str(error), named[0] if named else ""))
        return None
