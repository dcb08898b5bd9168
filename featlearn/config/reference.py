"""Every key of a config: type, default, meaning and an example. ``featlearn list config``.

All is read from the classes that use the keys, except for the few keys that belong to no class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError
from typing_extensions import is_typeddict

from featlearn.config.axes import SPACINGS
from featlearn.config.catalogue import KINDS, first_line
from featlearn.config.expression import CONSTANTS, FUNCTIONS
from featlearn.config.parameters import STRICT, Parameter, expected, leaves, parameters
from featlearn.config.problems import choices, suggest
from featlearn.config.sections import SECTIONS, Section, nested

EXTENDS = "A config that this one extends, relative to this file; sections merge key by key."
SWEEP = "The axes: any key but name, and its values; null removes an inherited axis."
ZIP = "Keys that move together, with equally many values; a list of such mappings makes several axes."
FORMULA = (
    "In place of any number of data, network, optimizer, train and record, and of any number on an axis: arithmetic "
    "(+ - * / // % **) over the run's other numbers, such as dim or data.dim, with "
    f"{', '.join(FUNCTIONS)} and {', '.join(CONSTANTS)}. signif(x, n) rounds to n significant digits."
)
HOLDS = {"data": "The data model.", "network": "What is trained.", "optimizer": "How it is trained."}
AXES: dict[str, tuple[str, str]] = {
    "linspace": ("Equally spaced values of a key.", "data.signal_norm: {linspace: [2, 10, 5]}"),
    "geomspace": ("Values equally spaced in the logarithm.", "data.dim: {geomspace: [1000, 16000, 3]}"),
    "range": ("Integers, as in Python's range.", "seed: {range: [0, 10]}"),
}
SPECTRUM = [[0.5, 0.9], [5.5, 0.1]]
# examples
VALUES = (0.1, 0.5, 1.0, 2.0, 100, 10, 2, 1, [1.0, 2.0], [0, 10, 100], {"eps": 0.1}, "text", True, False, SPECTRUM)
TEXTS = {"name": "first", "cls": "torch.optim.NAdam"}  # examples of keys that take any text
Write = Callable[[Mapping[str, Any]], Mapping[str, Any]]  # puts keys into a config at their place


@dataclass(frozen=True)
class Key:
    """A dotted key of a config; a key of a list's items is listed below the list.

    expected: its type and bounds in words. default: as a config would write it, MISSING if a value is required.
    example: a config in one line of YAML that sets the key. kinds: the words of the kinds that have it; empty for all.
    """

    name: str
    expected: str
    default: Any
    doc: str
    example: str
    kinds: tuple[str, ...] = ()


def reference(word: str | None = None) -> list[Key]:
    """Return every key of a config; or one key, or one section, with the keys inside.

    The last part of a key suffices: dim is data.dim. A key whose meaning depends on the kind is listed once for each
    meaning. Raises ValueError for an unknown key.
    """
    keys = _all_keys()
    if word is None:
        return list(keys)
    inside = [key for key in keys if f"{key.name}.".startswith(f"{word}.")]
    found = inside or [key for key in keys if key.name.endswith(f".{word}")]
    if not found:
        names = [key.name for key in keys]
        raise ValueError(f"a config has no key {word}; {suggest(word, names, names)}")
    return found


@cache
def _all_keys() -> tuple[Key, ...]:
    found = [key for name, section in SECTIONS.items() for key in _of_section(name, section)]
    return (*found, *_of_no_class())


def _of_section(name: str, section: Section) -> Iterator[Key]:
    """Yield a section of the file and its keys."""
    if not name:
        yield from _inside(section, "", dict)
        return
    kind = next(iter(section.kinds.values()))
    doc = HOLDS[name] if section.word else first_line(kind.cls.__doc__)
    what = f"a mapping, or its {section.word} alone" if section.word else "a mapping"
    word = section.default or next(iter(section.table))
    default: Any = MISSING if _required(kind.parameters) else section.default or {}
    example = _needed(kind.parameters, {section.word: word} if section.word else {}) or {"every": 10}
    yield Key(name, what, default, doc, _line({name: example}))
    yield from _inside(section, f"{name}.", lambda keys: {name: keys})


def _of_no_class() -> Iterator[Key]:
    axes = "a mapping of keys to axes"
    formula = 'optimizer: {lr: {formula: "1.6 * sqrt(1000 / dim)"}, name: sgd}'
    both = "sweep: {data.dim: [1000, 2000], seed: {range: [0, 5]}}"
    yield Key("extends", "the name of a file", None, EXTENDS, "extends: other.yaml")
    yield Key("KEY.KEY.formula", "text", MISSING, FORMULA, formula)
    yield Key("sweep", axes, None, SWEEP, both)
    together = "sweep: {zip: {data.dim: [1000, 4000], optimizer.lr: [0.02, 0.005]}}"
    yield Key("sweep.zip", f"{axes}, or a list of them", None, ZIP, together)
    for word, spacing in SPACINGS.items():
        doc, example = AXES[word]
        yield Key(f"sweep.KEY.{word}", spacing.usage, MISSING, doc, f"sweep: {{{example}}}")


def _inside(section: Section, prefix: str, write: Write) -> Iterator[Key]:
    """Yield the keys of the section at ``prefix``, each followed by those inside it."""
    yield from _naming(section, prefix, write)
    words = {word for word, _ in section.kinds}
    found: dict[str, dict[tuple[str, ...], tuple[Parameter, list[str]]]] = {}
    for (word, base), kind in section.kinds.items():
        for name, parameter in kind.parameters.items():
            owner = base if base and kind.base and name in parameters(kind.base) else word
            meaning = (parameter.expected, repr(parameter.shown_default), parameter.doc)
            owners = found.setdefault(name, {}).setdefault(meaning, (parameter, []))[1]
            owners += [owner] * (owner not in owners)
    for name, meanings in found.items():
        for parameter, owners in meanings.values():
            given = {} if section.default in owners or not section.word else {section.word: owners[0]}
            example = _line(write(given | {name: _example(parameter)}))
            kinds = () if {*owners} == words else tuple(owners)
            default = "that of the file" if prefix + name == "name" else parameter.shown_default
            yield Key(prefix + name, parameter.expected, default, parameter.doc, example, kinds)
        yield from _below(next(iter(meanings.values()))[0], prefix, write)


def _naming(section: Section, prefix: str, write: Write) -> Iterator[Key]:
    """Yield the keys of a section that select its kind."""
    listing = next((kind for kind, known in KINDS.items() if {*section.table} <= {*known.table}), "")
    own = ", or your own: file.py:Class" if section.methods else ""
    if section.word:
        default = MISSING if section.default is None else section.default
        word = next(word for word in section.table if word != section.default)
        doc = f"The kind: `featlearn list {listing}` describes each{own}."
        yield Key(prefix + section.word, choices(section.table, listing), default, doc, _named(section, word, write))
    rules = [(word, base) for word, base in section.kinds if base is not None]
    if rules:
        (word, default), (_, other) = rules[:2]
        doc = f"The wrapped rule, which takes the step{own}."
        example = _line(write({section.word: word, "base": other}))
        wrapping = tuple(dict.fromkeys(word for word, _ in rules))
        yield Key(f"{prefix}base", choices(section.bases, listing), default, doc, example, wrapping)


def _named(section: Section, word: str, write: Write) -> str:
    kind = next(kind for (name, _), kind in section.kinds.items() if name == word)
    return _line(write(_needed(kind.parameters, {section.word: word})))


def _below(parameter: Parameter, prefix: str, write: Write) -> Iterator[Key]:
    """Yield the keys inside the value of a parameter."""
    name = parameter.name
    for leaf in filter(is_typeddict, leaves(parameter.type)):
        for key, hint in get_type_hints(leaf, include_extras=True).items():
            example = _line(write({name: {key: _chosen(hint, None)}}))
            yield Key(f"{prefix}{name}.{key}", expected(hint), MISSING, " ".join(leaf.__doc__.split()), example)
    if parameter.named is not None:

        def inside(keys: Mapping[str, Any]) -> Mapping[str, Any]:
            return write({name: [keys] if parameter.many else keys})

        yield from _inside(nested(parameter.named), f"{prefix}{name}.", inside)


def _required(known: Mapping[str, Parameter]) -> list[str]:
    return [name for name, parameter in known.items() if parameter.default is MISSING]


def _needed(known: Mapping[str, Parameter], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section with its required keys."""
    return {**named, **{name: _example(known[name]) for name in _required(known)}}


