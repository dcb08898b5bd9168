"""The JSON schema of a config, for editors: completion, meanings, and errors underlined.

It is read from the classes and looser than ``load_config``: it requires no key, since a file may inherit the rest, and
it does not check combinations of keys. Repeated parts are definitions under $defs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING
from typing import Any, Literal

from pydantic import TypeAdapter

from featlearn.config.axes import SPACINGS
from featlearn.config.catalogue import first_line
from featlearn.config.parameters import Parameter, parameters
from featlearn.config.reference import EXTENDS, FORMULA, SWEEP, ZIP
from featlearn.config.sections import SECTIONS, Kind, Section, known_keys, nested, wraps

Schema = dict[str, Any]
OWN: Schema = {"type": "string", "pattern": ":", "description": "Your own: file.py:Class."}


def schema() -> Schema:
    """Return the JSON schema of a config."""
    return _Schema().whole()


class _Schema:
    """Builder of the schema: the parameters' schemas from pydantic, and the definitions so far."""

    def __init__(self) -> None:
        kinds = [kind for section in _all_sections() for kind in section.kinds.values()]
        everything = dict.fromkeys(p for kind in kinds for p in kind.parameters.values())
        mode: Literal["validation"] = "validation"
        found, definitions = TypeAdapter.json_schemas([(p, mode, p.adapter) for p in everything])
        self.values: dict[Parameter, Schema] = {p: value for (p, _), value in found.items()}
        self.definitions: Schema = {name: _or_formula(value) for name, value in definitions["$defs"].items()}
        self.definitions["formula"] = _object({"formula": {"type": "string"}}, FORMULA) | {"required": ["formula"]}

    def whole(self) -> Schema:
        """Return the schema of a config."""
        sections = {name: self.section(name, section) for name, section in SECTIONS.items()}
        head = sections.pop("")["properties"]
        extends = {"type": "string", "description": EXTENDS}
        top = _object({"extends": extends, **head, **sections, "sweep": self.sweep()}, "A featlearn config.")
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, "$defs": self.definitions}

    def shared(self, name: str, value: Schema) -> Schema:
        """Return a reference to a definition; a number is added to its name if that is taken."""
        number, free = 1, name
        while self.definitions.setdefault(free, value) != value:
            number += 1
            free = f"{name}.{number}"
        return {"$ref": f"#/$defs/{free}"}

    def section(self, name: str, section: Section) -> Schema:
        """Return the schema of a section: one of its kinds, or the word of a kind without required keys."""
        if not section.word:
            (kind,) = section.kinds.values()
            return _object(self.properties(name, kind.cls), first_line(kind.cls.__doc__))
        around = any(map(wraps, section.table.values()))
        kinds = {word: kind for (word, _), kind in section.kinds.items()}  # for a wrapper, with any base
        make = self.rule if around else self.kind
        words = [{"enum": [*kinds]}, *_own(section)]
        return {"anyOf": [*words, *(make(name, section, word, kind) for word, kind in kinds.items())]}

    def kind(self, name: str, section: Section, word: str, kind: Kind) -> Schema:
        """Return the schema of a kind."""
        named = {section.word: {"const": word}}
        return _object(named | self.properties(name, kind.cls), first_line(kind.cls.__doc__))

    def rule(self, name: str, section: Section, word: str, kind: Kind) -> Schema:
        """Return the schema of a rule, which may be a base, or have a base whose keys are added to its own."""
        parts = [self.shared(f"{name}.{word}", {"properties": self.properties(name, kind.cls)})]
        parts += [self.shared(f"{name}.base", self.bases(name, section))] if kind.base else []
        if section.settings:
            parts.append(self.shared(f"{name}.settings", {"properties": self.properties(name, section.settings)}))
        named = {
            "type": "object",
            "description": first_line(kind.cls.__doc__),
            "properties": {section.word: {"const": word}},
        }
        return {**named, "allOf": parts, "unevaluatedProperties": False}

    def bases(self, name: str, section: Section) -> Schema:
        """Return the schema of the keys of a base; the first base is the default."""
        ways: list[Schema] = []
        for word, cls in section.bases.items():
            keys = self.shared(f"{name}.{word}", {"properties": self.properties(name, cls)})
            ways.append(
                {"properties": {"base": {"const": word}}, "required": ["base"] if ways else [], "allOf": [keys]}
            )
        return {"anyOf": ways}

    def properties(self, name: str, cls: type) -> Schema:
        """Return the schemas of the parameters of a class."""
        return {key: self.parameter(f"{name}.{key}".lstrip("."), p) for key, p in parameters(cls).items()}

    def parameter(self, name: str, parameter: Parameter) -> Schema:
        """Return the schema of a parameter."""
        value = {key: part for key, part in self.values[parameter].items() if key != "title"}
        if parameter.named is not None:
            words = self.shared(f"{name}.kinds", self.section(name, nested(parameter.named)))
            value = {"type": "array", "items": words} if parameter.many else words
        elif parameter.function:
            value = {"anyOf": [{key: part for key, part in value.items() if key != "default"}, OWN]}
        elif "." in name:  # the keys of the head belong to no run's numbers
            value = _or_formula(value)
        default = {} if parameter.default is MISSING else {"default": parameter.shown_default}
        return self.shared(name, {**value, "description": parameter.doc, **default})

    def sweep(self) -> Schema:
        """Return the schema of the axes: any key, in any of the ways to write an axis."""
        numbers = {"type": "array", "items": {"type": "number"}}
        ways = [{"type": "array", "minItems": 1}, {"type": "null"}]
        ways += [_object({word: {**numbers, "description": spacing.usage}}) for word, spacing in SPACINGS.items()]
        key, axis = self.shared("key", {"enum": list(known_keys())}), self.shared("axis", {"anyOf": ways})
        own = {"pattern": r"^optimizer\."}  # a user-defined rule may have any key
        axes = {"type": "object", "propertyNames": {"anyOf": [key, own]}, "additionalProperties": axis}
        together = {"anyOf": [axes, {"type": "array", "items": axes}], "description": ZIP}
        names = {"anyOf": [key, {"const": "zip"}, own]}
        return {**axes, "propertyNames": names, "properties": {"zip": together}, "description": SWEEP}


def _all_sections() -> Iterator[Section]:
    for section in SECTIONS.values():
        yield section
        yield from (nested(p.named) for p in section.keys.values() if p is not None and p.named is not None)


def _own(section: Section) -> Iterator[Schema]:
    """Yield the schemas of user-defined classes, and of rules with a user-defined base: their keys are unknown."""
    if section.methods:
        yield OWN
        for key in (section.word, *(["base"] * any(map(wraps, section.table.values())))):
            yield {"type": "object", "properties": {key: OWN}, "required": [key]}


def _or_formula(value: Any) -> Any:
    """Return a schema in which a formula may take the place of every number."""
    if isinstance(value, list):
        return [_or_formula(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") in ("number", "integer"):
        return {"anyOf": [value, {"$ref": "#/$defs/formula"}]}
    return {key: _or_formula(part) for key, part in value.items()}


def _object(properties: Schema, doc: str = "") -> Schema:
    return {"type": "object", "description": doc, "properties": properties, "additionalProperties": False}
