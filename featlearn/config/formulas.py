"""Numbers that a config gives as formulas, ``{formula: "1.6 * sqrt(1000 / dim)"}``, over other numbers of the run.

A name is a key of data, network, optimizer or train, ``dim`` or in full ``data.dim``, whose value is a number: given,
a default, a formula in its turn, {theory: c}, or one that follows from others (signal_norm from snr, batch_size: full,
torch's init_std). The sections of a run are read once its formulas have been replaced by their values, so that the run
is the same, with the same id, as if the numbers had been written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, replace
from difflib import get_close_matches
from typing import Any

from featlearn.config.expression import Expression, ExpressionError, parsed
from featlearn.config.parameters import Parameter, leaves
from featlearn.config.parsed import as_mapping, kind_of, read_section, symbols, theory_value
from featlearn.config.problems import Problem, show
from featlearn.config.sections import SECTIONS, Kind, split
from featlearn.config.source import BROKEN, Node

WORD = "formula"
LONGEST_SHOWN = 100  # characters of a formula in a message
NUMBERED = ("data", "network", "optimizer", "train")  # the sections that formulas take numbers from
DERIVED = ("data.signal_norm", "data.snr")  # each from the other and further numbers of its section


def is_formula(node: Node) -> bool:
    """Whether a node is {formula: ...}."""
    return isinstance(node.value, dict) and [*node.value] == [WORD]


def formulas(node: Node) -> Iterator[Node]:
    """Yield the formulas inside a node, or the node itself if it is one."""
    if is_formula(node):
        yield node
    elif isinstance(node.value, dict | list):
        for child in node.value.values() if isinstance(node.value, dict) else node.value:
            yield from formulas(child)


def _expression(node: Node) -> Expression:
    text = node.value[WORD].plain
    if not isinstance(text, str):
        raise ExpressionError(f"expected text such as 1.6 * sqrt(1000 / dim), found {show(text)}")
    return parsed(text)


def names(node: Node) -> set[str]:
    """Return the names in the formulas inside a node; a formula that cannot be read has none."""
    found: set[str] = set()
    for formula in formulas(node):
        with suppress(ExpressionError):
            found |= {*_expression(formula).names}
    return found


def candidates(name: str, known: Mapping[str, Any]) -> list[str]:
    """Return the known keys that a name may stand for."""
    full = (name,) if "." in name else (f"{section}.{name}" for section in NUMBERED)
    return [key for key in full if key in known and split(key)[0] in NUMBERED]


class _Unknown(ExpressionError):
    """A number of a section of unknown kind, which that section reports."""


class Uses:
    """Which keys the formulas of a config depend on, directly or not.

    written: a key of a section, with a node with formulas that stands there in some run; a key may come several times.
    """

    def __init__(self, written: Iterable[tuple[str, Node]], known: Mapping[str, Any]) -> None:
        self._known = known
        self._names: dict[str, set[str]] = {}
        for key, node in written:
            self._names.setdefault(key, set()).update(names(node))

    def __bool__(self) -> bool:
        return bool(self._names)

    def of(self, key: str) -> set[str]:
        """Return the keys that formulas at a key, or inside it, depend on; empty if there are none."""
        found: set[str] = set()
        waiting = [
            used
            for at, used_names in self._names.items()
            if f"{at}.".startswith(f"{key}.")
            for used in self._keys(used_names)
        ]
        while waiting:
            used = waiting.pop()
            if used not in found:
                found.add(used)
                waiting += self._next(used)
        return found

    def has(self, section: str) -> bool:
        """Whether there are formulas in a section."""
        return any(split(key)[0] == section for key in self._names)

    def _keys(self, found: Iterable[str]) -> list[str]:
        return [key for name in found for key in candidates(name, self._known)]

    def _next(self, key: str) -> Iterator[str]:
        """Yield the keys that decide the value of a key: other numbers, and the kind, which has its default."""
        section, (name, *_) = split(key)
        parameter = SECTIONS[section].keys.get(name)
        yield from (f"{section}.{naming}" for naming in (SECTIONS[section].word, "base") if naming)
        yield from self._keys(self._names.get(key, ()))
        yield from self._keys(symbols(parameter) if parameter and parameter.scale else ())
        yield from {"train.batch_size": ["data.n_samples"], "network.init_std": ["data.dim"]}.get(key, [])
        if key in DERIVED:
            yield from (other for other in self._known if other.startswith("data.") and other.count(".") == 1)


class Resolver:
    """The sections of one run, with the formulas in them replaced by their values.

    raw: returns a section as written, by name. known: the dotted keys of every section.
    """

    def __init__(self, raw: Callable[[str], Node], known: Mapping[str, Any]) -> None:
        self._raw, self._known = raw, known
        self._way: list[str] = []  # the keys whose values are being computed, each for the one before
        self._kinds: dict[str, Kind | None] = {}

    def section(self, name: str, problems: list[Problem]) -> Node:
        """Return a section without formulas; one that has no value is reported, and BROKEN."""
        node = self._mapping(name)
        if not isinstance(node.value, dict) or is_formula(node):
            return node
        words = (SECTIONS[name].word, "base")  # no numbers: a formula there is refused by the section
        return replace(
            node,
            value={
                key: child if key in words else self._replaced(f"{name}.{key}", child, problems)
                for key, child in node.value.items()
            },
        )

    def _mapping(self, section: str) -> Node:
        return as_mapping(SECTIONS[section], self._raw(section))

    def _replaced(self, key: str, node: Node, problems: list[Problem]) -> Node:
        """Return what is at a key, or inside it, with its formulas replaced."""
        if is_formula(node):
            text = show(node.value[WORD].plain, LONGEST_SHOWN)
            try:
                return Node(self._at(key, self._computed, node), node.place, node.key, formula=text)
            except ExpressionError as error:
                problems += [] if isinstance(error, _Unknown) else [node.problem(f"{error} (formula: {text})")]
                return Node(BROKEN, node.place, node.key)
        if isinstance(node.value, dict):
            return replace(node, value={k: self._replaced(key, child, problems) for k, child in node.value.items()})
        if isinstance(node.value, list):
            return replace(node, value=[self._replaced(key, child, problems) for child in node.value])
        return node

    def _at(self, key: str, compute: Callable[..., float], *arguments: Any) -> float:
        """Return what is computed for a key. Raises ExpressionError if that is needed for itself."""
        if key in self._way:
            raise ExpressionError(f"a cycle: {' -> '.join([*self._way[self._way.index(key) :], key])}")
        self._way.append(key)
        try:
            return compute(*arguments)
        finally:
            self._way.pop()

    def _computed(self, node: Node) -> float:
        expression = _expression(node)
        return expression.value({name: self._number(name) for name in expression.names})

    def _number(self, name: str) -> float:
        """Return the number of the run that a name in a formula, or a symbol of a theory scale, stands for."""
        found = {key: kind for key in candidates(name, self._known) if (kind := self._kind_with(key))}
        if len(found) > 1:
            raise ExpressionError(f"{name} is ambiguous: write {' or '.join(found)}")
        for key, kind in found.items():
            return self._at(key, self._value, key, kind)
        if any(self._kind(section) is None for section in NUMBERED):
            raise _Unknown(name)
        listed = [key for section in NUMBERED for key in self._numeric(section)]
        near = get_close_matches(name, listed, 1)
        meant = f"did you mean {near[0]}? there are" if near else "there are"
        raise ExpressionError(f"no number of the run is called {name}; {meant} {', '.join(listed)}")

    def _kind(self, section: str) -> Kind | None:
        if section not in self._kinds:
            node = self._mapping(section)
            kind = kind_of(SECTIONS[section], node, []) if isinstance(node.value, dict) else None
            self._kinds[section] = kind
        return self._kinds[section]

    def _kind_with(self, key: str) -> Kind | None:
        section, (name, *inside) = split(key)
        kind = self._kind(section)
        return kind if kind and name in kind.parameters and not inside else None

    def _numeric(self, section: str) -> list[str]:
        """Return the keys of a section that take a number."""
        kind = self._kind(section)
        pairs = kind.parameters.items() if kind else ()
        return [name for name, parameter in pairs if {int, float} & {*leaves(parameter.type)}]

    def _value(self, key: str, kind: Kind) -> float:
        """Return the value of a key of this kind."""
        section, (name, *_) = split(key)
        parameter, given = kind.parameters[name], self._mapping(section).value.get(name)
        if given is not None and is_formula(given):
            return self._computed(given)
        plain = parameter.default if given is None else given.plain
        if key in DERIVED and plain in (None, MISSING):
            return self._derived(name)
        if key == "train.batch_size" and plain == "full":
            return self._number("data.n_samples")
        if key == "network.init_std" and plain is None:
            return 1 / math.sqrt(3 * self._number("data.dim"))
        if given is not None and parameter.scale and isinstance(plain, dict) and [*plain] == ["theory"]:
            return self._theory(given.value["theory"], parameter)
        if isinstance(plain, bool) or not isinstance(plain, int | float):
            shown = "missing" if plain is MISSING else "invalid" if plain is BROKEN else show(plain)
            raise ExpressionError(f"{key} is {shown} here, not a number")
        return float(plain)

    def _derived(self, name: str) -> float:
        """Return a number of the data that follows from others."""
        problems = list[Problem]()
        data = read_section(SECTIONS["data"], self.section("data", problems))
        try:
            if not problems and data.object is not None and not data.invalid:
                return float(data.object.derived()[name])
        except (ValueError, ArithmeticError, AttributeError, KeyError):
            pass
        cyclic = any("a cycle" in problem.message for problem in problems)
        raise ExpressionError(f"data.{name} {'depends on itself' if cyclic else 'has no value'} here")

    def _theory(self, c: Node, parameter: Parameter) -> float:
        factor = self._computed(c) if is_formula(c) else c.plain
        if isinstance(factor, bool) or not isinstance(factor, int | float):
            raise ExpressionError(f"{c.key} is {show(c.plain)} here, not a number")
        try:
            return theory_value(parameter, factor, {symbol: self._number(symbol) for symbol in symbols(parameter)})
        except ArithmeticError:
            raise ExpressionError(f"the theory scale of {parameter.name} has no value here") from None