def _example(parameter: Parameter) -> Any:
    """Return a valid value, different from the default if possible."""
    if parameter.named is None:
        value = _chosen(parameter.type, parameter.default)
        return TEXTS[parameter.name] if value == "text" else value
    section = nested(parameter.named)
    (word, _), kind = list(section.kinds.items())[-1]
    given = _needed(kind.parameters, {"name": word})
    return [*section.table][:2] if parameter.many else given


def _chosen(hint: Any, default: Any) -> Any:
    """Return the first valid value: a word of the type, twice the default, or a common one."""
    literals = [word for leaf in leaves(hint) if get_origin(leaf) is Literal for word in get_args(leaf)]
    own = [2 * default] if type(default) is int and default else []
    usual = [value for value in VALUES if type(value) is not (int if float in leaves(hint) else float)]
    adapter = TypeAdapter(hint, config=STRICT)
    return next(value for value in (*literals, *own, *usual) if value != default and _fits(adapter, value))


def _fits(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


def in_yaml(value: Any) -> str:
    """Write a value as a config would, in one line."""
    text = yaml.safe_dump(_plain(value), default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _line(config: Mapping[str, Any]) -> str:
    return in_yaml(config)[1:-1]


def _plain(value: Any) -> Any:
    """Return a value with lists in place of tuples."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
